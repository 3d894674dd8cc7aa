"""Proposed stalls on the marking page: seen one by one, accepted onto the map, rejected, taken back."""

import pytest
from marking_samples import pose_fit
from shapely import box

from geoloc.scene.map_storage import load_map, save_map
from geoloc.scene.proposals import ProposedPlace, save_proposals
from geoloc.scene.sitemap import Place
from geoloc.service.marking import MarkingSession
from geoloc.service.proposal_box import ProposalBox
from geoloc.service.stills import find_stills

PLACES = [("new-1", 2.0), ("new-2", 4.6)]


@pytest.fixture
def session(site, stills, tmp_path) -> MarkingSession:
    save_map(site.site_map, tmp_path / "map.geojson")
    places = [Place(name, "P1", box(40 + x, 12, 42.5 + x, 13), "stall") for name, x in PLACES]
    proposed = [ProposedPlace(place, 0.9, 0.05) for place in places]
    save_proposals(site.site_map, proposed, tmp_path / "stalls.geojson")
    decided = ProposalBox(tmp_path / "stalls.geojson", tmp_path / "map.geojson")
    return MarkingSession(site, find_stills(stills), tmp_path / "calibration", pose_fit(site), proposals=decided)


def said(page, words):
    page.wait_for_function(f"() => document.getElementById('proposal-said').textContent.includes({words!r})")


def test_stalls_are_accepted_rejected_and_taken_back(open_page, session):
    def on_map():
        return [stall.name for stall in load_map(session.proposals.map_path).stalls if stall.name.startswith("new")]

    page = open_page()
    said(page, "new-1: 90 % sure")
    page.click("#proposal-yes")
    said(page, "new-2")
    assert on_map() == ["new-1"]
    assert page.evaluate("() => DATA.levels[0].stalls.some(([name]) => name === 'new-1')")
    page.keyboard.press("r")
    said(page, "decided")
    assert on_map() == ["new-1"]
    page.click("#proposal-back")
    page.click("#proposal-back")
    said(page, "2 to decide")
    assert on_map() == []


def test_without_proposals_nothing_is_asked(site, stills, tmp_path):
    plain = MarkingSession(site, find_stills(stills), tmp_path / "calibration", pose_fit(site))
    assert plain.proposals is None
