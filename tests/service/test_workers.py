"""Workers over a real NATS server that are killed, paused and joined: every site's tracks are those of one engine."""

import json
import os
import signal

import numpy as np
import pytest
from broker_samples import Broker
from serve_samples import wait_for

from geoloc.errors import InputError
from geoloc.service.workers.register import Claim
from geoloc.service.workers.shares import loads, share_out, to_give

pytest.importorskip("nats", reason="pip install 'geoloc[nats]'")

from worker_samples import (
    SITES,
    WorkerProcess,
    alive,
    ask,
    batches,
    claims,
    expected,
    make_root,
    owners,
    send,
    told,
)

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked and killed")
PATIENCE_S = 180.0


@pytest.fixture
def broker(tmp_path):
    with Broker("nats-server", tmp_path / "broker") as one:
        yield one


def all_told(broker: Broker, sites: tuple[str, ...] = SITES) -> bool:
    return all(len(told(broker, site)) >= len(expected()) for site in sites)


def require_same_bits(broker: Broker, sites: tuple[str, ...] = SITES) -> None:
    for site in sites:
        assert [data for _, data in told(broker, site)] == expected(), site


@forks
def test_a_killed_workers_sites_go_on_elsewhere_to_the_same_bits(broker, tmp_path):
    moment = int(np.random.default_rng(8).integers(5, 15))
    root, some = make_root(tmp_path / "root"), batches()
    with WorkerProcess(root, broker, "first") as first:
        wait_for(lambda: owners(broker) == dict.fromkeys(SITES, "first"), PATIENCE_S)
        send(broker, some[:moment])
        wait_for(lambda: any(told(broker, site) for site in SITES), PATIENCE_S)
        first.kill()
        with WorkerProcess(root, broker, "second"):
            send(broker, some[moment:], end=True)
            wait_for(lambda: all_told(broker), PATIENCE_S)
            assert set(owners(broker).values()) == {"second"}
    require_same_bits(broker)
    epochs = [int(headers["Geoloc-Epoch"]) for site in SITES for headers, _ in told(broker, site)]
    assert {1, 2} <= set(epochs)


@forks
def test_a_new_worker_gets_its_share_and_what_one_leaves_is_taken_at_once(broker, tmp_path):
    sites, some = SITES[:2], batches()
    root = make_root(tmp_path / "root", sites)
    with WorkerProcess(root, broker, "first") as first:
        wait_for(lambda: owners(broker) == dict.fromkeys(sites, "first"), PATIENCE_S)
        send(broker, some[:8], sites)
        with WorkerProcess(root, broker, "second") as second:
            wait_for(lambda: sorted(owners(broker).values()) == ["first", "second"], PATIENCE_S)
            send(broker, some[8:16], sites)
            assert first.end() == 0
            send(broker, some[16:], sites, end=True)
            wait_for(lambda: all_told(broker, sites), PATIENCE_S)
            require_same_bits(broker, sites)
            assert second.end() == 0
    assert {one.worker for one in claims(broker).values()} == {""}


@forks
def test_a_worker_that_was_paused_beyond_its_lease_writes_nothing_any_more(broker, tmp_path):
    root, some, sites = make_root(tmp_path / "root", ("east",)), batches(), ("east",)
    with WorkerProcess(root, broker, "paused") as paused:
        wait_for(lambda: owners(broker) == {"east": "paused"}, PATIENCE_S)
        send(broker, some[:10], sites)
        wait_for(lambda: told(broker, "east"), PATIENCE_S)
        paused.signal(signal.SIGSTOP)
        send(broker, some[10:14], sites)
        with WorkerProcess(root, broker, "other"):
            wait_for(lambda: owners(broker) == {"east": "other"}, PATIENCE_S)
            send(broker, some[14:18], sites)
            paused.signal(signal.SIGCONT)
            wait_for(lambda: "paused" in alive(broker), PATIENCE_S)
            send(broker, some[18:], sites, end=True)
            wait_for(lambda: all_told(broker, sites), PATIENCE_S)
            assert owners(broker) == {"east": "other"}
    require_same_bits(broker, sites)
    epochs = [int(headers["Geoloc-Epoch"]) for headers, _ in told(broker, "east")]
    assert epochs == sorted(epochs)
    assert epochs[-1] == claims(broker)["east"].epoch == 2


