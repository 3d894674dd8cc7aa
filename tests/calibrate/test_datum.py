"""A stated origin that control points contradict is told in metres and words."""

import csv
import json

import numpy as np
import pytest

from geoloc.calibrate.datum import check_datum
from geoloc.errors import InputError
from geoloc.geometry.geodesy import Datum, geodetic_from_enu

DATUM = Datum(48.1, 11.5, 500.0)
XY = np.array([[0.0, 0.0], [80.0, 10.0], [30.0, 90.0], [-40.0, 20.0]])


def test_a_good_origin_is_left_alone(rng: np.random.Generator) -> None:
    xyz = np.column_stack([XY + rng.normal(0, 0.3, XY.shape), np.zeros(4)])
    lat, lon, _ = geodetic_from_enu(DATUM, xyz)
    check = check_datum(DATUM, XY, lat, lon, 0.3)
    assert not check.wrong
    assert "agrees" in check.words


def test_a_shifted_origin_is_mended_despite_one_bad_point() -> None:
    true = Datum(48.1001, 11.5001, 500.0)
    lat, lon, _ = geodetic_from_enu(true, np.column_stack([XY, np.zeros(4)]))
    lat[2] += 0.01
    check = check_datum(DATUM, XY, lat, lon, 0.3)
    assert check.wrong
    assert (check.mended.lat_deg, check.mended.lon_deg) == pytest.approx((true.lat_deg, true.lon_deg), abs=3e-5)
    assert "too far west" in check.words
    assert "too far south" in check.words


def test_numbers_of_points_must_agree() -> None:
    with pytest.raises(InputError, match="4 points with 1 latitudes"):
        check_datum(DATUM, XY, np.array([48.0]), np.array([11.0]), 1.0)


def test_mevas_old_origin_is_wrong_by_eighteen_metres(recording) -> None:
    folder = recording("meva") / "calibration"
    with open(folder / "gcps.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    origin = json.loads((folder / "cameras_old.json").read_text(encoding="utf-8"))["wgs84_origin_in_file"]
    x, y, lat, lon = (np.array([float(row[name]) for row in rows]) for name in ("x", "y", "lat", "lon"))
    check = check_datum(Datum(origin["lat"], origin["lon"], origin["h"]), np.column_stack([x, y]), lat, lon, 1.0)
    assert check.wrong
    assert check.off == pytest.approx(18.5, abs=0.5)  # measured 18.6
    assert (check.east, check.north) == pytest.approx((-11.6, -14.4), abs=0.3)
