"""The picture of a lens calibration is whole, for landscapes and portraits, few pictures and many, any names."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.spatial.transform import RigidTransform

from geoloc.calibrate.boards import BoardCorners, RefusedView
from geoloc.calibrate.intrinsics import IntrinsicsFit
from geoloc.draw.coverage import CoverageOptions, draw_coverage
from geoloc.errors import InputError
from geoloc.scene.lenses import Fisheye, RadialTangential


def fit_of(size=(1280, 720), n_views=6, names="still {}") -> IntrinsicsFit:
    rng = np.random.default_rng(1)
    middle = (np.array(size) - 1) / 2
    lens = RadialTangential(np.array([900, 900, *middle, -0.2, 0.05, 0, 0, 0]))
    spots = [rng.uniform(0.1, 0.5, 2) * size + rng.uniform(0, 0.4, (12, 2)) * size for _ in range(n_views)]
    views = [names.format(i) for i in range(n_views)]
    corners = BoardCorners(
        camera=np.full(12 * n_views, "gate"),
        view=np.repeat(views, 12),
        corner=np.tile(np.arange(12), n_views),
        pixel=np.concatenate(spots),
    )
    used = np.ones(len(corners), bool)
    used[5] = False
    cov = np.diag([4.0, 4, 9, 9, 1e-4, 1e-3, 1e-7, 1e-7, 1e-2])
    poses = RigidTransform.from_translation(np.tile([0, 0, 1.0], (n_views, 1)))
    residual = rng.normal(0, 0.2, (len(corners), 2))
    return IntrinsicsFit(
        "gate", lens, size, cov, ("f",), ("k3",), 0.2, corners, residual, used, tuple(views), poses,
        (RefusedView("dark $1_", "no board"),), ("no board in the left third of the picture: hold it there",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("size", "n_views", "dark"), [((1280, 720), 6, False), ((1088, 1920), 1, True), ((640, 640), 60, False)]
)
def test_picture_is_as_wide_as_asked(size, n_views, dark, tmp_path: Path) -> None:
    options = CoverageOptions(width_in=10, dpi=60, dark=dark)
    path = draw_coverage(fit_of(size, n_views, "a $x_{} \n <b>"), tmp_path / "lens.png", options)
    picture = imread(BytesIO(path.read_bytes()))
    assert picture.shape[1] == 600
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 50


def test_a_lens_that_folds_over_is_still_drawn(tmp_path: Path) -> None:
    fit = fit_of()
    folding = RadialTangential(np.array([500, 500, 640, 360, -0.6, 0, 0, 0, 0.0]))
    dome = Fisheye(np.array([400, 400, 640, 360, 0, 0, 0, 0.0]))
    for lens, n in ((folding, 9), (dome, 8)):
        changed = replace(fit, lens=lens, cov=fit.cov[:n, :n])
        path = draw_coverage(changed, tmp_path / "lens.png", CoverageOptions(dpi=40))
        assert path.stat().st_size > 5000


def test_the_same_fit_gives_the_same_picture(tmp_path: Path) -> None:
    first, second = (draw_coverage(fit_of(), tmp_path / name, CoverageOptions(dpi=40)) for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="width_in"):
        CoverageOptions(width_in=2)
