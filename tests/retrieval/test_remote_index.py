"""A server that is down, slow or answers half: limits, clear words, and no row lost or doubled."""

import numpy as np
import pytest

from geoloc.errors import InputError, UnknownNameError
from geoloc.retrieval.exact_index import ExactIndex
from geoloc.retrieval.servers.about import About
from geoloc.retrieval.servers.outbox import Batch
from geoloc.retrieval.servers.remote_index import RemoteIndex
from geoloc.retrieval.servers.sending import NoAnswer, NotAcknowledged, Sending, Unanswered, settings_of
from geoloc.retrieval.where import ANYWHERE

FIELDS = {"camera": str, "time": float}
QUICK = Sending(tries=3, wait=0.0, batch=4, queue_rows=20)


class Scripted:
    """A store in memory that fails as told: `faults` maps a call to how it fails next, taken one at a time.

    "before": nothing was done; "after": all was done, but nobody hears of it; "half": half of the rows were taken.
    """

    where, timeout, longest_name, infinite = "index scripted", 1.0, 20, False

    def __init__(self) -> None:
        self.about, self.kept = About(2, FIELDS), ExactIndex(2, FIELDS)
        self.faults: dict[str, list[str]] = {}
        self.calls: list[str] = []

    def run(self, name: str, action):
        self.calls.append(name)
        fault = self.faults[name].pop(0) if self.faults.get(name) else ""
        if fault == "before":
            raise Unanswered("connection refused")
        answer = action(fault)
        if fault:
            raise Unanswered("timed out")
        return answer

    def count(self):
        return self.run("count", lambda fault: len(self.kept))

    def held(self, ids):
        return self.run("held", lambda fault: np.intersect1d(ids, self.kept.ids()))

    def put(self, batch):
        def action(fault: str) -> None:
            some = batch.take(slice(0, len(batch) // 2)) if fault == "half" else batch
            self.kept.add(some.ids, some.vectors, some.rows)

        return self.run("put", action)

    def drop(self, ids):
        return self.run("drop", lambda fault: self.kept.remove(np.intersect1d(ids, self.kept.ids())))

    def best(self, queries, k, where):
        return self.run("best", lambda fault: self.kept.search(queries, k, where))

    def ids(self, where):
        return self.run("ids", lambda fault: self.kept.ids(where))

    def read(self, ids):
        ids = np.intersect1d(ids, self.kept.ids())[::-1]
        return self.run("read", lambda fault: Batch(ids, *self.kept.read(ids)))

    def settle(self):
        return self.run("settle", lambda fault: None)

    compact = settle

    def close(self):
        self.calls.append("close")


@pytest.fixture
def store() -> Scripted:
    return Scripted()


@pytest.fixture
def index(store: Scripted) -> RemoteIndex:
    return RemoteIndex(store, QUICK)


def add(index: RemoteIndex, *ids: int, time: float = 5.0) -> None:
    rows = {"camera": np.full(len(ids), "gate"), "time": np.full(len(ids), time)}
    index.add(np.array(ids), np.outer(ids, [1.0, 2.0]), rows)


def test_what_passes_within_the_tries_is_not_noticed(index, store) -> None:
    store.faults = {"held": ["before"], "put": ["before", "before"], "best": ["before", "after"]}
    add(index, 1, 2, 3)
    assert index.search(np.ones((1, 2)), 1).ids.tolist() == [[3]]
    assert store.calls.count("best") == 3
    assert len(index) == 3


@pytest.mark.parametrize("fault", ["after", "half"])
def test_rows_whose_answer_was_lost_do_not_come_twice(index, store, fault: str) -> None:
    store.faults = {"put": [fault, "before"]}
    add(index, *range(10), time=np.nan)  # a missing number is the same as itself
    np.testing.assert_array_equal(store.kept.ids(), np.arange(10))


def test_a_server_that_is_down_leaves_rows_in_the_queue_and_says_which(index, store) -> None:
    store.faults = {"held": ["before"] * 3}
    with pytest.raises(NotAcknowledged, match=r"in 3 tries .*connection refused.*6 rows from id 1 on") as said:
        add(index, 1, 2, 3, 4, 5, 6)
    assert said.value.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert len(store.kept) == 0
    index.flush()
    assert store.kept.ids().tolist() == [1, 2, 3, 4, 5, 6]


def test_only_what_was_not_acknowledged_waits(index, store) -> None:
    store.faults = {"put": ["", "half", "before", "before"]}  # batches of 4: the second one fails
    with pytest.raises(NotAcknowledged) as said:
        add(index, *range(10))
    assert said.value.ids.tolist() == [4, 5, 6, 7, 8, 9]
    index.close()  # the last chance: it is sent
    assert store.kept.ids().tolist() == list(range(10))
    assert store.calls[-1] == "close"


def test_the_next_rows_wait_behind_the_first_with_one_try(index, store) -> None:
    store.faults = {"held": ["before"] * 4}
    for some in ([1, 2], [3, 4]):
        with pytest.raises(NotAcknowledged):
            add(index, *some)
    assert store.calls == ["held"] * 4  # three tries, then one
    with pytest.raises(InputError, match="id 3 comes twice"):
        add(index, 3)
    add(index, 5)  # it answers again: all goes, in order
    assert store.kept.ids().tolist() == [1, 2, 3, 4, 5]


def test_a_search_goes_on_while_rows_wait(index, store) -> None:
    add(index, 1)
    store.faults = {"put": ["before"] * 4}
    with pytest.raises(NotAcknowledged):
        add(index, 2)
    assert index.search(np.ones((1, 2)), 2).ids.tolist() == [[1, -1]]
    assert index.search(np.ones((1, 2)), 2).ids.tolist() == [[2, 1]]


def test_a_queue_that_is_full_takes_nothing_and_says_so(index, store) -> None:
    store.faults = {"held": ["before"] * 8}
    with pytest.raises(NotAcknowledged):
        add(index, *range(15))
    with pytest.raises(InputError, match=r"15 rows wait for an answer, 6 more are over queue_rows=20; nothing"):
        add(index, *range(20, 26))
    assert len(index.outbox) == 15


def test_a_queue_in_a_folder_outlives_the_process(store, tmp_path) -> None:
    sending = Sending(tries=1, batch=4, queue=str(tmp_path / "queue"))
    index = RemoteIndex(store, sending)
    store.faults = {"put": ["half"]}
    with pytest.raises(NotAcknowledged, match=f"wait in {tmp_path}"):
        add(index, *range(6), time=np.nan)
    index.close()  # nothing is lost, so nothing is said
    again = RemoteIndex(store, sending)
    again.flush()
    assert store.kept.ids().tolist() == list(range(6))
    assert not list((tmp_path / "queue").iterdir())


def test_a_queue_of_another_index_is_refused(store, tmp_path) -> None:
    sending = Sending(tries=1, queue=str(tmp_path))
    index = RemoteIndex(store, sending)
    store.faults = {"held": ["before"]}
    with pytest.raises(NotAcknowledged):
        add(index, 1)
    store.about = About(3, FIELDS)
    with pytest.raises(InputError, match="for another index"):
        RemoteIndex(store, sending)


def test_more_rows_than_the_queue_holds_are_kept_when_they_come_at_once(index, store) -> None:
    store.faults = {"put": ["", "before", "before", "before"]}
    with pytest.raises(NotAcknowledged):
        add(index, *range(40))
    index.flush()
    assert store.kept.ids().tolist() == list(range(40))


def test_a_queue_that_was_cut_short_is_refused(store, tmp_path) -> None:
    (tmp_path / "000000000001.npz").write_bytes(b"PK\3\4 cut")
    with pytest.raises(InputError, match="no batch of rows"):
        RemoteIndex(store, Sending(queue=str(tmp_path)))


def test_a_row_that_others_added_meanwhile_stands_and_ours_is_refused(index, store) -> None:
    store.faults = {"put": ["before"] * 3}
    with pytest.raises(NotAcknowledged):
        add(index, 1, 2, 3)
    others = {"camera": np.array(["ramp"]), "time": np.array([1.0])}
    store.kept.add(np.array([2]), np.ones((1, 2), np.float32), others)
    with pytest.raises(InputError, match="id 2 comes twice"):
        index.flush()
    assert store.kept.ids().tolist() == [1, 2, 3]
    assert store.kept.read(np.array([2]))[1]["camera"].tolist() == ["ramp"]
    index.flush()


def test_nothing_is_removed_while_rows_cannot_be_sent(index, store) -> None:
    add(index, 1)
    store.faults = {"put": ["before"] * 6}
    with pytest.raises(NotAcknowledged):
        add(index, 2)
    with pytest.raises(NotAcknowledged, match="1 rows still wait"):
        index.remove(np.array([1]))
    assert store.kept.ids().tolist() == [1]
    index.remove(np.array([1, 2]))
    assert store.kept.ids().tolist() == []


@pytest.mark.parametrize("verb", ["best", "ids", "read", "count", "settle", "drop"])
def test_a_server_that_never_answers_is_named_after_the_last_try(index, store, verb: str) -> None:
    add(index, 1)
    store.faults = {verb: ["before"] * 3}
    asks = {
        "best": lambda: index.search(np.ones((1, 2)), 1),
        "ids": lambda: index.ids(ANYWHERE),
        "read": lambda: index.read(np.array([1])),
        "count": lambda: len(index),
        "settle": index.flush,
        "drop": lambda: index.remove(np.array([1])),
    }
    with pytest.raises(NoAnswer, match=r"index scripted: \w+: no answer in 3 tries"):
        asks[verb]()
    assert not store.faults[verb]
    asks[verb]()


def test_values_that_no_server_could_hold_are_refused_before_anything_is_sent(index, store) -> None:
    with pytest.raises(InputError, match="field time of id 4 is infinite"):
        add(index, 4, time=np.inf)
    rows = {"camera": np.array(["x" * 21]), "time": np.zeros(1)}
    with pytest.raises(InputError, match="a camera is over 20 bytes"):
        index.add(np.array([1]), np.ones((1, 2)), rows)
    assert store.calls == []


def test_waits_double_up_to_the_longest_and_part_of_them_is_chance(rng) -> None:
    sending = Sending(wait=0.2, longest_wait=1.0)
    waits = np.array([[sending.pause(tries, rng) for tries in range(1, 7)] for _ in range(200)])
    longest = np.minimum(0.2 * 2.0 ** np.arange(6), 1.0)
    assert (waits <= longest).all()
    assert (waits >= longest / 2).all()
    assert waits.std(axis=0).min() > 0.02  # s


def test_unknown_and_wrong_settings_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown setting 'batches' of index 'x'; did you mean 'batch'"):
        settings_of("x", QUICK, {"batches": 3})
    with pytest.raises(InputError, match="tries is 0"):
        settings_of("x", QUICK, {"tries": 0})
