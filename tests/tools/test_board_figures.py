"""Boards of real recordings: Pose2Sim's lenses and caliscope's rig give what is asked of them."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from recordings import caliscope, pose2sim

from geoloc.errors import InputError


@pytest.mark.slow
def test_pose2sim_lenses_are_as_sharp_as_asked(recording) -> None:
    figures = {(f.part, f.figure): f for f in pose2sim.run(recording("pose2sim_calib"))}
    value = {name: figure.value for (_, name), figure in figures.items() if name != "focal_error"}
    assert value["rms"] < 0.21  # 0.13
    assert value["rms_worst"] < 0.21  # 0.14
    assert value["focal_error_worst"] < 0.7  # 0.44
    assert value["rms"] < value["rms_peer"]
    one_make = [figure for (_, name), figure in figures.items() if name == "focal_error"]
    assert len(one_make) == 4
    assert all(figure.low < figure.value < figure.high for figure in one_make)


@pytest.mark.slow
def test_caliscope_squares_are_54_mm_by_cameras_that_did_not_see_them(recording) -> None:
    value = {figure.figure: figure.value for figure in caliscope.run(recording("caliscope"))}
    assert value["adjacent_mean"] == pytest.approx(54, abs=0.05)  # 53.97
    assert value["adjacent_mean_same"] == pytest.approx(54, abs=0.05)  # 53.98
    assert value["adjacent_mean_peer"] == pytest.approx(53.78, abs=0.02)


def test_focal_lengths_of_four_cameras_of_one_make_agree(recording) -> None:
    reference = pose2sim.read_reference(recording("pose2sim_calib") / "Calib.qca.txt")
    assert list(reference) == ["cam01", "cam02", "cam03", "cam04"]
    assert np.ptp(list(reference.values())) < 10


def test_broken_files_are_named(tmp_path: Path) -> None:
    for name, read in (
        ("Calib.qca.txt", pose2sim.read_reference),
        ("xy.csv", caliscope.read_corners),
        ("camera_array.toml", caliscope.read_array),
    ):
        path = tmp_path / name
        path.write_text("a,b\n1,2\n" if name.endswith("csv") else "[[")
        with pytest.raises(InputError, match=name):
            read(path)
