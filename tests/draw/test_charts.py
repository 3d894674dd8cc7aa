"""Charts of pages: numbers where they belong, nothing lost by thinning, names that stay text."""

import html
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from geoloc.draw.charts import MOST_POINTS, Curve, bar_chart, line_chart, reliability_chart, thinned, whisker
from geoloc.draw.error_chart import MOST_SINGLE, colour_edges, error_chart, grouped, hexagon_of
from geoloc.draw.svg import plain, scale
from geoloc.draw.timeline import Stretch, timeline
from geoloc.errors import InputError

HOSTILE = "</svg><script>window.hit=1</script>\" onload='window.hit=1"
NAN = float("nan")


def parsed(text: str) -> ElementTree.Element:
    """The chart as XML, which refuses whatever is not well-formed."""
    return ElementTree.fromstring(f"<div>{text}</div>")


def told(text: str) -> dict:
    return json.loads(html.unescape(re.findall(r'data-chart="([^"]*)"', text)[0]), parse_constant=pytest.fail)



def test_a_line_goes_through_its_points_and_its_band_around_it():
    curve = Curve("a", np.array([0.0, 5.0, 10.0]), np.array([0.0, 50.0, 100.0]), np.zeros(3), np.full(3, 100.0))
    root = parsed(line_chart([curve], "t", "y"))
    spots = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter("circle")]
    assert spots[1] == pytest.approx(np.mean([spots[0], spots[2]], axis=0), abs=0.1)
    assert spots[0][1] > spots[2][1], "up is more"
    band = np.array([p.split(",") for p in next(root.iter("polygon")).get("points").split()], float)
    assert (band[:, 1].min(), band[:, 1].max()) == (spots[2][1], spots[0][1])


AXES = (
    ([0.1, 0.93], 0, 1), ([76.0, 81.0], 76, 81), ([-3.0, 12.0], -5, 15),
    ([5.0], 2, 8), ([], 0, 1), ([NAN, 0.0], -1, 1),
)  # fmt: skip


@pytest.mark.parametrize(("values", "low", "high"), AXES)
def test_axes_end_at_round_values_around_the_data(values, low, high):
    made = scale([np.array(values)], 0, 100, snap=True)
    finite = [v for v in values if np.isfinite(v)]
    assert all(made.low <= v <= made.high for v in finite)
    assert made.low == made.ticks[0]
    assert made.high == made.ticks[-1]
    assert low - 0.5 <= made.low
    assert made.high <= high + 0.5
    assert len(set(made.labels)) == len(made.ticks) <= 9


def test_gaps_stay_gaps_and_a_lone_point_is_seen():
    y = np.array([1.0, 2.0, NAN, 4.0, NAN, 6.0, 7.0])
    text = line_chart([Curve("a", np.arange(7.0), y)], "t", "y")
    assert len(re.findall(r'<path class="curve', text)) == 3
    assert told(text)["lines"][0]["y"] == [1, 2, None, 4, None, 6, 7]


def test_thinning_keeps_every_peak(rng):
    y = rng.normal(size=50_000)
    y[31_234], y[777] = 40.0, -40.0
    few = thinned(Curve("a", np.arange(50_000.0), y, y - 1, y + 1))
    assert len(few.x) <= MOST_POINTS
    assert {40.0, -40.0} <= set(few.y.tolist())
    assert np.array_equal(few.low, few.y - 1)
    assert (np.diff(few.x) > 0).all()


@pytest.mark.parametrize("n", [0, 1])
def test_hardly_any_data_are_still_a_chart(n):
    curve = Curve("a", np.zeros(n), np.zeros(n))
    for text in (line_chart([curve], "x", "y"), line_chart([], "x", "y"), reliability_chart([curve], "x", "y")):
        assert "NaN" not in text
        assert "inf" not in text
        parsed(text)
    empty = np.zeros((0, 2))
    text = error_chart(np.zeros((n, 2)), np.zeros(n), empty, empty)
    assert "nan" not in text
    parsed(text)
    parsed(bar_chart(["a"] * n, np.zeros(n), np.full(n, NAN), np.full(n, NAN)))
    parsed(timeline([Stretch("a", 5.0, 5.0, 0.0, "nothing")]))


def test_arrays_that_do_not_fit_together_are_refused():
    with pytest.raises(InputError, match="curve 'a'"):
        Curve("a", np.zeros(3), np.zeros(2))
    with pytest.raises(InputError, match="curve 'a'"):
        Curve("a", np.zeros(3), np.zeros(3), low=np.zeros(2), high=np.zeros(2))


