"""The page of reports in a browser: complete, offline, safe against names, in width and hover as people need it."""

import re
from dataclasses import replace

import numpy as np
import pytest
from page_samples import garage_reports, retrieval_report, robustness_report

from geoloc.errors import InputError
from geoloc.evaluation.page import write_report_page
from geoloc.evaluation.page_figures import domain_of, headlines, label_of
from geoloc.evaluation.report import Absent, Chart, Difference, ErrorMap, Figure, Line, Moment, Report

HOSTILE = "</script><script>window.hit=1</script><img src=x onerror=window.hit=1>{{reports}}\"'\ud800"
NAN = float("nan")


def hostile_report() -> Report:
    one = np.ones(1)
    return Report(
        HOSTILE, HOSTILE,
        (Figure(HOSTILE, HOSTILE, HOSTILE, 1.0, NAN, NAN, HOSTILE, HOSTILE),),
        absent=(Absent(HOSTILE, HOSTILE, HOSTILE),),
        warnings=(HOSTILE,),
        differences=(Difference(HOSTILE, HOSTILE, 1.0, 1.0, 0.0, NAN, NAN, NAN, HOSTILE, HOSTILE),),
        charts=(Chart(HOSTILE, HOSTILE, HOSTILE, (Line(HOSTILE, one, one),), HOSTILE),),
        error_maps=(ErrorMap(HOSTILE, np.zeros((1, 2)), one, np.zeros((0, 2)), np.zeros((0, 2))),),
        moments=(Moment(HOSTILE, 0.0, 1.0, 1.0, HOSTILE),),
    )  # fmt: skip


def crowded_report() -> Report:
    rng = np.random.default_rng(3)
    xy, level = rng.uniform(0, 300, (50_000, 2)), "W" * 200
    time = 1.7e9 + np.arange(50_000.0)
    return Report(
        "A whole day" + "y" * 150, "tracking", (Figure("a_b" * 50, "p" * 120, "hota", 5e8, 4e8, 6e8, "m", "n" * 300),),
        charts=(Chart("error", "time", "m", (Line("median", time, rng.exponential(size=50_000)),)),),
        error_maps=(ErrorMap(level, xy, rng.exponential(0.4, 50_000), xy[:9000], xy[9000:20000]),),
        moments=(Moment("p" * 150, 0.0, 1.0, 3.0, "q" * 400),),
    )  # fmt: skip


@pytest.fixture(scope="module")
def reports():
    return [*garage_reports(), retrieval_report(np.random.default_rng(1)), robustness_report()]


@pytest.fixture(scope="module")
def pages(reports, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    return {
        "families": write_report_page(reports, folder / "families.html", title="Garage, all families"),
        "hostile": write_report_page([hostile_report()], folder / "hostile.html"),
        "crowded": write_report_page([crowded_report()], folder / "crowded.html"),
    }


@pytest.fixture
def open_page(open_file, pages):
    """Function that opens one of the pages by its name."""
    return lambda name, width=1280, height=900, **options: open_file(pages[name], width, height, **options)


def at_rest(page, element):
    """In view, with the scrolling done: what moves away from under the mouse tells nothing."""
    element.scroll_into_view_if_needed()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_page_asks_for_nothing_from_outside_and_stays_small(pages):
    sizes = {}
    for name, path in pages.items():
        text = path.read_text(encoding="utf-8")
        sizes[name] = len(text.encode())
        assert "default-src 'none'" in text
        if name != "hostile":
            assert re.findall(r"""<link[^>]+href="(?!data:)|\ssrc=|@import|url\(|fetch\(|XMLHttpRequest""", text) == []
    assert sizes["families"] < 400_000  # measured 0.27 MB
    assert sizes["crowded"] < 1_000_000  # measured 0.46 MB, of 50,000 positions and 20,000 marks


@pytest.mark.parametrize("name", ["families", "hostile", "crowded"])
@pytest.mark.parametrize("width", [1280, 768, 390])
def test_nothing_goes_over_the_edge(open_page, name, width):
    page = open_page(name, width)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    over = page.evaluate("""() => [...document.querySelectorAll('body *')]
      .filter(e => !e.closest('.tip') && e.getBoundingClientRect().right > innerWidth + 0.5)
      .map(e => e.tagName + '.' + e.getAttribute('class'))""")
    assert over == []


def test_every_figure_stands_there_with_interval_and_protocol(open_page, reports):
    page = open_page("families")
    for number, report in enumerate(reports, 1):
        article = page.locator(f"#r{number}")
        text = article.inner_text()
        rows = article.locator("details tbody tr").count()
        assert rows == len(report.figures)
        assert all(figure.protocol in text for figure in report.figures)
        assert all(absent.reason in text for absent in report.absent)
        assert all(moment.what in text for moment in report.moments)
        assert article.locator(".differences tbody tr").count() == len(report.differences)
        assert article.locator("svg[data-chart]").count() == len(report.charts)
    # each number of a note leads to its text
    dead = page.evaluate("""() => [...document.querySelectorAll('a.note')]
      .filter(a => document.querySelector(a.hash)?.textContent !== a.dataset.tip).length""")
    assert dead == 0
    first = reports[0].figures[0]
    row = page.locator("#r1 details tbody tr >> nth=0").inner_text()
    assert f"{first.value:.2f}" in row
    assert f"{first.low:.2f} to {first.high:.2f}" in row


def test_warnings_come_first(open_page, reports):
    page = open_page("families")
    box = page.locator(".warning").bounding_box()
    assert box["y"] < page.locator("article >> nth=0").bounding_box()["y"]
    assert reports[0].warnings[0] in page.inner_text("main")


def test_pointing_at_a_curve_tells_its_values(open_page, reports):
    page = open_page("families")
    chart = page.locator("#r1 svg[data-chart] >> nth=0")
    at_rest(page, chart)
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 16, box["y"] + box["height"] / 2)
    said = page.inner_text(".tip")
    line = reports[0].charts[0].lines[0]
    assert "alpha: 0.95" in said
    assert float(re.search(r"HOTA\s+([\d.]+)", said)[1]) == pytest.approx(line.y[-1], rel=1e-3)
    page.mouse.move(2, 2)
    assert not page.is_visible(".tip")
    chart.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "alpha: 0.1" in page.inner_text(".tip")


