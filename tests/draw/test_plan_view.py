"""Plan views: made for every kind of site, not blank, and showing what they were given."""

import subprocess
import sys

import numpy as np
import pytest
from draw_samples import bare, crowd, garage, plaza, traffic, walk

from geoloc.draw.layers import Markers
from geoloc.draw.plan import PlanOptions, draw_plan
from geoloc.draw.style import DARK, LIGHT, blend
from geoloc.errors import InputError, UnknownNameError
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

SMALL, FINE = PlanOptions(dpi=60), PlanOptions(dpi=130)


def pixels(path):
    from matplotlib.image import imread

    return np.rint(255 * imread(path)[..., :3]).astype(int)


def count(image, colour, tolerance=24):
    """How many pixels are near a colour (#rrggbb)."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(image - wanted).max(axis=2) <= tolerance).sum())


def straight(track, level, n=30):
    times = np.arange(n) * 0.2
    return walk(track, times, np.column_stack([4 + 0.3 * np.arange(n), np.full(n, 3.0)]), level)


@pytest.mark.parametrize(
    ("site", "tracks"),
    [
        pytest.param(plaza(), crowd(np.random.default_rng(1)), id="one level"),
        pytest.param(garage(), traffic(), id="two levels"),
        pytest.param(bare(), straight(3, "ground"), id="no datum"),
        pytest.param(plaza(), Tracks(), id="no tracks"),
        pytest.param(bare(), straight(3, "ground", 1), id="one point"),
        pytest.param(Site("nothing", ()), Tracks(), id="nothing at all"),
    ],
)
def test_picture_is_made_and_not_blank(tmp_path, site, tracks):
    image = pixels(draw_plan(site, tracks, tmp_path / "plan.png", options=SMALL))
    assert min(image.shape[:2]) > 250
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 60
    assert count(image, LIGHT.ink) > 20, "the title"


def test_track_is_drawn_in_its_colour_where_it_went(tmp_path):
    # a track of its own colour, without ellipse: only path, dot and id
    tracks = straight(9, "ground").replace(cov=np.full((30, 4, 4), np.nan))
    without = pixels(draw_plan(bare(), Tracks(), tmp_path / "a.png", options=FINE))
    image = pixels(draw_plan(bare(), tracks, tmp_path / "b.png", options=FINE))
    colour = LIGHT.track(9)
    assert count(without, colour) == 0
    assert count(image, colour) > 40
    young = np.argwhere(np.abs(image - pixel_of(colour)).max(axis=2) <= 24)[:, 1].mean()
    old = np.argwhere(np.abs(image - pixel_of(blend(colour, LIGHT.ground, 0.4))).max(axis=2) <= 14)[:, 1].mean()
    assert young > old, "the end of a track that goes east is the strong one"


def pixel_of(colour):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def test_ellipses_are_as_large_as_the_covariance_says(tmp_path):
    tracks = straight(9, "ground", 1)
    sizes = []
    for sigma in (0.5, 1.0):
        cov = np.zeros((1, 4, 4))
        cov[:, 0, 0] = cov[:, 1, 1] = sigma**2
        one = tracks.replace(cov=cov, bias_cov=np.zeros((1, 2, 2)))
        image = pixels(draw_plan(Site("s", ()), one, tmp_path / "e.png"))
        # the ellipse's own tint, on white
        tint = blend(LIGHT.track(9), LIGHT.ground, 0.16)
        rows = np.flatnonzero((np.abs(image - pixel_of(tint)).max(axis=2) <= 3).sum(axis=1) > 5)
        sizes.append(np.ptp(rows))
    # both pictures are 12 m high: 95 % of a 2D Gaussian lies within 2.448 sigma
    high = 8.5 * PlanOptions().dpi
    assert sizes[0] / high * 12 == pytest.approx(2 * 2.448 * 0.5, rel=0.05)
    assert sizes[1] / sizes[0] == pytest.approx(2, rel=0.05)


def test_rows_that_are_not_finite_do_not_break_the_picture(tmp_path):
    tracks = straight(4, "ground")
    xy, cov, velocity = tracks.xy.copy(), tracks.cov.copy(), tracks.velocity.copy()
    xy[3], cov[5], velocity[7], cov[9] = np.nan, np.nan, np.inf, np.inf
    broken = tracks.replace(xy=xy, cov=cov, velocity=velocity)
    image = pixels(draw_plan(bare(), broken, tmp_path / "plan.png", options=FINE))
    assert count(image, LIGHT.track(4)) > 20


def test_markers_and_chosen_levels_are_shown(tmp_path):
    markers = Markers(name=["GPS", "truth"] * 10, xy=np.random.default_rng(0).uniform(5, 25, (20, 2)))
    both = pixels(draw_plan(garage(), traffic(), tmp_path / "a.png", options=FINE))
    one = pixels(draw_plan(garage(), traffic(), tmp_path / "b.png", levels=["level 2"], markers=markers, options=FINE))
    assert one.shape[0] < both.shape[0]
    assert count(one, LIGHT.markers[1]) > 20 > count(both, LIGHT.markers[1])
    with pytest.raises(UnknownNameError, match="did you mean 'level 2'"):
        draw_plan(garage(), traffic(), tmp_path / "c.png", levels=["level2"])
    assert not (tmp_path / "c.png").exists()


def test_dark_pictures_are_dark(tmp_path):
    image = pixels(draw_plan(plaza(), Tracks(), tmp_path / "d.png", options=PlanOptions(dpi=60, dark=True)))
    assert image.mean() < 80
    assert count(image, DARK.paper, 2) > 1000


@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_are_words_and_not_markup(tmp_path):
    site = plaza()
    hostile = Site("$\\frac{1}$ <b>\n" + "long " * 60, site.cameras, site.site_map)
    markers = Markers(name=["_$\\bad{"], xy=[[3, 3]])
    image = pixels(draw_plan(hostile, Tracks(), tmp_path / "x.png", markers=markers, options=FINE))
    assert count(image, LIGHT.markers[0]) > 0
    margin = image[:, -12:]
    assert (np.abs(margin - pixel_of(LIGHT.paper)).max(axis=2) <= 2).all(), "the title runs over the edge"


def test_same_input_gives_the_same_picture(tmp_path):
    a = draw_plan(garage(), traffic(), tmp_path / "a.png", options=SMALL).read_bytes()
    tracks = traffic()
    shuffled = tracks.take(np.random.default_rng(3).permutation(len(tracks)))
    assert draw_plan(garage(), shuffled, tmp_path / "b.png", options=SMALL).read_bytes() == a


def test_picture_that_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / "plan.png").mkdir()
    with pytest.raises(InputError, match=r"plan\.png"):
        draw_plan(bare(), Tracks(), tmp_path / "plan.png", options=SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["plan.png"]


def test_options_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"probability is 1\.2"):
        PlanOptions(probability=1.2)


def test_drawing_leaves_no_global_state_and_importing_loads_no_matplotlib(tmp_path):
    program = (
        "import sys\n"
        "from geoloc.draw.plan import draw_plan\n"
        "from geoloc.draw.page import write_map_page\n"
        "from geoloc.scene.site import Site\n"
        "from geoloc.scene.tables import Tracks\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"draw_plan(Site('s', ()), Tracks(), {str(tmp_path / 'p.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
