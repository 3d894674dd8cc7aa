"""A store keeps each window once, in its last revision, whichever database it is in; and answers from its indexes."""

import sqlite3
import struct

import numpy as np
import pytest
from store_samples import answer, batch, open_file, open_postgres, postgres_server, tracks_at

from geoloc.errors import InputError
from geoloc.io.store_rows import COLUMNS, tracks_of_rows
from geoloc.pipeline.lineage import Event
from geoloc.service.serve.camera_clocks import CameraNow
from geoloc.service.store.forgetting import _erase
from geoloc.service.store.queries import Wanted, family, find, find_ways, heat, question
from geoloc.service.store.schema import HEAD, VERSION
from geoloc.service.store.sqlite import SqliteDatabase
from geoloc.service.store.store import EVENTS, Store, read_event
from geoloc.synthetic.garage import garage


@pytest.fixture(scope="module")
def site():
    return garage().site


@pytest.fixture(scope="module")
def server():
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["file", "postgres"])
def store(request, site, tmp_path):
    """An empty store, in each of the databases."""
    if request.param == "file":
        opened = open_file(tmp_path, site)
    else:
        url = request.getfixturevalue("server").url
        import psycopg

        with psycopg.connect(url, autocommit=True) as line:
            line.execute("DROP SCHEMA IF EXISTS geoloc_garage CASCADE")
        opened = open_postgres(url, site)
    yield opened
    opened.close()


def level(site) -> str:
    return site.site_map.levels[0].name


def window(site, number, numbers=(1, 2), shift=0.0, life="confirmed"):
    xy = np.array([[float(n) + shift, 0.1 * number] for n in numbers])
    return answer(number, tracks_at(0.1 * number + 0.03, list(numbers), xy, life, level(site)))


def read(store, **wanted):
    rows = [row for part in find(store, Wanted(**wanted)) for row in part]
    return tracks_of_rows([row[: len(COLUMNS)] for row in rows])


def test_every_number_comes_back_bit_for_bit(store, site):
    said = [window(site, k) for k in range(20)]
    store.write(batch(7, said))
    back = read(store)
    assert store.record == 7
    assert len(back) == 40
    for name in ("time", "track", "object", "level", "xy", "velocity", "cov", "bias_cov", "label", "life", "revision"):
        expected = np.concatenate([getattr(one.tracks[0], name) for one in said])
        assert np.array_equal(getattr(back, name), expected), name


def test_a_window_that_is_said_again_takes_the_place_of_what_was_said_before(store, site):
    store.write(batch(1, [window(site, k) for k in range(5)]))
    # the engine went back to window 3: 3, 4 and the new 5 are said, with another object
    store.write(batch(2, [window(site, k, (1, 3), 0.5) for k in (3, 4, 5)]))
    back = read(store)
    assert store.counts()["windows"] == 6
    assert sorted(zip(np.rint(back.time * 10 - 0.3).astype(int).tolist(), back.track.tolist(), strict=True)) == [
        *((k, n) for k in (0, 1, 2) for n in (1, 2)), *((k, n) for k in (3, 4, 5) for n in (1, 3)),
    ]  # fmt: skip


def test_a_batch_is_there_whole_or_not_at_all(store, site):
    store.write(batch(1, [window(site, 1)]))
    broken = batch(2, [window(site, 2)], (Event(np.nan, None, 1, id=1),), 1)  # kind: NOT NULL
    with pytest.raises(Exception, match=r"(?i)null"):
        store.write(broken)
    assert store.record == 1
    assert len(read(store)) == 2
    store.write(batch(2, [window(site, 2)]))
    assert len(read(store)) == 4


def test_events_that_a_replay_took_back_go(store, site):
    first = Event(1.0, "born", 1, id=1)
    second = Event(2.0, "recognised", 1, (2,), 0.9, "0.4 m away", ("west",), id=2)
    store.write(batch(1, [], (first, second, Event(3.0, "gone", 1, id=3)), 3))
    changed = Event(2.5, "merged", 1, (2,), 0.8, id=2)
    store.write(batch(2, [], (changed,), 2))
    rows = store.database.rows(f"SELECT {EVENTS} FROM events ORDER BY id")
    assert [read_event(row) for row in rows] == [first, changed]
    assert set(family(store, 2)) == {1, 2}


