"""Models without known poses: what two halves of their points say of how far they are bent."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_landmarks import SIZE, cameras_of, draw_court, see

from geoloc.geometry.se3 import perturb
from geoloc.metrics.consistency import consistency
from geoloc.relocalize.bends import straight_only
from geoloc.relocalize.structure import Picture, align, reconstruct_halves


def bent(cameras, rng, sigma):
    """The cameras, each off by its own error in rotation and place, of a sigma that grows along them."""
    growing = np.linspace(0.3, 1.0, len(cameras)) * sigma
    return [
        replace(camera, cam_from_world=perturb(camera.cam_from_world, own * np.array([0.1] * 3 + [1.0] * 3) * draw))
        for camera, own, draw in zip(cameras, growing, rng.normal(size=(len(cameras), 6)), strict=True)
    ]


def test_where_two_halves_disagree_the_covariance_says_how_far_the_whole_may_be_bent(rng):
    values = []
    for _ in range(30):
        true = cameras_of(rng, 20)
        halves = bent(true, rng, 0.3), bent(true, rng, 0.3)
        whole = [
            replace(camera, cam_from_world=perturb(a.cam_from_world, 0.5 * apart))
            for camera, a, apart in zip(true, halves[0], map(between, halves[1], halves[0]), strict=True)
        ]
        for camera, kept in zip(true, straight_only(whole, halves).cameras, strict=True):
            off = kept.centre_world - camera.centre_world
            values.append(off @ off / kept.calib_cov[3, 3])
    # 3 expected of a place; the sigma of one is told by five, of a variance that differs among them
    assert 2.0 < consistency(np.array(values), 3).mean < 6.0


def between(camera, other):
    return (camera.cam_from_world * other.cam_from_world.inv()).as_exp_coords()


def test_a_picture_that_hangs_on_too_little_places_nothing(rng):
    true = cameras_of(rng, 8)
    far = replace(true[7], cam_from_world=perturb(true[7].cam_from_world, np.array([0, 0, 0, 20.0, 0, 0])))
    alone = straight_only(true, [true, true[:6] + true[7:]])
    assert list(alone.refused) == ["c6"]
    assert "only a part of what it shares" in alone.refused["c6"]
    apart = straight_only(true, [true, [*true[:7], far]])
    assert "leave its place open by" in apart.refused["c7"]
    assert not straight_only(true, []).cameras


def test_halves_of_a_model_that_holds_agree(rng):
    pytest.importorskip("pycolmap")
    court, true = draw_court(rng, 900), cameras_of(rng, 6)
    pictures = [Picture(camera.name, see(court, camera, rng), SIZE, camera) for camera in true]
    whole, halves = reconstruct_halves(pictures)
    centres = {camera.name: camera.centre_world for camera in true[:5]}
    brought = [align(model, centres, dict.fromkeys(centres, 1e-6 * np.eye(3)))[0] for model in (whole, *halves)]
    found = straight_only(brought[0], brought[1:])
    assert len(found.cameras) == 6
    last = found.cameras[5]
    off, sigma = np.linalg.norm(last.centre_world - true[5].centre_world), np.sqrt(last.calib_cov[3, 3])
    assert off < 0.08
    assert sigma < 0.08
