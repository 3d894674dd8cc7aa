"""Plumb, parallel and horizon lines, and known heights: honest, helpful, and named where they are wrong."""

from dataclasses import replace

import numpy as np
import pytest
from consistency import assert_consistent
from line_sites import draw_lines

from geoloc.calibrate.joint import JointSolution, calibrate_jointly
from geoloc.calibrate.single import SingleSolution, calibrate_camera
from geoloc.calibrate.single_case import SingleOptions
from geoloc.calibrate.solution import Refused
from geoloc.errors import InputError
from geoloc.scene.camera import Camera
from geoloc.scene.known import ImageLines, Known, KnownCamera, KnownLens
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.synthetic.drawn_cameras import SIZE, DrawnCamera, calib_error, draw_camera, untied
from geoloc.synthetic.drawn_sites import SIGMA_PX, draw_site

LOT = SiteMap((Level("lot", (Surface(),)),))


def joined(*tables: ImageLines) -> ImageLines:
    return ImageLines(
        **{name: np.concatenate([getattr(table, name) for table in tables]) for name in tables[0].columns}
    )


def lines_about(site: DrawnCamera, rng: np.random.Generator, **wanted) -> ImageLines:
    return draw_lines(rng, site.camera, site.truth.mean(axis=0) * [1, 1, 0], **wanted)


def solved(site: DrawnCamera, known: Known, exact: bool = False) -> SingleSolution:
    options = SingleOptions(sigma_known=exact)
    found = calibrate_camera("cam", SIZE, site.marks, site.points, options, known, LOT)
    assert not isinstance(found, Refused), found
    return found


def up_sigma(camera: Camera) -> float:
    across = np.cross(np.eye(3), camera.cam_from_world.rotation.as_matrix()[:, 2])
    return float(np.sqrt(np.linalg.eigvalsh(across @ camera.calib_cov[:3, :3] @ across.T)[-1]))