def test_a_stall_is_noted_when_it_changes_hands_and_so_again_after_the_engine_went_back(store, site):
    stall = next(one for one in site.site_map.stalls if one.level == level(site))
    middle = np.array([stall.polygon.centroid.coords[0]])

    def parked(number, who):
        there = [who] if who else []
        return answer(number, tracks_at(0.1 * number, there, middle[: len(there)], "parked", stall.level))

    store.write(batch(1, [parked(k, 7 if k >= 2 else 0) for k in range(6)]))
    store.write(batch(2, [parked(k, 9 if k >= 5 else 7) for k in range(4, 8)]))
    store.write(batch(3, [parked(8, 0)]))
    rows = store.database.rows("SELECT win, stall, object FROM occupancy ORDER BY win")
    assert rows == [(2, stall.name, 7), (5, stall.name, 9), (8, stall.name, 0)]


def test_the_same_look_at_a_camera_is_kept_once(store):
    one = batch(1, [])
    west, east = (5.0, "west", "heard", 4.9, 0.01, 0.002), (5.0, "east", "silent", -np.inf, 0.0, 0.03)
    one.cameras = [CameraNow(*west), CameraNow(*east)]
    store.write(one)
    store.write(one)
    rows = store.database.rows("SELECT camera, state, heard FROM cameras ORDER BY camera")
    assert rows == [("east", "silent", None), ("west", "heard", 4.9)]


def test_boxes_levels_times_and_objects_are_found_and_nothing_else(store, site, rng):
    xy = rng.uniform(0, 60, (200, 2))
    said = [tracks_at(0.1 * k, [k % 5 + 1], xy[k : k + 1], level=level(site)) for k in range(200)]
    store.write(batch(1, [answer(k, tracks) for k, tracks in enumerate(said)]))
    box = (10.0, 20.0, 40.0, 45.0)
    inside = (xy >= box[:2]).all(axis=1) & (xy <= box[2:]).all(axis=1)
    times = 0.1 * np.arange(200)
    assert np.array_equal(read(store, box=box).xy, xy[inside])
    assert np.array_equal(read(store, box=box, start=5.0, end=9.0).time, times[inside & (times >= 5) & (times <= 9)])
    assert set(read(store, objects=(2, 3)).track.tolist()) == {2, 3}
    assert len(read(store, level="nowhere")) == 0
    ways = [row for part in find_ways(store, Wanted(box=box)) for row in part]
    assert [(row[2], row[4]) for row in ways] == sorted((row[2], row[4]) for row in ways)


