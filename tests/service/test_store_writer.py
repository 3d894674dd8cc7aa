"""The store holds each final window once, with no gap, whatever was killed, slow, full or down meanwhile."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from serve_samples import COMPILES_S, plaza, plaza_boxes, wait_for
from store_samples import open_postgres, postgres_server

from geoloc.io.store_rows import COLUMNS, tracks_of_rows
from geoloc.pipeline.journal_options import JournalOptions
from geoloc.pipeline.localizer import Localizer, replay, window_numbers
from geoloc.scene.tables import Tracks
from geoloc.service.serve.engine import LiveEngine, UnavailableError
from geoloc.service.serve.sender import batches_of
from geoloc.service.store.options import StoreOptions
from geoloc.service.store.queries import Wanted, find_ways
from geoloc.service.store.sqlite import SqliteDatabase
from geoloc.service.store.store import Store
from geoloc.service.store.writer import StoreWriter

SECONDS, BATCH_S = 4.0, 0.2
QUICK = StoreOptions(flush_s=0.0, thin_after_s=0.0, tidy_s=0.05, keep_free=0)
OFTEN = JournalOptions(sync_s=1e9, snapshot_s=1.0, keep_log_s=0.0)  # what a store needs is soon gone unless kept for it
NAMES = ("time", "track", "object", "level", "xy", "velocity", "cov", "bias_cov", "label", "score", "state", "life")


@pytest.fixture(scope="module")
def batches():
    return [batch for _, batch in batches_of(plaza_boxes(SECONDS), BATCH_S)]


@pytest.fixture(scope="module")
def expected():
    tracks = Tracks.concat(list(replay(Localizer(plaza()), plaza_boxes(SECONDS))))
    return ordered(tracks.take(tracks.state != "tentative"))


def ordered(tracks: Tracks) -> Tracks:
    return tracks.take(np.lexsort((tracks.time, tracks.track)))


def open_file(folder: Path, write: bool = True) -> Store:
    database = SqliteDatabase(folder / "store.gpkg", write)
    return Store.open(database, plaza()) if write else Store(database, plaza())


def make_writer(folder: Path, options: StoreOptions = QUICK, opened=None) -> StoreWriter:
    opened = opened or (lambda: open_file(folder))
    return StoreWriter(opened, lambda: open_file(folder, False), plaza(), folder, options)


@contextmanager
def at_work(folder: Path, writer: StoreWriter):
    """An engine whose store is written."""
    engine = LiveEngine(plaza(), folder, None, (), 1_000_000, writer.take, OFTEN)
    engine.begun, engine.needed = writer.start, writer.needed
    engine.start()
    try:
        wait_for(lambda: engine.ready.is_set() or engine.failure, COMPILES_S)
        assert not engine.failure
        yield engine
    finally:
        engine.stop()
        writer.stop()


def send(engine: LiveEngine, batches) -> None:
    for batch in batches:
        engine.submit(batch).result(COMPILES_S)


def held(store: Store) -> Tracks:
    rows = [row for part in find_ways(store, Wanted()) for row in part]
    return ordered(tracks_of_rows([row[: len(COLUMNS)] for row in rows]))


def require_whole(store: Store, expected: Tracks) -> None:
    """Each window once, with no gap, bit for bit what the batch run says."""
    found = held(store)
    numbers = [number for (number,) in store.database.rows("SELECT number FROM windows ORDER BY number")]
    assert numbers == np.unique(window_numbers(plaza_boxes(SECONDS).time, 0.1)).tolist(), "no gap"
    assert len(found) == len(expected) > 300
    for name in NAMES:
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


def test_late_and_early_frames_end_in_the_batch_run_bit_for_bit(batches, expected, tmp_path, rng):
    arrival = np.argsort(np.arange(len(batches)) + rng.uniform(0, 5, len(batches)))
    writer = make_writer(tmp_path / "state")
    with at_work(tmp_path / "state", writer) as engine:
        send(engine, [batches[k] for k in arrival])
        engine.finish().result(60)
        assert engine.figures.revised > 0
        wait_for(lambda: writer.behind == 0 and writer.state == "ok")
        assert writer.figures.replayed == 0, "nothing had to be read again"
    require_whole(open_file(tmp_path / "state", False), expected)


def test_a_store_that_is_too_slow_reads_the_log_instead_and_holds_up_nobody(batches, expected, tmp_path):
    class Slow(Store):
        def write(self, batch, tentative=False):
            time.sleep(0.2)
            super().write(batch, tentative)

    folder = tmp_path / "state"
    opened = lambda: Slow.open(SqliteDatabase(folder / "store.gpkg"), plaza())  # noqa: E731
    options = StoreOptions(flush_s=0.0, max_waiting=60, batch_rows=60, thin_after_s=0.0, keep_free=0)
    writer = make_writer(folder, options, opened)
    with at_work(folder, writer) as engine:
        send(engine, batches)
        engine.finish().result(60)
        assert writer.figures.overrun > 0
        assert writer.waiting <= 60 + len(batches[0])
        wait_for(lambda: writer.behind == 0, 120)
        assert writer.figures.replayed > 0
        assert writer.figures.lost == 0
    require_whole(open_file(folder, False), expected)


def serve_in_child(folder: Path, batches, done: Path) -> int:
    """A process that goes on with the batches where the log ends, and is killed by somebody."""
    child = os.fork()
    if child:
        return child
    try:
        writer = make_writer(folder)
        with at_work(folder, writer) as engine:
            send(engine, batches[engine.ask(lambda journaled: journaled.number).result(60) :])
            engine.finish().result(60)
            wait_for(lambda: writer.behind == 0)
        done.touch()
    finally:
        os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked and killed")
def test_killed_at_any_moment_the_store_goes_on_without_gap_or_repetition(batches, expected, tmp_path, rng):
    folder, done, kills = tmp_path / "state", tmp_path / "done", 0
    path = folder / "store.gpkg"
    while not done.exists():
        child = serve_in_child(folder, batches, done)
        before = path.stat().st_mtime if path.exists() else 0.0
        until = time.monotonic() + 60
        log = path.with_name("store.gpkg-wal")
        while time.monotonic() < until and not done.exists():
            if log.exists() and log.stat().st_mtime > before:  # it has written something
                break
            time.sleep(0.005)
        time.sleep(float(rng.uniform(0, 0.4)))
        if kills < 4 and not done.exists():
            os.kill(child, signal.SIGKILL)
            kills += 1
        os.waitpid(child, 0)
    require_whole(open_file(folder, False), expected)


@pytest.mark.slow
def test_a_database_that_is_killed_is_said_and_misses_nothing(batches, expected, tmp_path):
    with postgres_server() as server:
        folder = tmp_path / "state"
        writer = make_writer(folder, QUICK, lambda: open_postgres(server.url, plaza()))
        with at_work(folder, writer) as engine:
            send(engine, batches[:8])
            wait_for(lambda: writer.behind == 0)
            server.stop("immediate")
            send(engine, batches[8:16])  # the engine is not held up
            wait_for(lambda: writer.state == "down")
            assert "127.0.0.1" in writer.why
            send(engine, batches[16:])
            engine.finish().result(60)
            server.start()
            wait_for(lambda: writer.behind == 0 and writer.state == "ok", 120)
        store = open_postgres(server.url, plaza())
        require_whole(store, expected)
        store.close()


def test_the_log_is_kept_for_a_store_that_is_down_until_that_is_too_much(batches, tmp_path):
    from geoloc.service.store.database import StoreError

    def never() -> Store:
        raise StoreError("nobody answers")

    folder = tmp_path / "state"
    writer = make_writer(folder, QUICK, never)
    with at_work(folder, writer) as engine:
        send(engine, batches)
        engine.finish().result(60)
        assert (folder / "log-000000000001").exists()
    other = make_writer(folder, StoreOptions(flush_s=0.0, thin_after_s=0.0, keep_free=0, hold_log=0))
    other._holds = False  # too much was held: the log went
    with at_work(folder, make_writer(folder, QUICK, never)) as engine:
        engine.needed = lambda: np.inf
        send(engine, [batches[-1].replace(time=batches[-1].time + 5.0 + k) for k in range(3)])
    assert not (folder / "log-000000000001").exists()
    with at_work(folder, other):
        wait_for(lambda: other.behind == 0 and other.state == "ok")
        assert other.figures.lost > 0, "the gap is said"
    store = open_file(folder, False)
    assert int(store.value("lost")) == other.figures.lost


def test_a_store_of_another_log_is_refused(batches, tmp_path):
    writer = make_writer(tmp_path / "one")
    with at_work(tmp_path / "one", writer) as engine:
        send(engine, batches[:6])
        wait_for(lambda: writer.behind == 0)
    (tmp_path / "two").mkdir()
    other = StoreWriter(lambda: open_file(tmp_path / "one"), lambda: None, plaza(), tmp_path / "two", QUICK)
    (tmp_path / "two").rmdir()
    with at_work(tmp_path / "two", other) as engine:
        wait_for(lambda: other.state == "failed")
        assert "not of one state" in other.why
        send(engine, batches[:1])  # and the engine works


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own of 40 MB; skips where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    words = [mount, "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here; it takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_and_what_was_acknowledged_comes_once_there_is_room(batches, expected, small_disk):
    folder = small_disk / "state"
    writer = make_writer(folder)
    with at_work(folder, writer) as engine:
        send(engine, batches[:10])
        wait_for(lambda: writer.behind == 0)
        filler = small_disk / "filler"
        fill(filler)
        with pytest.raises(UnavailableError, match="make room"):  # the log has no room: nothing is acknowledged
            send(engine, batches[10:])
        filler.unlink()
        send(engine, batches[10:])  # what was acknowledged before the disk was full is sent twice, and counted once
        engine.finish().result(60)
        wait_for(lambda: writer.behind == 0 and writer.state == "ok", 60)
    require_whole(open_file(folder, False), expected)


def test_a_store_whose_disk_is_full_is_said_and_the_engine_goes_on(batches, expected, tmp_path, small_disk):
    folder, kept = tmp_path / "state", small_disk / "kept"
    kept.mkdir()
    writer = StoreWriter(lambda: open_file(kept), lambda: open_file(kept, False), plaza(), folder, QUICK)
    with at_work(folder, writer) as engine:
        send(engine, batches[:4])
        wait_for(lambda: writer.behind == 0)
        fill(small_disk / "filler")
        send(engine, batches[4:])
        engine.finish().result(60)
        wait_for(lambda: writer.state == "full")
        assert writer.behind > 0
        (small_disk / "filler").unlink()
        wait_for(lambda: writer.behind == 0 and writer.state == "ok", 60)
    require_whole(open_file(kept, False), expected)


def fill(path: Path) -> None:
    """To the last byte of its disk."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while True:
            os.write(number, bytes(4096))
    os.close(number)


def test_a_store_gives_way_before_its_disk_is_full(small_disk, batches):
    """Bounded: much more is told than there is room for, and the engine's log never lacks any."""
    folder = small_disk / "state"
    options = StoreOptions(
        flush_s=0.0, batch_rows=400, thin_after_s=0.0, tidy_s=0.01, keep_bytes=1 << 20, keep_free=4 << 20
    )
    writer = make_writer(folder, options)
    most = 0
    with at_work(folder, writer) as engine:
        for k in range(4):
            for batch in batches:
                engine.submit(batch.replace(time=batch.time + SECONDS * k)).result(60)
                files = [path.stat().st_size for path in folder.iterdir() if "store" in path.name]
                most = max(most, sum(files))
        wait_for(lambda: writer.behind == 0)
    assert writer.figures.removed > 0
    assert most < 4 << 20, f"{most} bytes of a store that may have 1 MB and its write-ahead log"
    store = open_file(folder, False)
    numbers = [n for (n,) in store.database.rows("SELECT number FROM windows ORDER BY number")]
    assert set(np.diff(numbers)) == {2}, "what is left is the newest, without a gap: the plaza's cameras see at 5 Hz"