def test_names_stay_text():
    one = np.ones(1)
    charts = [
        line_chart([Curve(HOSTILE, one, one)], HOSTILE, HOSTILE),
        reliability_chart([Curve(HOSTILE, one, one)], HOSTILE, HOSTILE),
        bar_chart([HOSTILE], one, one, one, HOSTILE),
        timeline([Stretch(HOSTILE, 0, 1, 1, HOSTILE)]),
    ]
    for text in charts:
        assert "<script" not in text
        root = parsed(text)
        assert all("onload" not in element.attrib for element in root.iter())
    assert told(charts[0])["lines"][0]["name"] == HOSTILE


def test_an_interval_that_holds_the_mark_is_hollow():
    assert "open" in whisker(0.2, -0.1, 0.5, (-1, 1), mark=0.0)
    assert "open" not in whisker(0.2, 0.1, 0.5, (-1, 1), mark=0.0)
    assert 'class="range"' not in whisker(0.2, NAN, NAN, (0, 1))


def test_every_point_lies_in_its_hexagon(rng):
    xy = rng.uniform(-40, 40, (5000, 2))
    away = np.linalg.norm(xy - hexagon_of(xy, 2.0), axis=1)
    assert away.max() <= 2.0 / np.sqrt(3) + 1e-9, "no farther from its centre than a corner"
    assert away.max() > 1.0


def test_a_cell_tells_its_median_largest_and_number(rng):
    centres, error = rng.integers(0, 6, (400, 2)).astype(float), rng.exponential(size=400)
    places, median, largest, counts = grouped(centres, error, True)
    assert counts.sum() == 400
    for place, m, most, n in zip(places, median, largest, counts, strict=True):
        inside = error[(centres == place).all(axis=1)]
        assert (m, most, n) == pytest.approx((np.median(inside), inside.max(), len(inside)))


def test_large_errors_have_another_colour_and_lie_on_top():
    xy = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 5.0]])
    root = parsed(error_chart(xy, np.array([3.0, 0.01, 0.02]), xy[:1], xy[1:2]))
    circles = list(root.iter("circle"))
    assert circles[-1].get("class") == "spot h6"
    assert circles[0].get("class") == "spot h0"
    assert circles[-1].get("data-tip") == "3 m at 0.0, 0.0 m"
    cross = next(p for p in root.iter("path") if p.get("class") == "missed")
    assert cross.get("data-tip") == "missed at 0.0, 0.0 m"
    assert colour_edges(np.full(10, 0.7)).tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_north_is_up_and_a_metre_as_long_both_ways():
    xy = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    root = parsed(error_chart(xy, np.array([1.0, 2.0, 3.0]), xy[:0], xy[:0]))
    at = {c.get("data-tip"): c for c in root.iter("circle")}
    x, y = ({tip.split()[0]: float(c.get(end)) for tip, c in at.items()} for end in ("cx", "cy"))
    assert y["3"] < y["1"]
    assert x["2"] - x["1"] == pytest.approx(y["1"] - y["3"], abs=0.2)


def test_crowds_are_binned_and_stay_small(rng):
    xy, many = rng.uniform(0, 200, (50_000, 2)), rng.uniform(0, 200, (20_000, 2))
    text = error_chart(xy, rng.exponential(0.3, 50_000), many, many)
    assert "in hexagons of" in text
    assert "50,000 matched" in text
    assert len(text) < 900_000
    few = error_chart(xy[:MOST_SINGLE], np.ones(MOST_SINGLE), many[:0], many[:0])
    assert few.count("<circle") == MOST_SINGLE


def test_strays_and_what_is_no_number_are_counted_not_drawn(rng):
    xy = np.concatenate([rng.uniform(0, 20, (200, 2)), [[5e4, 0], [NAN, 1]]])
    text = error_chart(xy, np.append(np.ones(201), NAN), np.array([[NAN, 0.0]]), np.zeros((0, 2)))
    assert "200 matched" in text
    assert "3 far off or no number: not drawn" in text


def test_stretches_lie_in_time_and_the_dearest_is_darkest():
    root = parsed(timeline([Stretch("a", 0, 10, 1, "cheap"), Stretch("b", 90, 100, 5, "dear")]))
    spots = {r.get("data-tip"): r for r in root.iter("rect") if r.get("data-tip")}
    assert spots["cheap"].get("x") == "0.00%"
    assert spots["dear"].get("x") == "90.00%"
    assert spots["dear"].get("class") == "h6"
    assert spots["cheap"].get("class") < "h6"


def test_numbers_have_four_digits_and_no_exponent():
    found = [plain(v) for v in (0.0, 12345.6, 0.34567, 98.0, 1e-5, -1.5, NAN)]
    assert found == ["0", "12,346", "0.3457", "98", "0.00001", "-1.5", ""]
