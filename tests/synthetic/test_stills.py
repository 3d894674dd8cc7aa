"""A still drawn from the map shows each thing where the camera projects it, and nothing through a wall."""

import numpy as np
import pytest
from calibrated import CROSSES, yard

from geoloc.errors import InputError
from geoloc.scene.sitemap import SiteMap
from geoloc.synthetic.stills import render_still


@pytest.fixture(scope="module")
def site():
    return yard((15.0, -4.0), (33.0, 14.0))


@pytest.fixture(scope="module")
def still(site):
    return render_still(site.cameras[0], site.site_map, np.random.default_rng(3))


def test_crosses_are_drawn_where_the_lens_puts_them(site, still) -> None:
    pixels = np.rint(site.cameras[0].project(np.array(CROSSES))).astype(int)
    seen = [(u, v) for u, v in pixels.tolist() if 1 < u < 478 and 1 < v < 268]
    assert len(seen) >= 2
    for u, v in seen:
        near = still[v - 1 : v + 2, u - 1 : u + 2].reshape(-1, 3).astype(int)
        assert (near[:, 2] - near[:, 0]).max() > 80  # of 175; the floor is grey
        left = still[v - 1 : v + 2, u - 40 : u - 37].reshape(-1, 3).astype(int)
        assert (left[:, 2] - left[:, 0]).max() < 80


def test_a_wall_hides_the_ground_behind_it(site, still) -> None:
    camera = site.cameras[0]
    top, behind = camera.project(np.array([[15.0, 8.0, 0.8], [15.0, 9.0, 0.0]]))
    u, v = np.rint(top).astype(int)
    wall = still[v, u].astype(int)
    assert wall[2] > wall[0]  # the wall's colour is warm, the floor grey
    u, v = np.rint(behind).astype(int)
    np.testing.assert_allclose(still[v, u].astype(int), wall, atol=15)


def test_sky_is_over_everything(still) -> None:
    np.testing.assert_allclose(still[0, ::40].mean(axis=0), (214, 196, 170), atol=6)


def test_an_endless_level_is_refused(site) -> None:
    with pytest.raises(InputError, match="has no outline"):
        render_still(site.cameras[0], SiteMap(), np.random.default_rng(0))
