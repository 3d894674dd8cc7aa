"""An index in a folder: nothing is lost by a crash at any moment, nothing is left of what was removed."""

import errno
import importlib.util
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.retrieval.indexes import Index, make_index
from geoloc.retrieval.store import rows as store_rows
from geoloc.retrieval.where import Where

DIM = 16
FIELDS = {"camera": str, "time": float, "track": int}
EMBEDDED = ["exact", "faiss"]


@pytest.fixture(params=EMBEDDED)
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "faiss" and importlib.util.find_spec("faiss") is None:
        pytest.skip("the extra faiss is not installed")
    return str(request.param)


@pytest.fixture
def vectors(rng) -> np.ndarray:
    return unit(rng.normal(size=(3000, DIM)))


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def open_index(name: str, place: Path, **settings: int | str) -> Index:
    """The index at `place`, in lists of codes from the thousandth row on if it is FAISS's."""
    few = {"flat_rows": 1000} if name == "faiss" else {}
    return make_index(name, DIM, FIELDS, str(place), **(few | settings))


def add(index: Index, vectors: np.ndarray, start: int, stop: int) -> None:
    """Add rows `start` to `stop` under three times their numbers."""
    rows = np.arange(start, stop)
    camera = np.char.add("camera", (rows % 9).astype(str))
    index.add(3 * rows, vectors[start:stop], {"camera": camera, "time": 0.5 * rows, "track": rows // 10})


def answers(index: Index, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    where = Where().equal("camera", "camera3").between("time", high=700.0)
    return index.search(vectors[:50], 5).ids, index.search(vectors[:50], 5, where).ids


@pytest.mark.parametrize("n", [100, 1500])
def test_what_was_closed_opens_as_it_was(name, vectors, tmp_path, n: int) -> None:
    index = open_index(name, tmp_path / "index", model="net-1")
    add(index, vectors, 0, n)
    index.remove(np.array([3, 30]))
    before, read = answers(index, vectors), index.read(np.array([60, 9]))
    index.close()
    index = open_index(name, tmp_path / "index")
    assert len(index) == n - 2
    assert index.model == "net-1"
    np.testing.assert_array_equal(answers(index, vectors), before)
    np.testing.assert_array_equal(index.read(np.array([60, 9]))[0], read[0])
    assert index.read(np.array([60, 9]))[1]["camera"].tolist() == ["camera2", "camera3"]
    index.close()


@pytest.mark.parametrize("backend", EMBEDDED)
def test_rows_that_were_taken_in_outlive_the_process(backend, vectors, tmp_path) -> None:
    if backend == "faiss" and importlib.util.find_spec("faiss") is None:
        pytest.skip("the extra faiss is not installed")
    code = (
        "import sys, numpy as np; sys.path[:0] = [sys.argv[3], sys.argv[4]]\n"
        "from test_index_folder import add, open_index, unit\n"
        "from pathlib import Path\n"
        "index = open_index(sys.argv[1], Path(sys.argv[2]))\n"
        "vectors = unit(np.random.default_rng(5).normal(size=(3000, 16)))\n"
        "for start in range(0, 3000, 100):\n"
        "    add(index, vectors, start, start + 100)\n"
        "    print(start + 100, flush=True)\n"
    )
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    command = [sys.executable, "-c", code, backend, str(tmp_path / "index"), *folders]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(13)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    index = open_index(backend, tmp_path / "index")
    n = len(index)
    assert n >= int(said[-1])
    assert n % 100 == 0
    written = unit(np.random.default_rng(5).normal(size=(3000, DIM)))
    np.testing.assert_allclose(index.read(3 * np.arange(n))[0], written[:n], rtol=1e-3, atol=1e-3)
    assert (index.search(written[:n:100], 1).ids[:, 0] == 3 * np.arange(0, n, 100)).all()
    index.close()


def crash(index: Index) -> None:
    """Leave the folder as a process leaves it that is killed."""
    index._store._folder.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("lost", [1, 40, 2000])
def test_a_torn_end_of_the_log_loses_the_last_rows_alone(name, vectors, tmp_path, lost: int) -> None:
    index = open_index(name, tmp_path)
    add(index, vectors, 0, 100)
    add(index, vectors, 100, 200)
    crash(index)
    log = next(tmp_path.glob("log-*"))
    os.truncate(log, log.stat().st_size - lost)
    index = open_index(name, tmp_path)
    assert len(index) == 100
    add(index, vectors, 100, 300)
    crash(index)
    index = open_index(name, tmp_path)
    assert len(index) == 300
    index.close()


def test_rows_whose_vectors_did_not_reach_the_disk_are_left_out(name, vectors, tmp_path) -> None:
    index = open_index(name, tmp_path)
    add(index, vectors, 0, 100)
    add(index, vectors, 100, 200)
    crash(index)
    path = next(tmp_path.glob("vectors-*"))
    with path.open("r+b") as file:
        file.seek(150 * DIM * 4)
        file.write(bytes(DIM * 4))
    index = open_index(name, tmp_path)
    assert len(index) == 100
    index.close()


def test_a_log_that_is_broken_in_the_middle_is_not_opened(name, vectors, tmp_path) -> None:
    index = open_index(name, tmp_path)
    for start in range(0, 300, 100):
        add(index, vectors, start, start + 100)
    crash(index)
    log = next(tmp_path.glob("log-*"))
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    with pytest.raises(InputError, match=r"broken at byte .* take the index from a snapshot"):
        open_index(name, tmp_path)


@pytest.mark.parametrize("step", ["write_columns", "wait_for", "Folder.commit"])
def test_a_whole_write_that_fails_leaves_the_rows_as_they_were(name, vectors, tmp_path, monkeypatch, step) -> None:
    def fail(*_: object) -> None:
        raise InputError("no room left on the device")

    index = open_index(name, tmp_path)
    add(index, vectors, 0, 1200)
    index.flush()
    add(index, vectors, 1200, 1300)
    with monkeypatch.context() as patch:
        at: object = store_rows
        for part in step.split(".")[:-1]:
            at = getattr(at, part)
        patch.setattr(at, step.split(".")[-1], fail)
        if step == "wait_for" and name == "exact":
            patch.setattr(store_rows, "write_columns", fail)  # it has no structure to wait for
        with pytest.raises(InputError, match="no room left"):
            index.close()
    crash(index)
    index = open_index(name, tmp_path)
    assert len(index) == 1300
    assert sum(path.name.startswith("columns-") for path in tmp_path.iterdir()) == 1
    index.close()


def test_a_full_disk_adds_nothing(name, vectors, tmp_path, monkeypatch) -> None:
    index = open_index(name, tmp_path)
    add(index, vectors, 0, 50)
    write, writes = os.pwrite, []

    def full(file: int, content: bytes, at: int) -> int:
        writes.append(len(content))
        if len(writes) < 2:
            return write(file, content, at)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(InputError, match="No space left"):
            add(index, vectors, 50, 100)
    assert len(index) == 50
    add(index, vectors, 100, 150)
    crash(index)
    index = open_index(name, tmp_path)
    np.testing.assert_array_equal(index.ids(), 3 * np.append(np.arange(50), np.arange(100, 150)))
    index.close()


def test_nothing_is_left_of_removed_rows(name, vectors, tmp_path) -> None:
    index = open_index(name, tmp_path / "index")
    fields = {"camera": np.array(["secret-gate"]), "time": np.array([1234.56789]), "track": np.array([77])}
    lonely = unit(np.arange(1, DIM + 1)[None])
    index.add(np.array([10**9 + 1]), lonely, fields)
    add(index, vectors, 0, 1200)
    index.flush()
    index.remove(np.array([10**9 + 1]))
    index.compact()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "index").iterdir())
    for trace in ("secret-gate".encode("utf-32-le"), np.float64(1234.56789), np.int64(10**9 + 1)):
        assert bytes(trace) not in stored
    for dtype in (np.float32, np.float16):
        assert lonely.astype(dtype).tobytes() not in stored
    index.close()


def test_a_snapshot_is_an_index_of_its_own(name, vectors, tmp_path) -> None:
    index = make_index(name, DIM, FIELDS)
    add(index, vectors, 0, 200)
    index.remove(np.array([0]))
    index.save(tmp_path / "then")  # type: ignore[attr-defined]
    add(index, vectors, 200, 300)
    then = open_index(name, tmp_path / "then")
    assert (len(then), len(index)) == (199, 299)
    add(then, vectors, 500, 501)
    then.close()
    with pytest.raises(InputError, match="is there already"):
        index.save(tmp_path / "then")  # type: ignore[attr-defined]


def test_one_process_at_a_time(name, tmp_path) -> None:
    index = open_index(name, tmp_path)
    with pytest.raises(InputError, match="is open already"):
        open_index(name, tmp_path)
    index.close()
    open_index(name, tmp_path).close()


def test_another_kind_of_rows_is_refused(name, tmp_path) -> None:
    open_index(name, tmp_path, model="net-1 a3f0").close()
    for dim, fields, model, said in (
        (DIM + 1, FIELDS, "", f"of length {DIM}, not {DIM + 1}"),
        (DIM, {"camera": str, "time": float}, "", "'track' differs"),
        (DIM, FIELDS | {"time": int}, "", "'time' differs"),
        (DIM, FIELDS, "net-2", "of the model 'net-1 a3f0', not 'net-2'"),
    ):
        with pytest.raises(InputError, match=said):
            make_index(name, dim, fields, str(tmp_path), model)


def test_a_folder_of_other_things_is_not_touched(name, tmp_path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match=r"'photo\.jpg' is in it"):
        open_index(name, tmp_path)
    assert (tmp_path / "photo.jpg").exists()


def test_exact_opens_what_faiss_wrote_and_back(vectors, tmp_path) -> None:
    pytest.importorskip("faiss")
    for name in ("faiss", "exact", "faiss"):
        index = open_index(name, tmp_path)
        n = len(index)
        add(index, vectors, n, n + 700)
        assert index.search(vectors[: n + 700 : 70], 1).ids[:, 0].tolist() == (3 * np.arange(0, n + 700, 70)).tolist()
        index.close()


@pytest.mark.parametrize("part", ["columns-*", "vectors-*", "index.json"])
def test_a_file_that_is_cut_short_is_refused_by_name(name, vectors, tmp_path, part: str) -> None:
    index = open_index(name, tmp_path)
    add(index, vectors, 0, 1200)
    index.close()
    path = next(tmp_path.glob(part))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match=path.name):
        open_index(name, tmp_path)


def test_a_structure_that_is_damaged_is_named_and_made_anew_once_deleted(vectors, tmp_path) -> None:
    pytest.importorskip("faiss")
    index = open_index("faiss", tmp_path)
    add(index, vectors, 0, 1200)
    before = index.search(vectors[:50], 5).ids
    index.close()
    path = next(tmp_path.glob("graph-*"))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match="delete it, and it is made anew"):
        open_index("faiss", tmp_path)
    path.unlink()
    index = open_index("faiss", tmp_path)
    np.testing.assert_array_equal(index.search(vectors[:50], 5).ids, before)
    index.close()


def test_threads_search_while_rows_come_and_go(name, vectors, tmp_path) -> None:
    index = open_index(name, tmp_path)
    add(index, vectors, 0, 900)
    wrong: list[int] = []

    def ask() -> None:
        while len(index) < 2900:
            wrong.extend(index.search(vectors[:900:90], 1).ids[:, 0] - 3 * np.arange(0, 900, 90))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(900, 2900, 100):
        add(index, vectors, start, start + 100)
    for thread in threads:
        thread.join()
    assert not np.any(wrong)
    index.close()