def test_boxes_are_found_by_the_index_of_places_and_times_by_that_of_windows(store, site):
    store.write(batch(1, [window(site, k) for k in range(50)]))
    sqlite = isinstance(store.database, SqliteDatabase)

    def plan(**wanted):
        sql, values = question(store, Wanted(**wanted))
        if not sqlite:
            store.database.run("SET enable_seqscan = off")
        rows = store.database.rows(f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{sql}", values)
        return " ".join(str(cell) for row in rows for cell in row)

    assert ("rtree_positions_geom VIRTUAL TABLE INDEX" if sqlite else "positions_geom") in plan(box=(0, 0, 1, 1))
    assert "positions_said" in plan(start=1.0, end=2.0)
    assert "positions_way" in plan(objects=(1,), start=-np.inf)


def test_what_is_erased_is_in_no_table_and_a_stall_that_it_took_was_taken_by_somebody(store, site):
    store.write(batch(1, [window(site, k) for k in range(5)], (Event(1.0, "merged", 1, (7,), id=1),), 1))
    store.database.run("INSERT INTO occupancy VALUES (3, 0.3, 'A1', 'P1', 7)")
    assert set(family(store, 7)) == {1, 7}
    assert _erase(store, (1, 7)) == 5
    assert set(read(store).track.tolist()) == {2}
    assert store.counts()["events"] == 0
    assert store.database.rows("SELECT object FROM occupancy") == [(-1,)]


def test_heat_is_the_time_that_was_spent_in_each_cell(store, site):
    said = []
    for k in range(101):  # 1 stands for 10 s, 2 walks 10 m in 10 s
        xy = np.array([[2.5, 2.5], [0.1 * k, 5.5]])
        said.append(answer(k, tracks_at(0.1 * k, [1, 2], xy, level=level(site))))
    store.write(batch(1, said))
    found = heat(store, Wanted(), (0.0, 0.0, 10.0, 10.0), 1.0)
    assert found.objects == 2
    assert found.seconds[2, 2] == pytest.approx(10.0)
    assert found.seconds[5] == pytest.approx(1.0)
    assert found.seconds.sum() == pytest.approx(20.0)


def test_a_store_of_another_site_is_refused(store, site):
    from dataclasses import replace

    with pytest.raises(InputError, match="of site 'garage', not of 'harbour'"):
        Store.open(store.database, replace(site, name="harbour"))


def test_an_old_store_is_brought_up_to_date_with_what_it_holds(store, site, tmp_path):
    """A store as the first schema made it, with rows in it."""
    if isinstance(store.database, SqliteDatabase):
        database = SqliteDatabase(tmp_path / "old.gpkg")
    else:
        for table in ("store", "windows", "positions", "events", "occupancy", "cameras"):
            store.database.run(f"DROP TABLE {table}")
        database = store.database
    made = Store(database, site)
    with database.transaction():
        database.require()
        database.run(HEAD.format(**database.types))
        made.note(schema="0", site="garage", record="12", window_s="0.1", thinned_to="-1e18")
    made.migrate(1)
    value, geometry = database.geometries(np.array([[2.0, 49.0, 100.0]]))
    database.run(
        "INSERT INTO positions "
        "(geom, win, step, track, object, time, level, x, y, sigma, label, state, life, revision, cov) "
        f"VALUES ({value}, 5, 0, 3, 1, 0.5, ?, 1.5, 2.5, 0.1, 'car', 'confirmed', 'parked', 0, ?)",
        [*geometry, level(site), struct.pack("<13d", *range(13))],
    )
    database.run("INSERT INTO windows VALUES (5, 0.5, 1)")
    assert made.value("schema") == "1"
    now = Store.open(database, site)
    assert (now.value("schema"), now.record) == (str(VERSION), 12)
    rows = [row for part in find(now, Wanted(objects=(3,))) for row in part]
    assert rows[0][7:9] == (1.5, 2.5)
    assert rows[0][-2:] == (0, 0)
    now.write(batch(13, [window(site, 6)]))
    assert now.counts()["positions"] == 3
    if database is not store.database:
        now.close()


def test_a_newer_store_and_other_files_are_refused(site, tmp_path):
    made = open_file(tmp_path, site)
    made.note(schema="99")
    with pytest.raises(InputError, match="schema 99; this geoloc knows up to"):
        open_file(tmp_path, site)
    made.close()
    with sqlite3.connect(tmp_path / "other.gpkg") as db:
        db.execute("CREATE TABLE mine (a)")
    with pytest.raises(InputError, match="no store of geoloc serve; it holds mine"):
        Store.open(SqliteDatabase(tmp_path / "other.gpkg"), site)


def test_a_password_in_the_address_is_refused(site):
    pytest.importorskip("psycopg", reason="no psycopg; pip install 'geoloc[postgres]'")
    with pytest.raises(InputError, match="PGPASSFILE") as refused:
        open_postgres("postgresql://geoloc:secret@127.0.0.1/x", site)
    assert "secret" not in str(refused.value)


def test_a_gis_opens_the_file_and_its_index_follows_the_table(site, tmp_path):
    geopandas = pytest.importorskip("geopandas", reason="no geopandas; pip install 'geoloc[exports]'")
    store = open_file(tmp_path, site)
    store.write(batch(1, [window(site, k) for k in range(10)]))
    store.close()
    table = geopandas.read_file(tmp_path / "store.gpkg", layer="positions")
    assert len(table) == 20
    assert table.crs.to_epsg() == 4326
    assert np.allclose(table.geometry.x, table.lon)


def test_the_index_of_places_follows_the_table(site, tmp_path):
    store = open_file(tmp_path, site)
    store.write(batch(1, [window(site, k) for k in range(10)]))
    assert store.database.rows("SELECT count(*) FROM rtree_positions_geom")[0][0] == 20
    store.write(batch(2, [window(site, 4)]))
    assert store.database.rows("SELECT count(*) FROM rtree_positions_geom")[0][0] == 10
    assert store.database.rows("SELECT rtreecheck('rtree_positions_geom')")[0][0] == "ok"
    assert store.database.rows("PRAGMA integrity_check")[0][0] == "ok"
    store.close()
