"""Engine, brokers and database killed, the disk full, the line cut, the clock stepped: what was acknowledged stays.

`python tools/faults.py` runs the same for longer: fifty kills, and what they cost.
"""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from broker_samples import Broker, require, service_with
from fault_samples import (
    MQTT,
    NATS,
    PATIENT,
    Chain,
    chain,
    held_mb,
    line_to,
    mounted,
    pause,
    restored,
    some_parts,
    straight,
    told,
)
from serve_samples import ALL, ROOT, plaza, plaza_boxes, running, wait_for
from store_samples import open_postgres
from test_serve_brokers import engine_bytes, worked_off
from test_store_writer import NAMES, held, ordered

from geoloc.pipeline.localizer import Localizer, replay, window_numbers
from geoloc.scene.tables import Detections, Tracks
from geoloc.service.serve.bridges.options import BridgeOptions, MqttOptions, NatsOptions
from geoloc.service.serve.bridges.senders import MqttSender, NatsSender
from geoloc.service.serve.sender import Sender, batches_of

BATCH_S, BATCHES = 0.2, 14
KILLS = int(os.environ.get("GEOLOC_KILLS", "5"))
PATIENCE_S = 300.0
MORE_MB = 250.0  # that a service may hold over what it held when it began
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked and killed")


def some_batches(seconds: float = 6.0) -> list[Detections]:
    return [batch for _, batch in batches_of(plaza_boxes(seconds), BATCH_S)][:BATCHES]


@pytest.mark.slow
@needs_fork
def test_engine_brokers_and_database_killed_in_turn_and_together_lose_nothing(tmp_path):
    for program in (MQTT, NATS):
        require(program)
    rng, done, round_ = np.random.default_rng(8), 0, 0
    list(replay(Localizer(plaza()), some_batches()[0]))  # kernels are loaded before the fork
    while done < KILLS:
        folder = tmp_path / str(round_)
        folder.mkdir()
        with chain(folder) as live:
            done += one_round(live, rng, done, min(KILLS - done, 7))
        round_ += 1


def one_round(live: Chain, rng: np.random.Generator, first: int, most: int) -> int:
    """A recording sent while things are killed, `most` times at most; the kills, all of which left no trace."""
    batches, records = some_batches(), dict[int, int]()
    before = held_mb(os.getpid())
    thread = threading.Thread(target=send_both_ways, args=(live, batches, records))
    thread.start()
    start, kills = time.monotonic(), 0
    while kills < most and thread.is_alive():
        reached = len(records) + int(rng.integers(0, 3))
        wait_for(lambda reached=reached: len(records) > reached or not thread.is_alive(), PATIENCE_S)
        pause(float(rng.uniform(0, 0.05)))
        parts = some_parts(rng, first + kills)
        for part in parts:
            live.kill(part)
        for part in rng.permutation(parts):
            live.start(part)
        kills += 1
    thread.join(PATIENCE_S)
    assert len(records) == len(batches), "every batch was taken"
    wait_for(lambda: worked_off(live.brokers[NATS]), PATIENCE_S)
    live.note_memory()
    wait_for(lambda: stored(live), PATIENCE_S)
    live.child.kill()
    require_undisturbed(live, batches, records)
    told("kill -9 of engine, brokers and database", kills, time.monotonic() - start, live.peak - before)
    assert live.peak < before + MORE_MB
    return kills


def send_both_ways(live: Chain, batches: list[Detections], records: dict[int, int]) -> None:
    """Every other batch over MQTT, which tells its record, and over NATS."""
    mqtt = MqttSender(MqttOptions(url=live.brokers[MQTT].url), "plaza", PATIENCE_S)
    nats = NatsSender(NatsOptions(url=live.brokers[NATS].url), "plaza", PATIENCE_S)
    with mqtt, nats:
        for k, batch in enumerate(batches):
            records[k] = (mqtt, nats)[k % 2].send(batch)
            time.sleep(0.02)  # a pace at which there is something to kill


def stored(live: Chain) -> bool:
    """Whether the service says that the database has all that its engine told."""
    line = http.client.HTTPConnection("127.0.0.1", live.child.port, timeout=10)
    try:
        line.request("GET", "/metrics", headers={"Authorization": f"Bearer {ALL}"})
        figures = line.getresponse().read().decode().splitlines()
    except (OSError, http.client.HTTPException):
        return False  # it is starting
    finally:
        line.close()
    wanted = {'geoloc_store_behind{site="plaza"} 0.0', 'geoloc_store_state{site="plaza",state="ok"} 1.0'}
    return wanted <= set(figures)


def require_undisturbed(live: Chain, batches: list[Detections], records: dict[int, int]) -> None:
    """Engine and store are what they are where nobody disturbs them; no record was given twice."""
    given = [record for record in records.values() if record]
    assert given == sorted(set(given))
    undisturbed = straight(batches)
    number, known = restored(live.state)
    assert number >= max(given)
    assert known == engine_bytes(undisturbed.localizer), "positions, ids and history"
    expected = Tracks.concat(list(replay(Localizer(plaza()), Detections.concat(batches))))
    store = open_postgres(live.database.url, plaza())
    found, closed = held(store), store.database.rows("SELECT max(number) FROM windows")[0][0]
    store.close()
    wanted = ordered(expected.take((expected.state != "tentative") & (window_numbers(expected.time, 0.1) <= closed)))
    assert len(found) == len(wanted) > 100
    for name in NAMES:
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name


