"""What is kept is asked for over HTTP and drawn; an object that is erased is left nowhere, to the byte."""

import json
import shutil
import struct

import numpy as np
import pytest
import shapely
from serve_samples import ALL, READER, ROOT, plaza, plaza_boxes, running, wait_for
from test_store_writer import make_writer

from geoloc.cli.main import main
from geoloc.errors import InputError
from geoloc.io.track_store import read_store
from geoloc.io.tracks import export, read_tracks
from geoloc.pipeline.stored_state import load_state
from geoloc.retrieval.gallery import Gallery
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.where import Where
from geoloc.service.serve.heard import lines_of
from geoloc.service.serve.sender import batches_of
from geoloc.service.store.forgetting import find_traces
from geoloc.service.store.options import StoreOptions

KEEP = StoreOptions(flush_s=0.0, thin_after_s=0.0, keep_free=0)
SECONDS = 4.0
SITE = ["--root", str(ROOT / "fixtures" / "plaza")]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "state"
    writer = make_writer(folder, KEEP)
    with running(folder, store=writer) as one:
        for _, batch in batches_of(plaza_boxes(SECONDS), 0.2):
            assert one.send(lines_of(batch))[0] == 200
        assert one.ask("/v1/sites/plaza/finish", method="POST")[0] == 200
        wait_for(lambda: writer.behind == 0 and writer.state == "ok")
        one.folder = folder
        yield one


def lines(service, **query) -> list[dict]:
    words = "&".join(f"{name.rstrip('_')}={value}" for name, value in query.items())
    status, body = service.ask(f"/v1/sites/plaza/tracks?{words}")
    assert status == 200, body
    return [json.loads(line) for line in body.splitlines()]


def test_positions_are_told_by_time_box_level_and_object(service):
    every = lines(service)
    start = every[0]["time"]
    assert len(every) > 200
    assert {"id", "x", "y", "cov", "sigma", "level", "time"} <= every[0].keys()
    some = lines(service, from_=start + 1, to=start + 2)
    assert some == [one for one in every if start + 1 <= one["time"] <= start + 2]
    x, y = every[5]["x"], every[5]["y"]
    near = lines(service, bbox=f"{x - 1},{y - 1},{x + 1},{y + 1}")
    assert near == [one for one in every if abs(one["x"] - x) <= 1 and abs(one["y"] - y) <= 1]
    assert {one["id"] for one in lines(service, object=every[0]["id"])} == {every[0]["id"]}
    assert lines(service, level=every[0]["level"]) == every
    zone = next((one for one in plaza().site_map.zones), None)
    if zone is not None:
        there = [one for one in every if shapely.intersects_xy(zone.polygon, one["x"], one["y"])]
        assert lines(service, place=zone.name) == there


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("bbox=1,2,3", 400, "WEST,SOUTH,EAST,NORTH"),
        ("bbox=1,2,0,nan", 400, "WEST,SOUTH,EAST,NORTH"),
        ("format=xml", 400, "known: ndjson, geojson"),
        ("from=yesterday", 400, "UTC Unix seconds"),
        ("level=cellar", 404, "unknown level"),
        ("file=/etc/passwd", 400, "unknown parameter"),
    ],
)
def test_what_is_asked_wrongly_is_refused(service, query, status, message):
    got, body = service.ask(f"/v1/sites/plaza/tracks?{query}")
    assert (got, message in json.loads(body)["error"]) == (status, True), body


def test_geojson_needs_a_place_on_earth(service):
    status, body = service.ask("/v1/sites/plaza/tracks?format=geojson")
    if plaza().site_map.datum is None:
        assert status == 400
        return
    found = json.loads(body)
    assert found["type"] == "FeatureCollection"
    assert len(found["features"]) == len(lines(service))


def test_heat_is_told(service):
    found = service.data("/v1/sites/plaza/heat?bbox=-20,-20,40,60&cell=2")
    assert np.array(found["seconds"]).shape == (40, 30)
    assert found["objects"] > 5
    assert np.sum(found["seconds"]) > 10
    assert service.ask("/v1/sites/plaza/heat?bbox=0,0,9000,9000&cell=0.1")[0] == 400
    assert service.ask("/v1/sites/plaza/heat")[0] == 400


def test_how_the_store_does_is_in_the_metrics_and_the_readiness(service):
    text = service.ask("/metrics")[1].decode()
    assert 'geoloc_store_state{site="plaza",state="ok"} 1.0' in text
    assert "geoloc_store_windows_total" in text
    assert service.data("/readyz", token="") == {"ready": True}
    writer = service.service.sites["plaza"].store
    writer.state = "down"
    try:
        assert service.data("/readyz", token="") == {"ready": True, "stores": ["down"]}
    finally:
        writer.state = "ok"