@pytest.mark.slow
def test_a_camera_of_few_marks_and_lines_is_honest_and_surer() -> None:
    errors, covs, turned, sigmas = [], [], [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        site = draw_camera(rng, 7)
        lines = lines_about(site, rng, plumb=3, parallel=3, horizon=True)
        plain = calibrate_camera("cam", SIZE, site.marks, site.points, SingleOptions(sigma_known=True))
        found = solved(site, Known(lines=lines), exact=True)
        errors.append(calib_error(found.camera, site.camera)[:6])
        covs.append(found.camera.calib_cov[:6, :6])
        if not isinstance(plain, Refused):
            turned.append([np.linalg.norm(calib_error(one.camera, site.camera)[:3]) for one in (plain, found)])
            sigmas.append([up_sigma(one.camera) for one in (plain, found)])
    assert_consistent(np.array(errors), np.array(covs))
    assert len(turned) >= 4
    without, with_lines = np.median(turned, axis=0)
    assert with_lines < without
    without, with_lines = np.median(sigmas, axis=0)
    assert with_lines < 0.8 * without


def test_three_marks_with_a_known_lens_and_plumb_lines_are_enough() -> None:
    errors, covs = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        site = draw_camera(rng, 12)
        few = replace(site, marks=site.marks.take(np.arange(3)))
        lens = Known(cameras=(KnownCamera("cam", lens="dome"),), lenses=(KnownLens("dome", site.camera.lens, SIZE),))
        refused = calibrate_camera("cam", SIZE, few.marks, few.points, known=lens)
        assert isinstance(refused, Refused)
        found = calibrate_camera(
            "cam", SIZE, few.marks, few.points, SingleOptions(sigma_known=True),
            replace(lens, lines=lines_about(site, rng, plumb=4)), LOT,
        )  # fmt: skip
        if isinstance(found, SingleSolution):
            assert any("4 plumb" in note for note in found.notes)
            errors.append(calib_error(found.camera, site.camera)[:6])
            covs.append(found.camera.calib_cov[:6, :6])
    assert len(errors) >= 10
    assert_consistent(np.array(errors), np.array(covs))


def test_a_leaning_pole_and_a_mistaken_bearing_are_named(rng: np.random.Generator) -> None:
    site = draw_camera(rng, 14)
    lines = lines_about(site, rng, plumb=4, parallel=3)
    end = lines.end.copy()
    end[1] += [40.0, 0.0]
    found = solved(site, Known(lines=lines.replace(end=end)))
    u, v = lines.start[1]
    assert any(f"plumb line from ({u:.0f}, {v:.0f})" in note and "left out" in note for note in found.notes)
    wrong = lines_about(site, rng, plumb=4, parallel=4, bearing_deg=30.0, stated_deg=50.0)
    found = solved(site, Known(lines=wrong))
    assert any("'kerb' do not run at the stated bearing of 50.0 deg" in note for note in found.notes)
    assert np.linalg.norm(found.camera.centre_world - site.camera.centre_world) < 1.0


def test_a_known_height_sharpens_and_a_wrong_one_is_named(rng: np.random.Generator) -> None:
    site = draw_camera(rng, 8)
    height = float(site.camera.centre_world[2])
    plain, tall = (
        solved(site, Known(cameras=(KnownCamera("cam", height=known, height_sigma=0.02),)))
        for known in (float("nan"), height)
    )
    error = [abs(one.camera.centre_world[2] - height) for one in (plain, tall)]
    assert error[1] < 0.06
    assert error[1] < error[0]
    assert any("its known height counts" in note for note in tall.notes)
    feet = solved(site, Known(cameras=(KnownCamera("cam", height=height / 0.3048),)))
    assert any("height" in note and "left out" in note for note in feet.notes)
    assert feet.camera.centre_world == pytest.approx(plain.camera.centre_world)
    with pytest.raises(InputError, match="give the site's map"):
        calibrate_camera("cam", SIZE, site.marks, site.points, known=Known(cameras=(KnownCamera("cam", height=4.0),)))


def joint_case(seed: int, **wanted) -> tuple:
    rng = np.random.default_rng(seed)
    site = draw_site(rng, n_cameras=3, n_points=24, n_controls=6)
    wanted = {"plumb": 3, "parallel": 2, "sigma": SIGMA_PX, **wanted}
    return site, joined(*(draw_lines(rng, camera, np.zeros(3), **wanted) for camera in site.true.values()))


def jointly(site, known: Known) -> JointSolution:
    return calibrate_jointly(site.marks, site.site_map, site.starts, known, free=site.free)


def test_lines_make_a_joint_adjustment_surer_and_leave_it_honest() -> None:
    # measured over 60 sites: mean NEES 8.2 of 8; turned by 0.0018 rad rather than 0.0026, as the sigmas have it
    errors, covs, turned, sigmas = [], [], [], []
    for seed in range(14):
        site, lines = joint_case(seed)
        found = [jointly(site, known).solution.cameras[1] for known in (Known(), Known(lines=lines))]
        keep = untied(found[1])
        error = [calib_error(camera, site.true[camera.name]) for camera in found]
        errors.append(error[1][keep])
        covs.append(found[1].calib_cov[np.ix_(keep, keep)])
        turned.append([np.linalg.norm(one[:3]) for one in error])
        sigmas.append([np.sqrt(np.trace(camera.calib_cov[:3, :3])) for camera in found])
    assert_consistent(np.array(errors), np.array(covs))
    without, with_lines = np.sqrt(np.mean(np.square(turned), axis=0))
    assert with_lines < 0.95 * without
    without, with_lines = np.mean(sigmas, axis=0)
    assert with_lines < 0.9 * without


def test_joint_adjustment_names_wrong_lines_and_bearings() -> None:
    site, lines = joint_case(3, stated_deg=30.0)
    end = lines.end.copy()
    end[0] += [50.0, 0.0]
    notes = jointly(site, Known(lines=lines.replace(end=end))).solution.notes
    assert any("camera c0: the plumb line from" in note and "left out" in note for note in notes)
    assert sum("contradicts" in note for note in notes) == 1
    turned = lines.replace(bearing=lines.bearing + np.radians(20.0))
    notes = jointly(site, Known(lines=turned)).solution.notes
    assert any("stated bearing of 50.0 deg, which was left out" in note for note in notes)


def test_two_control_points_and_plumb_lines_are_enough() -> None:
    rng = np.random.default_rng(5)
    site = draw_site(rng, n_controls=2, off=0.2)
    lines = draw_lines(rng, site.true["c0"], np.zeros(3), plumb=4, sigma=SIGMA_PX)
    found = jointly(site, Known(lines=lines)).solution
    assert len(found.cameras) == 5
    error = np.linalg.norm(found.cameras[2].centre_world - site.true["c2"].centre_world)
    assert error < 1.0