@pytest.mark.parametrize("lost", [False, True], ids=["goes on", "is reset"])
@pytest.mark.parametrize("program", [MQTT, NATS])
def test_a_line_to_the_broker_that_is_cut_and_mended_loses_nothing(program, lost, tmp_path):
    batches = some_batches()
    with Broker(program, tmp_path / "broker") as broker, line_to(broker.port) as line:
        scheme = broker.url.partition(":")[0]
        url = f"{scheme}://127.0.0.1:{line.port}"
        if program == MQTT:
            to, sender = BridgeOptions(mqtt=MqttOptions(url=url)), MqttSender(MqttOptions(url=broker.url), "plaza", 120)
        else:
            to = BridgeOptions(nats=NatsOptions(url=url, ack_s=2.0))
            sender = NatsSender(NatsOptions(url=broker.url), "plaza", 120)
        service = service_with(tmp_path / "state", to, PATIENT)
        with running(tmp_path / "state", service=service), sender:
            (bridge,) = service.bridges
            wait_for(lambda: bridge.connected)
            for batch in batches[:4]:
                sender.send(batch)
            wait_for(lambda: bridge.counts["taken"] >= 3)
            line.cut()
            thread = threading.Thread(target=lambda: [sender.send(batch) for batch in batches[4:]])
            thread.start()
            pause(1.0)
            line.mend(lost)
            thread.join(120)
            sender.finish()
            wait_for(lambda: bridge.counts["taken"] >= len(batches) + 1 and worked_off(broker), 120)
    assert restored(tmp_path / "state")[1] == engine_bytes(straight(batches).localizer)


# ---- processes that are started as an operator does


class Served:
    """`geoloc serve` over the plaza, started by its command."""

    def __init__(self, folder: Path, log: Path, **environment: str) -> None:
        words = ["plaza", "--root", str(ROOT / "fixtures" / "plaza"), "--state", str(folder), "--port", "0"]
        words += ["--store", "none", "--limit", f"silent_s={PATIENT.silent_s}"]
        given = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        with log.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "geoloc", "serve", *words], stdout=subprocess.PIPE, stderr=said, text=True,
                env=given,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, log.read_text()[-2000:]
        self.url, _, self.token = line.strip().partition("/#token=")

    def sender(self) -> Sender:
        return Sender(self.url, "plaza", self.token, PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    if not mounted(folder, "24m"):
        pytest.skip("no small disk can be mounted here; it takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Take all that is left of a disk."""
    with path.open("ab", buffering=0) as file:
        for size in (1 << 16, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


@pytest.mark.slow
def test_killed_and_started_on_a_full_disk_it_waits_for_room_and_loses_nothing(small_disk, tmp_path):
    batches, state = some_batches(), small_disk / "state"
    served = Served(state, tmp_path / "log")
    try:
        with served.sender() as sender:
            for batch in batches[:5]:
                sender.send(batch)
        fill(small_disk / "filler")
        with Sender(served.url, "plaza", served.token, 0.5) as sender, pytest.raises(Exception, match="503"):
            sender.send(batches[5])  # nothing is acknowledged that has no room
        served.kill()
        served = Served(state, tmp_path / "log")
        answers = []
        thread = threading.Thread(target=lambda: answers.extend(send_all(served, batches[5:])))
        thread.start()
        pause(1.0)
        (small_disk / "filler").unlink()
        thread.join(PATIENCE_S)
        assert len(answers) == len(batches) - 5 == len(set(answers))
    finally:
        served.kill()
    assert restored(state / "plaza")[1] == engine_bytes(straight(batches).localizer)


def send_all(served: Served, batches: list[Detections]) -> list[int]:
    with served.sender() as sender:
        return [sender.send(batch) for batch in batches]


FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


@pytest.mark.slow
@pytest.mark.skipif(FAKETIME is None, reason="no libfaketime; apt-get install faketime")
def test_a_step_of_the_hosts_clock_changes_nothing(tmp_path):
    batches, offset, log = some_batches(), tmp_path / "offset", tmp_path / "log"
    offset.write_text("+0")
    served = Served(
        tmp_path / "state", log, LD_PRELOAD=str(FAKETIME), FAKETIME_TIMESTAMP_FILE=str(offset), FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1",
    )  # fmt: skip
    try:
        with served.sender() as sender:
            records = []
            for k, batch in enumerate(batches):
                if k in (4, 8):  # an hour ahead, then a day back
                    offset.write_text("+3600" if k == 4 else "-86400")
                records.append(sender.send(batch))
        steps = np.diff(stamps_of_requests(log)) / np.timedelta64(1, "s")
        assert steps.max() > 3000, "the service's clock was stepped ahead"
        assert steps.min() < -80_000, "and back"
    finally:
        served.kill()
    assert records == sorted(set(records))
    assert restored(tmp_path / "state" / "plaza")[1] == engine_bytes(straight(batches).localizer)


def stamps_of_requests(log: Path) -> np.ndarray:
    """When each request was answered, by the service's clock."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"request"' in line]
    return np.array([line["time"].rstrip("Z") for line in lines if line["status"] == 200], "datetime64[ms]")