def test_a_store_is_drawn_and_exported_as_a_file_of_tracks_is(service, tmp_path):
    path = service.folder / "store.gpkg"
    tracks = read_store(path)
    middle = float(np.median(tracks.time))
    words = ["map", "plaza", str(path), *SITE, "--from", str(middle), "-o", str(tmp_path / "t.csv")]
    assert main(words) == 0
    late = tracks.take(tracks.time >= middle)
    back = read_tracks(tmp_path / "t.csv")
    assert np.array_equal(np.sort(back.xy, axis=0), np.sort(late.xy, axis=0))
    assert main(["map", "plaza", str(path), *SITE, "-o", str(tmp_path / "plan.png")]) == 0
    assert (tmp_path / "plan.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="no store of geoloc serve"):
        export(tmp_path / "u.csv", plaza(), tmp_path / "t.csv", span=(0.0, 1.0))
    assert main([*words[:5], "--to", "noon", "-o", str(tmp_path / "v.csv")]) == 2


def test_the_search_for_bytes_finds_a_place_wherever_it_begins(tmp_path):
    place = np.array([[12.34567, -7.654321]])
    for before, form in ((3, "<2d"), (0, ">2d"), ((1 << 24) - 5, "<2d")):
        (tmp_path / "file").write_bytes(bytes(before) + struct.pack(form, *place[0]) + b"rest")
        assert find_traces(tmp_path / "file", place) == 1
    (tmp_path / "file").write_bytes(struct.pack("<3d", place[0, 0], 0.0, place[0, 1]))
    assert find_traces(tmp_path / "file", place) == 0


def test_an_object_is_erased_while_the_service_runs_and_nothing_is_left(service, tmp_path):
    every = lines(service)
    numbers = [one["id"] for one in every]
    number = max(set(numbers), key=numbers.count)
    mine = np.array([[one["x"], one["y"]] for one in every if one["id"] == number])
    before = traces(service.folder, mine)
    assert before >= len(mine) >= 10, "the look at the bytes sees what is there"
    (service.folder / "exports").mkdir()
    (service.folder / "exports" / "monday.kmz").write_bytes(b"packed")
    assert service.ask(f"/v1/sites/plaza/objects/{number}", READER, "DELETE")[0] == 403
    status, body = service.ask(f"/v1/sites/plaza/objects/{number}", ALL, "DELETE")
    assert status == 200, body
    said = json.loads(body)
    assert said["rows"] == len(mine)
    assert said["keys"] > 0
    assert said["exports"] == 1
    assert said["searched"] > 3
    assert traces(service.folder, mine) == 0
    assert number not in {one["id"] for one in lines(service)}
    assert service.ask(f"/v1/sites/plaza/where/{number}")[0] == 400
    assert {one["id"] for one in lines(service)} == set(numbers) - {number}, "all others stay"
    assert service.ask(f"/v1/sites/plaza/objects/{number}", ALL, "DELETE")[0] == 400, "there is none any more"
    # and the engine goes on, with the numbers going on too
    later = plaza_boxes(1.0)
    assert service.send(lines_of(later.replace(time=later.time + SECONDS)))[0] == 200
    assert service.ask("/v1/sites/plaza/finish", method="POST")[0] == 200


def traces(folder, places) -> int:
    return sum(find_traces(path, places) for path in folder.rglob("*") if path.is_file())


def views_of(tracks):
    n = len(tracks)
    vectors = np.random.default_rng(5).normal(size=(n, 8)).astype(np.float32)
    return Looks(
        site=["plaza"] * n, camera=["c7"] * n, time=tracks.time, level=tracks.level, xy=tracks.xy, track=tracks.track,
        cov=np.tile(np.eye(2), (n, 1, 1)), label=tracks.label, object=tracks.track, quality=np.ones(n), vector=vectors,
        id=np.full(n, -1),
    )  # fmt: skip


def test_an_object_is_forgotten_by_the_command_of_a_state_that_rests(service, tmp_path, capsys):
    folder = tmp_path / "state"
    writer = make_writer(folder, KEEP)
    with running(folder, store=writer) as one:
        for _, batch in batches_of(plaza_boxes(3.0), 0.2):
            one.send(lines_of(batch))
        one.ask("/v1/sites/plaza/finish", method="POST")
    tracks = read_store(folder / "store.gpkg")
    number = int(np.bincount(tracks.track).argmax())
    with Gallery.open(folder / "gallery", dim=8) as gallery:
        gallery.add(views_of(tracks.take(np.isin(tracks.track, [number, tracks.track[tracks.track != number][0]]))))
        held = len(gallery.views(Where().equal("object", number)))
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    words = ["forget", "plaza", str(folder), str(number), *SITE]
    assert main(words) == 0
    assert "say so with --yes" in capsys.readouterr().out
    assert len(read_store(folder / "store.gpkg")) == len(tracks)
    assert main([*words, "--yes"]) == 0
    said = capsys.readouterr().out
    assert "nothing is left" in said
    assert f"{held} views" in said
    assert held > 0
    mine = tracks.xy[tracks.track == number]
    assert traces(copy, mine) >= len(mine) >= 10
    assert traces(folder, mine) == 0
    with pytest.raises(InputError, match="no object"):
        load_state(plaza(), folder).where(number)
    others = {one.object for one in load_state(plaza(), folder).at()}
    assert others == {one.object for one in load_state(plaza(), copy).at()} - {number}
    assert main([*words, "--yes"]) == 2
    assert "nothing was forgotten" in capsys.readouterr().err
