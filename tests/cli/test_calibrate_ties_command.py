"""`geoloc calibrate --detections / --overlap`: what ties cameras besides marks is used, told, and refused clearly."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_samples import Done, walkers, yard

from geoloc.io.detection_writers import write_detections
from geoloc.io.marks import write_marks
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint
from geoloc.scene.storage import calibration_folder, load_site, save_site

N_MARKS, MARK_SIGMA = 8, 4.0  # a camera; px


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """The yard with a few poor marks, none of a point that both cameras see, boxes of walkers, and bare stills."""
    rng = np.random.default_rng(3)
    site = yard()
    xyz = np.column_stack([rng.uniform(-6, 6, (300, 2)), rng.uniform(0, 2, 300)])
    points, tables = [], []
    for number, camera in enumerate(site.cameras):
        pixel = camera.project(xyz)
        seen = np.isfinite(pixel).all(axis=1)
        seen[seen] = camera.inside(pixel[seen])
        rows = np.flatnonzero(seen)[number * 100 : number * 100 + N_MARKS]
        names = [f"{camera.name} {row}" for row in rows]
        points += [ControlPoint(name, tuple(at)) for name, at in zip(names, xyz[rows].tolist(), strict=True)]
        noisy = pixel[rows] + rng.normal(0, MARK_SIGMA, (len(rows), 2))
        sigma = np.full(len(rows), MARK_SIGMA)
        tables.append(Marks(camera=[camera.name] * len(rows), point=names, pixel=noisy, sigma=sigma))
        stills = tmp_path / "stills"
        stills.mkdir(exist_ok=True)
        cv2.imwrite(str(stills / f"{camera.name}.png"), np.full((camera.size[1], camera.size[0]), 120, np.uint8))
    save_site(replace(site, site_map=replace(site.site_map, control_points=tuple(points))), tmp_path)
    write_marks(calibration_folder("yard", tmp_path) / "marks.csv", Marks.concat(tables))
    write_detections(tmp_path / "boxes.csv", walkers(site))
    return tmp_path


def apart(site: Site) -> float:
    """How far apart (m, rms) two cameras put ground that the true ones see, about the middle of the yard."""
    grid = np.column_stack([*(axis.ravel() for axis in np.meshgrid([-2.0, 0, 2], [-2.0, 0, 2])), np.zeros(9)])
    places = []
    for true in yard().cameras:
        camera = site.camera(true.name)
        rays = camera.unproject(true.project(grid))
        places.append(camera.centre_world + rays * (-camera.centre_world[2] / rays[:, 2:]))
    return float(np.sqrt(((places[0] - places[1]) ** 2).sum(axis=1).mean()))


def test_walkers_tie_two_cameras(call: Callable[..., Done], marked: Path) -> None:
    assert call("calibrate", "yard", "--root", marked).code == 0
    alone = apart(load_site("yard", marked))
    done = call("calibrate", "yard", "--root", marked, "--detections", marked / "boxes.csv")
    assert done.code == 0, done.err
    assert "moving objects" in done.out
    assert "tie points agree with the marks" in done.out
    assert apart(load_site("yard", marked)) < 0.8 * alone


def test_bare_stills_give_no_ties_and_it_is_said(call: Callable[..., Done], marked: Path) -> None:
    done = call("calibrate", "yard", "--root", marked, "--stills", marked / "stills", "--overlap", "--dry-run")
    assert done.code == 0, done.err
    assert "bare" in done.out


def test_what_cannot_tie_is_refused(call: Callable[..., Done], marked: Path) -> None:
    words = ("calibrate", "yard", "--root", marked, "--dry-run")
    done = call(*words, "--overlap")
    assert done.code == 2
    assert "--stills DIR" in done.err
    boxes = walkers(yard())
    write_detections(marked / "cars.csv", boxes.replace(label=np.full(len(boxes), "car")))
    done = call(*words, "--detections", marked / "cars.csv")
    assert done.code == 2
    assert "only people tie cameras" in done.err
    write_detections(marked / "other.csv", boxes.replace(camera=np.full(len(boxes), "roof")))
    done = call(*words, "--detections", marked / "other.csv")
    assert done.code == 2
    assert "none is of a camera" in done.err