def test_bands_are_told_with_their_curve(open_page):
    page = open_page("families")
    chart = page.locator("#r4 svg[data-chart]")
    at_rest(page, chart)
    chart.focus()
    page.keyboard.press("ArrowRight")
    assert re.search(r"rain\s+0.9 \(0.88 to 0.92\)", page.inner_text(".tip"))


@pytest.mark.parametrize("spot", [".ground .spot >> nth=5", ".timeline [data-tip] >> nth=0", ".bar >> nth=0", "a.note"])
def test_pointing_at_a_mark_tells_what_it_is(open_page, spot):
    page = open_page("families")
    mark = page.locator(spot).first
    at_rest(page, mark)
    mark.hover(force=True)
    assert page.is_visible(".tip")
    assert len(page.inner_text(".tip")) > 5
    box = page.locator(".tip").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1280


def test_hostile_names_are_shown_and_not_run(open_page):
    page = open_page("hostile")
    assert page.evaluate("window.hit") is None
    assert page.locator("script").count() == 1
    assert page.locator("img").count() == 0
    assert page.inner_text("h1").startswith("</script><script>")
    assert page.inner_text("h1").count("{{reports}}") == 1
    chart = page.locator("svg[data-chart]")
    at_rest(page, chart)
    chart.focus()
    page.keyboard.press("ArrowRight")
    assert "<img src=x" in page.inner_text(".tip")
    assert page.evaluate("window.hit") is None


def test_dark_scheme_is_followed(open_page):
    shades = []
    for scheme in ("light", "dark"):
        page = open_page("families", color_scheme=scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shades.append(np.mean([int(n) for n in re.findall(r"\d+", colour)[:3]]))
    assert shades[0] > 200
    assert shades[1] < 60


def test_headlines_are_the_asked_figures_of_the_part_that_has_most(reports):
    found = [[f.figure for f in headlines(report)] for report in reports]
    assert found[0] == ["hota", "idf1", "mota", "position_error_median_m", "t_gospa", "id_switches"]
    assert found[1][:2] == ["nees", "coverage_95"]
    assert found[2] == ["map", "recall@10", "minp", "ndcg"]
    assert all(4 <= len(names) <= 6 for names in found)
    assert {f.part for f in headlines(reports[0])} == {"all"}
    assert headlines(Report("nothing", "tracking", ())) == []


def test_shares_are_drawn_on_all_that_they_can_be():
    one = Figure("a", "b", "hota", 60.0, 55.0, 65.0, "%", "")
    metres = [Figure("a", part, "error", v, v, v, "m", "") for part, v in (("b", 1.0), ("c", 4.0))]
    report = Report("t", "tracking", (one, *metres))
    assert domain_of(one, report) == (0.0, 100.0)
    assert domain_of(metres[0], report) == domain_of(metres[1], report) == (0.0, pytest.approx(4.2))
    below = replace(one, value=-20.0, low=NAN, high=NAN)
    assert domain_of(below, Report("t", "tracking", (below,))) == (-20.0, 100.0)


def test_figures_are_named_as_people_write_them():
    names = ("hota", "id_switches", "det_a", "map", "hit_rate@1", "ass_re_peer", "ndcg_exp@5", "t_gospa_switch")
    written = ["HOTA", "ID switches", "DetA", "mAP", "Hit rate@1", "AssRe peer", "nDCG exp@5", "T-GOSPA switch"]
    assert [label_of(name) for name in names] == written
    assert label_of("position_error_m", "m") == "Position error"
    assert [label_of(name) for name in ("cmc@10", "ndcg@5", "recall@1")] == ["CMC@10", "nDCG@5", "Recall@1"]


def test_dates_on_an_axis_become_seconds_since_the_first(open_page):
    said = open_page("crowded").locator(".x-name").inner_text()
    assert said == "time, s since 2023-11-14 22:13:20 UTC"


def test_no_report_is_refused(tmp_path):
    with pytest.raises(InputError, match="no report to show"):
        write_report_page([], tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
