"""Rays and Jacobians together, quickly: they must be those of the careful way, whatever the neighbours."""

import numpy as np
import pytest

from geoloc.scene.lenses import Fisheye, Lens, Pinhole, RadialTangential
from geoloc.scene.linearise import by_parameters, linearise_radial_tangential

BASE = (1000.0, 1010.0, 955.0, 545.0)
LENSES = {
    "pinhole": Pinhole(np.array(BASE)),
    "5": RadialTangential(np.array([*BASE, -0.3, 0.1, 1e-3, -5e-4, 0.01])),
    "folds in the image": RadialTangential(np.array([*BASE, -0.4, 0.02, 1e-3, 2e-3])),
    "8": RadialTangential(np.array([*BASE, 0.3, 0.02, 1e-3, 2e-4, 0.0, 0.5, 0.1, 0.01])),
    "14": RadialTangential(
        np.array([*BASE, 0.1, 0.02, 1e-3, 2e-4, 0.0, 0.3, 0.1, 0.0, 1e-3, 1e-3, -1e-3, 2e-3, 0.02, -0.03])
    ),
    "fisheye": Fisheye(np.array([500.0, 505.0, 955.0, 545.0, 0.02, -0.01, 0.002, -3e-4])),
}


def image(rng: np.random.Generator, n: int = 2000) -> np.ndarray:
    return rng.uniform([-300, -300], [2220, 1380], (n, 2))


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_rays_and_jacobians_are_those_of_the_careful_way(lens: Lens, rng: np.random.Generator) -> None:
    pixels = image(rng)
    rays, jacobian = lens.linearise(pixels)
    careful = lens.unproject(pixels)
    np.testing.assert_array_equal(np.isnan(rays[0]), np.isnan(careful[:, 0]))
    np.testing.assert_allclose(rays.T / np.linalg.norm(rays, axis=0)[:, None], careful, atol=2e-9)  # measured 4e-10
    good = ~np.isnan(rays[0])
    again, expected, _ = lens.jacobians(rays.T[good])
    np.testing.assert_allclose(again, pixels[good], atol=2e-6)  # px; measured 3e-7
    # the slopes are those one small step before
    scale = np.abs(expected).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(jacobian[:, :, good].transpose(2, 0, 1) / scale, expected / scale, atol=1e-4)


@pytest.mark.parametrize("lens", [lens for lens in LENSES.values() if not isinstance(lens, Fisheye)])
def test_no_row_depends_on_its_neighbours(lens: Lens, rng: np.random.Generator) -> None:
    pixels = image(rng, 300)
    rays, jacobian = lens.linearise(pixels)
    for row in range(0, 300, 7):
        alone = lens.linearise(pixels[row : row + 1])
        np.testing.assert_array_equal(alone[0][:, 0], rays[:, row])
        np.testing.assert_array_equal(alone[1][:, :, 0], jacobian[:, :, row])


def test_rows_of_many_lenses_are_done_at_once(rng: np.random.Generator) -> None:
    lenses = [LENSES["5"], RadialTangential(np.array([900.0, 900, 960, 540, 0.1, -0.02, 0, 0, 0]))]
    pixels, which = image(rng, 500), rng.integers(0, 2, 500)
    params = np.stack([lens.params for lens in lenses], axis=1)[:, which]
    limit = np.array([lens.limit for lens in lenses])[which]
    rays, jacobian = linearise_radial_tangential(params, limit, pixels.T)
    for index, lens in enumerate(lenses):
        one = lens.linearise(pixels[which == index])
        np.testing.assert_array_equal(one[0], rays[:, which == index])
        np.testing.assert_array_equal(one[1], jacobian[:, :, which == index])


@pytest.mark.parametrize("name", ["pinhole", "5", "8", "14"])
def test_derivatives_by_parameters_are_those_of_all_of_them(name: str, rng: np.random.Generator) -> None:
    lens = LENSES[name]
    rays, _ = lens.linearise(image(rng, 200))
    rays = rays[:, ~np.isnan(rays[0])]
    everything = lens.jacobians(rays.T)[2]
    which = rng.permutation(len(lens.params))
    some = by_parameters(lens.params[:, None], rays, which.tolist())
    np.testing.assert_allclose(some.transpose(2, 1, 0), everything[:, :, which], rtol=1e-12, atol=1e-9)


def test_pixels_that_are_no_numbers_give_no_rays() -> None:
    for lens in LENSES.values():
        rays, jacobian = lens.linearise(np.array([[np.nan, 3.0], [960.0, 540.0]]))
        assert np.isnan(rays[:2, 0]).any()
        assert np.isfinite(rays[:, 1]).all()
        assert np.isfinite(jacobian[:, :, 1]).all()
