"""`geoloc calibrate` on wrong input: what is wrong is named with the next step, and no camera is made of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_samples import Done

from geoloc.geometry.geodesy import geodetic_from_enu
from geoloc.io.marks import write_marks
from geoloc.scene.map_storage import save_map
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.storage import save_cameras
from geoloc.synthetic.trial import Trial, calibration_trial

CAMERA = "p2-southwest"
SIZE = (1920, 1080)


@pytest.fixture(scope="module")
def trial() -> Trial:
    """The trial site; one camera of it is enough here."""
    found = calibration_trial(np.random.default_rng(1))
    return replace(found, marks=found.marks.take(found.marks.camera == CAMERA))


class Desk:
    """The files of a person who calibrates, each of them ready to be spoilt."""

    def __init__(self, root: Path, trial: Trial, call: Callable[..., Done]) -> None:
        self.root, self.call, self.marks = root, call, trial.marks
        self.folder = root / "calibration" / "garage"
        self.still = root / "stills" / f"{CAMERA}.png"
        self.still.parent.mkdir(parents=True)
        self.write_map(trial.site.site_map)
        self.write_still(SIZE)
        write_marks(self.folder / "marks.csv", trial.marks)

    def write_map(self, site_map: SiteMap) -> None:
        save_map(site_map, self.root / "sitemaps" / "garage.geojson")

    def write_still(self, size: tuple[int, int]) -> None:
        cv2.imwrite(str(self.still), np.full((size[1], size[0], 3), 90, np.uint8))

    def write_marks(self, marks: Marks) -> None:
        write_marks(self.folder / "marks.csv", marks)

    def calibrate(self, *more: object) -> Done:
        return self.call("calibrate", "garage", "--root", self.root, "--stills", self.still.parent, *more)


@pytest.fixture
def desk(tmp_path: Path, trial: Trial, call: Callable[..., Done]) -> Desk:
    return Desk(tmp_path, trial, call)


def refused(desk: Desk, *words: str) -> None:
    """The only camera is refused: the words are told, the exit status says so, and nothing is written."""
    done = desk.calibrate()
    assert done.code == 2
    for word in words:
        assert word in done.out + done.err, word
    assert not (desk.folder / "cameras.json").exists()
    assert not (desk.folder / "versions").exists()


def test_what_is_right_is_calibrated(desk: Desk) -> None:
    done = desk.calibrate()
    assert done.code == 0, done.err
    assert (desk.folder / "cameras.json").is_file()


def test_a_mark_outside_its_still_is_named(desk: Desk) -> None:
    pixel = desk.marks.pixel.copy()
    pixel[2, 0] = 2500.0
    desk.write_marks(desk.marks.replace(pixel=pixel))
    refused(desk, repr(str(desk.marks.point[2])), "outside the still of 1920 x 1080", "mark it again")


def test_a_point_that_the_map_does_not_have_is_named_with_the_nearest(desk: Desk) -> None:
    name = "P2-B03 corner"
    desk.write_marks(desk.marks.replace(point=[p.replace(name, "P2-B03 cornr") for p in desk.marks.point.tolist()]))
    done = desk.calibrate()
    assert done.code == 0
    assert f"no point 'P2-B03 cornr' (did you mean {name!r}?)" in done.out


def test_two_marks_for_one_point_are_told_with_their_line(desk: Desk) -> None:
    again = desk.marks.take(np.array([0])).replace(pixel=[[700.0, 700.0]])
    desk.write_marks(Marks.concat([desk.marks, again]))
    done = desk.calibrate()
    assert f"(line {len(desk.marks) + 2})" in done.out
    assert "delete the wrong one" in done.out


def test_too_few_marks_say_how_many_more_and_where(desk: Desk) -> None:
    desk.write_marks(desk.marks.take(np.arange(3)))
    refused(desk, "3 marks", "need at least 5", "mark 2 more points, first in the")


def test_marks_on_a_line_and_in_a_corner_are_refused(desk: Desk, trial: Trial) -> None:
    places = {point.name: point.xyz for point in trial.site.site_map.control_points}
    row = [name.startswith("P2-A") for name in desk.marks.point.tolist()]
    assert sum(row) >= 4
    on_a_line = desk.marks.take(np.array(row))
    extra = next(name for name in places if name.startswith("P2-A") and name not in on_a_line.point.tolist())
    true = next(camera for camera in trial.truth if camera.name == CAMERA)
    more = Marks(camera=[CAMERA], point=[extra], pixel=true.project(np.array([places[extra]])))
    desk.write_marks(Marks.concat([on_a_line, more]))
    refused(desk, "of one line", "m off it")
    desk.write_marks(desk.marks.replace(pixel=desk.marks.pixel * 0.1))
    refused(desk, "of the still", "mark points in")


def test_feet_for_metres_are_named(desk: Desk, trial: Trial) -> None:
    site_map = trial.site.site_map
    points = tuple(replace(p, xyz=tuple(value / 0.3048 for value in p.xyz)) for p in site_map.control_points)
    desk.write_map(replace(site_map, control_points=points))
    refused(desk, "in feet", "give metres")


def test_swapped_latitude_and_longitude_are_named(desk: Desk, trial: Trial) -> None:
    site_map = trial.site.site_map
    desk.write_map(replace(site_map, control_points=()))
    xyz = np.array([point.xyz for point in site_map.control_points])
    lat, lon, height = geodetic_from_enu(site_map.datum, xyz)
    names = [point.name for point in site_map.control_points]
    for heads, first, second in (("lat,lon", lat, lon), ("lat,lon", lon, lat)):
        rows = [f"{n},{a:.9f},{b:.9f},{h:.3f}" for n, a, b, h in zip(names, first, second, height, strict=True)]
        (desk.folder / "points.csv").write_text("\n".join([f"point,{heads},height", *rows]))
        done = desk.calibrate("--dry-run")
        if first is lat:
            assert done.code == 0, done.err
        else:
            assert done.code == 2
            assert "latitude and longitude are swapped" in done.err


def test_a_still_of_another_size_is_named(desk: Desk, trial: Trial) -> None:
    desk.write_still((960, 540))
    refused(desk, "outside the still of 960 x 540", "made on a still of another size")
    save_cameras(tuple(camera for camera in trial.truth if camera.name == CAMERA), desk.folder / "cameras.json")
    done = desk.calibrate()
    assert done.code == 2
    assert "960 x 540 px; camera 'p2-southwest' was calibrated for 1920 x 1080" in done.err


@pytest.mark.parametrize("kept", [0, 4, 2000])
def test_stills_that_are_empty_or_cut_off_are_named(desk: Desk, kept: int) -> None:
    desk.still.write_bytes(desk.still.read_bytes()[:kept])
    refused(desk, desk.still.name, "no picture that can be read")


def test_missing_stills_are_asked_for(desk: Desk) -> None:
    desk.still.unlink()
    refused(desk, "no stills", "such as gate.jpg")
    cv2.imwrite(str(desk.still.with_name("other.png")), np.zeros((10, 10, 3), np.uint8))
    refused(desk, CAMERA, "its image size is not known", "--stills DIR")


def test_bad_rows_are_told_by_line_and_the_others_used(desk: Desk) -> None:
    path = desk.folder / "marks.csv"
    path.write_text(path.read_text() + f"{CAMERA},P2 mark 7,abc,5,1\n,x,1,2,1\n{CAMERA},P2 mark 8,10,20,-1\n{CAMERA}\n")
    done = desk.calibrate("--dry-run")
    assert done.code == 0
    line = len(desk.marks) + 2
    for row, why in enumerate(("no finite number", "no camera", "no positive number", "number of cells")):
        assert any(why in said and f"line {line + row}" in said for said in done.out.splitlines()), why
    path.write_text("camera,point,u,v,sigma\n")
    refused(desk, "is a mark", "geoloc mark garage")
