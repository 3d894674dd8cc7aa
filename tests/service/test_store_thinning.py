"""Old ways are few keys: within the stated error, with a sigma that is honest; and what is too old goes."""

import shutil

import numpy as np
import pytest
from store_samples import answer, batch, open_file, tracks_at

from geoloc.io.store_rows import COLUMNS, THINNED, tracks_of_rows
from geoloc.service.store.options import StoreOptions
from geoloc.service.store.queries import Wanted, find_ways, heat
from geoloc.service.store.thinning import between, thinned_keys
from geoloc.service.store.tidying import SPAN_S, Thinner, remove_old
from geoloc.synthetic.garage import garage

ERROR = 0.1
OPTIONS = StoreOptions(thin_after_s=600.0, thin_error=ERROR, keep_s=1500.0)


def walk(rng, n: int = 4000):
    """A true way at 10 Hz with stops and turns, and what a filter says of it: errors that persist, sigmas that vary."""
    time = 0.1 * np.arange(n)
    heading = np.cumsum(rng.normal(0, 0.03, n))
    speed = np.where((time // 40) % 2 < 1, 1.4, 0.0)
    truth = np.cumsum(0.1 * speed[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    sigma = 0.15 + 0.1 * np.sin(time / 30) ** 2
    error = np.zeros((n, 2))
    for k in range(1, n):
        error[k] = 0.98 * error[k - 1] + np.sqrt(1 - 0.98**2) * rng.normal(0, 1, 2)
    return time, truth, truth + error * sigma[:, None], sigma[:, None, None] ** 2 * np.eye(2)


def test_no_position_that_was_dropped_is_missed_by_more_than_the_error(rng):
    time, _, said, cov = walk(rng)
    stays, off = thinned_keys(time, said, cov, np.zeros(len(time), bool), ERROR)
    back, _ = between(time[stays], said[stays], cov[stays], off[stays], time)
    assert np.linalg.norm(back - said, axis=1).max() <= ERROR + 1e-9
    assert off.max() <= ERROR
    assert stays.mean() < 0.2, f"{stays.mean():.3f} of the rows stay"


def test_the_sigma_of_what_is_read_between_keys_is_honest(rng):
    nees, inside = [], []
    for _ in range(12):
        time, truth, said, cov = walk(rng, 1500)
        stays, off = thinned_keys(time, said, cov, np.zeros(len(time), bool), ERROR)
        back, spread = between(time[stays], said[stays], cov[stays], off[stays], time)
        away = back - truth
        nees.append(np.einsum("ni,nij,nj->n", away, np.linalg.inv(spread), away))
        # row by row: what it says is at least what was said, and what it is off
        short = cov + (back - said)[:, :, None] * (back - said)[:, None, :] - spread
        inside.append(np.linalg.eigvalsh(short)[:, -1].max())
    assert max(inside) < 1e-9, "C + d dT <= C_between + off2 I"
    mean = float(np.mean(np.concatenate(nees)))
    assert 1.2 < mean < 2.3, f"NEES {mean:.2f}; 2 is exact, less is careful"


def test_a_standing_object_is_two_keys_and_a_gap_is_no_way():
    time = np.r_[0:10:0.1, 30:40:0.1]
    xy, cov = np.zeros((200, 2)), np.tile(0.01 * np.eye(2), (200, 1, 1))
    cut = np.r_[False, np.diff(time) > 2.0]
    stays, off = thinned_keys(time, xy, cov, cut, ERROR)
    assert np.flatnonzero(stays).tolist() == [0, 99, 100, 199]
    assert off.max() < 1e-6


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Half an hour of an object that walks and one that stands, a row a second."""
    site, folder = garage().site, tmp_path_factory.mktemp("thinning")
    opened, level = open_file(folder, site), site.site_map.levels[0].name
    said = []
    for k in range(1800):
        xy = np.array([[10 + 8 * np.sin(k / 40), 10 + 8 * np.cos(k / 40)], [30.25, 5.5]])
        said.append(answer(10 * k, tracks_at(float(k), [1, 2], xy, level=level)))
    opened.write(batch(1, said))
    opened.close()
    return folder / "store.gpkg"


@pytest.fixture
def store(made, tmp_path):
    shutil.copy(made, tmp_path / "store.gpkg")
    opened = open_file(tmp_path, garage().site)
    yield opened
    opened.close()


def rows(store, **wanted):
    return [row for part in find_ways(store, Wanted(**wanted)) for row in part]


def thin(store) -> int:
    """All that is old enough; how many rows went."""
    thinner, gone = Thinner(OPTIONS), 0
    while more := thinner.go_on(store):
        gone += more
    return gone


def test_what_is_old_is_thinned_once_and_what_is_new_is_left(store):
    before = tracks_of_rows([row[: len(COLUMNS)] for row in rows(store)])
    gone = thin(store)
    old, new = rows(store, end=899.0), rows(store, start=900.0)
    assert len(new) == 1800
    assert len(old) + gone == 1800
    assert len(old) < 120, "a key every nine seconds of a circle"
    columns = (*COLUMNS, *THINNED)
    dropped = columns.index("dropped")
    assert sum(row[dropped] for row in old) == gone
    for number in (1, 2):
        mine = [row for row in old if row[2] == number]
        keys = tracks_of_rows([row[: len(COLUMNS)] for row in mine])
        off = np.array([row[columns.index("off")] for row in mine])
        said = before.take((before.track == number) & (before.time < 900))
        back, _ = between(keys.time, keys.xy, keys.position_cov, off, said.time)
        assert np.linalg.norm(back - said.xy, axis=1).max() <= ERROR
    assert len([row for row in old if row[2] == 2]) == 2 * 900 / SPAN_S, "it stands: two keys a slice"
    assert thin(store) == 0


def test_heat_is_the_same_before_and_after_thinning(store):
    box = (0.0, 0.0, 40.0, 20.0)
    before = heat(store, Wanted(), box, 2.0).seconds
    thin(store)
    after = heat(store, Wanted(), box, 2.0).seconds
    assert after.sum() == pytest.approx(before.sum())
    assert np.abs(after - before).max() < 0.1 * before.max()


def test_what_is_too_old_goes_but_who_stands_in_a_stall_does_not(store):
    store.database.run("INSERT INTO occupancy VALUES (5, 0.5, 'A1', 'P1', 7), (9, 0.9, 'A2', 'P1', 8)")
    store.database.run("INSERT INTO occupancy VALUES (50, 5.0, 'A2', 'P1', 0)")
    assert remove_old(store, OPTIONS) > 0
    assert min(row[4] for row in rows(store)) >= 299.0
    left = store.database.rows("SELECT stall, object FROM occupancy ORDER BY stall")
    assert left == [("A1", 7), ("A2", 0)]
    assert store.counts()["windows"] == 1500 + 1
    assert remove_old(store, OPTIONS) == 0
