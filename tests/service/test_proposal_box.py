"""Proposals for a map: they come back as they were written, and go onto the map whole or not at all."""

import json

import pytest
from shapely import box

from geoloc.errors import InputError, UnknownNameError
from geoloc.geometry.geodesy import Datum
from geoloc.scene.map_storage import load_map, save_map
from geoloc.scene.proposals import ProposedPlace, accepted, load_proposals, save_proposals
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface
from geoloc.service.proposal_box import ProposalBox

LOT = SiteMap((Level("lot", (Surface(polygon=box(0, 0, 40, 20)),)),), Datum(48.0, 11.0, 500.0))
TWO = (
    ProposedPlace(Place("lot-1", "lot", box(2, 2, 4.5, 7), "stall"), 0.93, 0.04),
    ProposedPlace(Place("lot-2", "lot", box(4.5, 2, 7, 7), "stall"), 0.41, 0.2),
)


@pytest.fixture
def files(tmp_path):
    save_map(LOT, tmp_path / "lot.geojson")
    save_proposals(LOT, TWO, tmp_path / "stalls.geojson")
    return tmp_path / "stalls.geojson", tmp_path / "lot.geojson"


def test_proposals_come_back_as_they_were(files):
    found = load_proposals(files[0], LOT)
    assert [(each.place.name, each.confidence, each.sigma) for each in found] == [
        ("lot-1", 0.93, 0.04), ("lot-2", 0.41, 0.2)]  # fmt: skip
    assert found[0].place.polygon.symmetric_difference(TWO[0].place.polygon).area < 1e-4


def test_proposals_for_another_site_are_refused(files):
    with pytest.raises(InputError, match="another datum"):
        load_proposals(files[0], SiteMap(LOT.levels, Datum(48.1, 11.0, 500.0)))
    with pytest.raises(UnknownNameError):
        load_proposals(files[0], SiteMap((Level("P1", LOT.levels[0].surfaces),), LOT.datum))


def test_a_proposal_without_confidence_is_refused(files):
    document = json.loads(files[0].read_text())
    del document["features"][1]["properties"]["confidence"]
    files[0].write_text(json.dumps(document))
    with pytest.raises(InputError, match="confidence"):
        load_proposals(files[0], LOT)


def test_a_stall_on_a_stall_or_of_its_name_is_refused():
    grown = accepted(LOT, TWO[0].place)
    with pytest.raises(InputError, match="already"):
        accepted(grown, Place("lot-1", "lot", box(20, 2, 22, 7), "stall"))
    with pytest.raises(InputError, match="would lie on"):
        accepted(grown, Place("other", "lot", box(2.2, 2, 4.6, 7), "stall"))


def test_an_accepted_stall_is_on_the_map_and_a_rejected_one_nowhere(files):
    proposals, site_map = files
    decided = ProposalBox(proposals, site_map)
    decided.accept("lot-1")
    decided.reject("lot-2")
    assert [stall.name for stall in load_map(site_map).stalls] == ["lot-1"]
    assert load_proposals(proposals, LOT) == ()
    decided.take_back()
    decided.take_back()
    assert load_map(site_map).stalls == ()
    assert [each.place.name for each in decided.open] == ["lot-1", "lot-2"]


def test_a_map_that_another_program_changed_is_not_written_over(files):
    decided = ProposalBox(*files)
    save_map(accepted(LOT, Place("theirs", "lot", box(30, 2, 33, 7), "stall")), files[1])
    with pytest.raises(InputError, match="another program"):
        decided.accept("lot-1")
    assert [stall.name for stall in load_map(files[1]).stalls] == ["theirs"]
    assert len(decided.open) == 2
