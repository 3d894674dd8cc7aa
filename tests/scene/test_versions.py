"""Calibrations over the years: nothing is lost, and the engine can be told which was true when."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.geometry.se3 import perturb
from geoloc.scene.site import Site
from geoloc.scene.storage import load_site, save_site
from geoloc.scene.versions import list_versions, load_site_at, roll_back, save_version, version_at
from geoloc.synthetic import garage


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = garage().site
    save_site(site, tmp_path)
    return site


def turned(site: Site, angle: float) -> Site:
    first = site.cameras[0]
    pose = perturb(first.cam_from_world, np.array([0, angle, 0, 0, 0, 0]))
    return site.with_cameras([replace(first, cam_from_world=pose), *site.cameras[1:]])


def same(site: Site, other: Site) -> bool:
    return all(
        np.array_equal(a.cam_from_world.as_matrix(), b.cam_from_world.as_matrix())
        for a, b in zip(site.cameras, other.cameras, strict=True)
    )


def test_what_was_there_before_is_the_first_version(site: Site, tmp_path: Path) -> None:
    version = save_version(site.name, turned(site, 0.01).cameras, tmp_path, "ann", "camera replaced", 1.6e9)
    assert [v.number for v in list_versions(site.name, tmp_path)] == [1, 2]
    assert "version 2" in str(version)
    assert "by ann: camera replaced; true from 2020-09-13" in str(version)
    assert same(load_site(site.name, tmp_path), turned(site, 0.01))
    assert same(load_site_at(site.name, 1.5e9, tmp_path), site)
    assert same(load_site_at(site.name, 1.7e9, tmp_path), turned(site, 0.01))


def test_rolling_back_loses_nothing(site: Site, tmp_path: Path) -> None:
    save_version(site.name, turned(site, 0.01).cameras, tmp_path, valid_from=1e9)
    back = roll_back(site.name, 1, tmp_path, "ann")
    assert (back.number, back.note) == (3, "back to version 1")
    assert same(load_site(site.name, tmp_path), site)
    assert same(load_site_at(site.name, 1.1e9, tmp_path), turned(site, 0.01))
    with pytest.raises(InputError, match="no version 9; there are 1, 2, 3"):
        roll_back(site.name, 9, tmp_path)


def test_inputs_are_kept_by_their_hashes(site: Site, tmp_path: Path) -> None:
    marks = tmp_path / "marks.csv"
    marks.write_text("camera,point,u,v\n")
    version = save_version(site.name, site.cameras, tmp_path, inputs=[marks])
    assert list(version.inputs) == ["marks.csv"]
    assert len(version.inputs["marks.csv"]) == 64
    assert list_versions(site.name, tmp_path)[-1].inputs == version.inputs


def test_a_time_before_any_version_is_refused(tmp_path: Path) -> None:
    site = garage().site
    save_version(site.name, site.cameras, tmp_path, valid_from=1e9)
    with pytest.raises(InputError, match="true from 1000000000 s"):
        version_at(site.name, 5e8, tmp_path)
    with pytest.raises(InputError, match="it has none"):
        version_at("harbour", 5e8, tmp_path)


def test_a_changed_version_file_is_named(site: Site, tmp_path: Path) -> None:
    save_version(site.name, site.cameras, tmp_path)
    file = tmp_path / "calibration" / site.name / "versions" / "0002.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "number": 7}))
    with pytest.raises(InputError, match=r"0002\.json.*'number' is 7"):
        list_versions(site.name, tmp_path)