@forks
def test_a_site_in_regions_goes_on_when_the_worker_of_all_of_them_is_killed(broker, tmp_path, capsys):
    from geoloc.cli.main import main

    root, some, sites = make_root(tmp_path / "root", ("east",)), batches(), ("east",)
    assert main(["regions", "east", "--root", str(root)]) == 0
    assert "r2" in capsys.readouterr().out
    with WorkerProcess(root, broker, "first") as first:
        wait_for(lambda: owners(broker).get("east") == "first", PATIENCE_S)
        send(broker, some[:10], sites)
        wait_for(lambda: len(told(broker, "east")) > 3, PATIENCE_S)
        first.kill()
        with WorkerProcess(root, broker, "second"):
            send(broker, some[10:], sites, end=True)
            last = window_of(expected()[-1])
            wait_for(lambda: last in {window_of(data) for _, data in told(broker, "east")}, PATIENCE_S)
    windows = [window_of(data) for _, data in told(broker, "east")]
    assert windows == sorted(set(windows))
    assert set(windows) == {window_of(data) for data in expected()}
    for _, data in told(broker, "east"):
        for step in json.loads(data)["steps"]:
            assert len(set(step["track"])) == len(step["track"])


def window_of(data: bytes) -> int:
    return json.loads(data)["window"]


def test_whoever_is_of_an_older_epoch_is_refused_by_the_server_itself(broker):
    from geoloc.service.workers.outlet import Outlet
    from geoloc.service.workers.register import LostError, Register

    async def never_waits() -> None:
        """The lease is not looked at: this is about what is behind it."""

    async def both(js) -> None:
        await js.add_stream(name="OUT", subjects=["out.>"])
        old, new = (Outlet(js, "OUT", "out.tracks", epoch, never_waits) for epoch in (1, 2))
        await old.find()
        await old.put((5, 0), b"five")
        await new.find()
        assert new.has((5, 0))
        assert not new.has((5, 1))
        await new.put((6, 0), b"six")
        with pytest.raises(LostError):
            await old.put((6, 0), b"six, again")
        await new.put((6, 0), b"six, again")
        assert (await js.stream_info("OUT")).state.messages == 2
        register = await Register.open(js, "geoloc", 2.0)
        first = await register.write("east", Claim("a", 1))
        await register.write("east", Claim("b", 2, revision=first.revision))
        with pytest.raises(LostError):
            await register.write("east", Claim("a", 1, place=7, revision=first.revision))
        assert (await register.claims({"east": 0}))["east"].worker == "b"

    ask(broker, both)


def test_a_publication_whose_acknowledgement_was_lost_is_not_made_twice(broker):
    from geoloc.service.workers.outlet import Outlet

    async def lost(js) -> None:
        async def never_waits() -> None:
            """Always ours."""

        await js.add_stream(name="OUT", subjects=["out.>"])
        outlet, real, fails = Outlet(js, "OUT", "out.tracks", 1, never_waits), js.publish, [True]

        async def publish(*words, **how):
            ack = await real(*words, **how)
            if fails:
                fails.clear()
                raise TimeoutError
            return ack

        js.publish = publish
        await outlet.put((1, 0), b"one")
        await outlet.put((2, 0), b"two")
        assert (await js.stream_info("OUT")).state.messages == 2

    ask(broker, lost)


# ---- shares


def test_free_sites_go_to_the_emptiest_and_all_workers_work_out_the_same():
    weights = {"a": 30, "b": 4, "c": 4, "d": 8}
    wanted = share_out(weights, {"a": "one", "b": "dead"}, ("two", "one"))
    assert wanted == {"d": "two", "b": "two", "c": "two"}
    assert share_out(weights, {}, ()) == {}


def test_giving_away_ends_when_nothing_is_gained():
    weights = {name: 1 + k % 5 for k, name in enumerate("abcdefghij")}
    owners, workers, moves = dict.fromkeys(weights, "one"), ("one", "two", "three"), 0
    while giver := next((worker for worker in workers if to_give(weights, owners, workers, worker)), ""):
        del owners[to_give(weights, owners, workers, giver)]
        owners |= share_out(weights, owners, workers)
        moves += 1
    assert moves < 15
    assert max(loads(weights, owners, workers).values()) - min(loads(weights, owners, workers).values()) <= 1


def test_a_register_entry_of_another_kind_is_refused_by_name():
    with pytest.raises(InputError, match="'east'"):
        Claim.parsed(b'{"schema": 9}', 1, "east")
    claim = Claim("a", 3, 17, 4, {"state.json": "east/state"}, 5)
    assert Claim.parsed(claim.plain(), 5, "east") == claim


def test_no_server_is_named_by_no_address(tmp_path, capsys):
    from geoloc.cli.main import main

    assert main(["worker", "--root", str(make_root(tmp_path, ("east",)))]) == 2
    assert "--nats" in capsys.readouterr().err
    assert main(["worker", "--root", str(tmp_path / "nothing"), "--nats", "nats://localhost"]) == 2
    assert "--root" in capsys.readouterr().err


