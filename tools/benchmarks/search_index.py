"""Search in a million vectors: geoloc's index beside plain FAISS calls on the same lists, in one run, one thread.

    OMP_NUM_THREADS=1 python tools/benchmarks/search_index.py [--rows 1000000]

Times are of the process (CPU), so that they hold on a machine that others use; what waits for the disk is wall-clock.
"""

import argparse
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.row import Row, absent
from benchmarks.seen_vehicles import DAY_S, DAYS, DIM, FIELDS, VIEWS, Fleet, Seen
from geoloc.retrieval.indexes import Index, make_index
from geoloc.retrieval.where import Where

ROWS, NEW, STEP = 1_000_000, 100_000, 1000  # rows, rows that come later, rows that come at a time
QUERIES, BATCH, K = 256, 64, 10
EXACT = 200_000  # kept rows above which comparing with all of them is not worth timing
@dataclass(frozen=True, eq=False)
class Peer:
    """Plain FAISS on the lists that geoloc made, refined with its own float16 copy."""

    faiss: Any
    refined: Any
    half: Any  # which FAISS does not keep alive
    params: Any


def bench_search_index() -> list[Row]:
    """Rows of making, opening, searching, filtering and adding to an index of a million vectors."""
    return list(measured(ROWS))


def measured(n: int) -> Iterator[Row]:
    """The rows, as they are measured."""
    if find_spec("faiss") is None:
        yield absent("search in a million vectors", "FAISS", "ms", "faiss-cpu")
        return
    rng = np.random.default_rng(1)
    fleet = Fleet(max(n // VIEWS, 10), rng)
    seen, later, asked = fleet.views(n, rng), fleet.views(NEW, rng), fleet.views(20 * QUERIES, rng)
    queries = asked.vectors[rng.permutation(len(asked.vectors))[:QUERIES]].copy()
    with TemporaryDirectory() as folder:
        place = Path(folder) / "gallery"
        index = make_index("faiss", DIM, FIELDS, str(place))
        made = cpu(lambda: index.add(np.arange(n), seen.vectors, seen.fields), 0, 1)
        yield Row("making an index", "geoloc", n / made, "rows/s", None, "", f"{n:,} at once, lists learned; CPU")
        index.close()
        yield from start_rows(place, queries, n)
        index = make_index("faiss", DIM, FIELDS, str(place))
        peer = plain(place, seen, index)
        yield from search_rows(index, peer, seen, queries)
        yield from ingest_rows(index, later, n)
        index.close()
        index = make_index("faiss", DIM, FIELDS, str(place))
        index.remove(np.arange(n, n + NEW))  # so that both search the same rows
        for name, where in filters():
            yield from filter_rows(name, where, index, peer, seen, queries)
        index.close()


def start_rows(place: Path, queries: np.ndarray, n: int) -> list[Row]:
    """Opening a saved index in a new process, and the memory that it holds after all queries."""
    asked = place.with_name("queries.npy")
    np.save(asked, queries)
    fields = json.dumps({name: kind.__name__ for name, kind in FIELDS.items()})
    child = str(Path(__file__).with_name("search_start.py"))
    command = [sys.executable, child, str(place), str(asked), fields]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    note = f"{n:,} x {DIM}, all pages of the file that {len(queries)} queries touched among them"
    return [
        Row("start of a saved index", "geoloc", said["seconds"], "s", None, "< 1 s", "to the first answer, wall-clock"),
        Row("memory of an index", "geoloc", said["bytes"] / 1e9, "GB", None, "< 0.7 GB", note),
    ]


def plain(place: Path, seen: Seen, index: Index) -> Peer:
    """FAISS's own refinement over a copy of the vectors, with the lists and the effort of the index."""
    faiss: Any = importlib.import_module("faiss")  # its types know less than it takes
    graph = next(place.glob("graph-*"))
    ivf = faiss.read_index(str(graph))
    half = faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    half.add(seen.vectors)
    settings = index.settings  # type: ignore[attr-defined]
    lists = faiss.SearchParametersIVF(nprobe=int(settings["probes"]))
    params = faiss.IndexRefineSearchParameters(k_factor=int(settings["refine"]), base_index_params=lists)
    refined = faiss.IndexRefine(ivf, half)
    return Peer(faiss, refined, half, params)


def search_rows(index: Index, peer: Peer, seen: Seen, queries: np.ndarray) -> list[Row]:
    """Search without a filter, in batches and one by one."""
    refined = peer.refined
    truth = best(seen.vectors, queries, None)
    rows = []
    for batch in (BATCH, 1):
        parts = np.split(queries, len(queries) // batch)[: 64 if batch == 1 else 4]

        def ours(parts: list[np.ndarray] = parts) -> None:
            for part in parts:
                index.search(part, K)

        def bare(parts: list[np.ndarray] = parts) -> None:
            for part in parts:
                refined.search(part, K, params=peer.params)

        notes = [recall_note(refined.search(queries, K, params=peer.params)[1], truth)]
        notes.append(recall_note(index.search(queries, K).ids, truth))
        own, other = side_by_side(ours, bare, 12)
        own, other = 1e3 * own / len(parts), 1e3 * other / len(parts)
        asked = "<= 1.05" if batch > 1 else "0.2 ms added"
        name = f"search, {batch} at a time"
        rows += [
            Row(name, "FAISS: IVF-PQ, refined", other, "ms", 1.0, "", notes[0]),
            Row(name, "geoloc", own, "ms", own / other, asked, notes[1]),
        ]
    return rows


def filters() -> list[tuple[str, Where]]:
    """Filters that are tied to looks, from a hundred-thousandth of the rows to three fifths."""
    span = DAYS * DAY_S
    found = []
    for share in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 0.6):
        found.append((f"time, {share:g}", Where().between("time", 0.4 * span, (0.4 + share) * span)))
    for n in (1, 10, 100):
        found.append((f"{n} of 1000 cameras", Where().equal("camera", *(f"camera{i}" for i in range(100, 100 + n)))))
    return found + [(color, Where().equal("color", color)) for color in ("pink", "beige", "blue", "white")]


def filter_rows(name: str, where: Where, index: Index, peer: Peer, seen: Seen, queries: np.ndarray) -> list[Row]:
    """One filter: recall, and time beside the better of the kept rows compared by NumPy and FAISS without a filter."""
    kept = np.flatnonzero(where.holds({"id": np.arange(len(seen.vectors)), **seen.fields}))
    if not len(kept):
        return []
    truth = best(seen.vectors, queries, kept)
    selector = peer.faiss.IDSelectorBatch(kept)
    wide = peer.faiss.SearchParametersIVF(sel=selector, nprobe=256)
    refine = peer.faiss.IndexRefineSearchParameters(k_factor=16, base_index_params=wide)
    refined = peer.refined
    plain_note = recall_note(refined.search(queries[:BATCH], K, params=refine)[1], truth[:BATCH])
    rows = []
    for batch in (BATCH, 1):
        parts = np.split(queries, len(queries) // batch)
        found = np.concatenate([index.search(part, K, where).ids for part in parts])
        some = parts[: 16 if batch == 1 else 1]
        own = each(lambda part: index.search(part, K, where), some)
        bare = each(lambda part: refined.search(part, K, params=peer.params), some)
        exact = each(lambda part: best(seen.vectors, part, kept), some[:4]) if len(kept) <= EXACT else np.inf
        better, subject = min((exact, "kept rows, exact"), (bare, "FAISS, no filter"))
        title = f"filter {name} ({len(kept):,} rows), {batch} at a time"
        rows += [
            Row(title, subject, 1e3 * better, "ms", 1.0, "", f"FAISS with the filter, 256 lists: {plain_note}"),
            Row(title, "geoloc", 1e3 * own, "ms", own / better, "<= 2, recall >= 0.99", recall_note(found, truth)),
        ]
    return rows


def each(work: Callable[[np.ndarray], object], parts: list[np.ndarray]) -> float:
    """Least CPU time (s) of a work, a part."""
    return cpu(lambda: [work(part) for part in parts], 1, 3) / len(parts)


def ingest_rows(index: Index, later: Seen, n: int) -> list[Row]:
    """Rows that come in small parts, each on the disk and found before the next comes."""
    starts = range(0, len(later.vectors), STEP)
    cpu_start, wall_start, lost = time.process_time(), time.perf_counter(), 0
    for start in starts:
        some = slice(start, start + STEP)
        fields = {name: values[some] for name, values in later.fields.items()}
        index.add(np.arange(n + start, n + start + STEP), later.vectors[some], fields)
        index.flush()
        lost += int(index.search(later.vectors[start : start + 1], 1).ids[0, 0] != n + start)
    took, wall = time.process_time() - cpu_start, time.perf_counter() - wall_start
    said = f"{STEP} at a time into {n:,}, {lost} of {len(starts)} not found at once; {wall:.1f} s on the clock"
    return [Row("adding, durable and visible", "geoloc", len(later.vectors) / took, "rows/s", None, ">= 20,000", said)]


def best(vectors: np.ndarray, queries: np.ndarray, kept: np.ndarray | None) -> np.ndarray:
    """The ten best rows (Q, 10) by one matrix product after the other; -1 where there are fewer."""
    rows = np.arange(len(vectors)) if kept is None else kept
    found, scores = np.full((len(queries), K), -1), np.full((len(queries), K), -np.inf, np.float32)
    for start in range(0, len(rows), 50_000):
        some = rows[start : start + 50_000]
        both = np.hstack([scores, queries @ vectors[some].T])
        ids = np.hstack([found, np.broadcast_to(some, (len(queries), len(some)))])
        order = np.argpartition(-both, K - 1, axis=1)[:, :K]
        found, scores = np.take_along_axis(ids, order, axis=1), np.take_along_axis(both, order, axis=1)
    return found


def recall_note(found: np.ndarray, truth: np.ndarray) -> str:
    """Share of the true neighbours that were found, in words."""
    there = truth >= 0
    share = ((truth[:, :, None] == found[:, None, :]).any(axis=2) & there).sum() / there.sum()
    return f"recall@10 {share:.4f}"


def cpu(work: Callable[[], object], warm: int, times: int) -> float:
    """Least CPU time (s) of several runs."""
    for _ in range(warm):
        work()
    took = []
    for _ in range(times):
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return min(took)


def side_by_side(first: Callable[[], object], second: Callable[[], object], times: int) -> tuple[float, float]:
    """Least CPU times (s) of two works that take turns, so that both see the same machine."""
    pairs = [(cpu(first, 0, 1), cpu(second, 0, 1)) for _ in range(times)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="vectors in the index")
    for row in measured(parser.parse_args().rows):
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} x"
        cells = row.benchmark, row.subject, f"{row.value:.4g} {row.unit}", ratio, row.asked, row.note
        sys.stdout.write(" | ".join(cells) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
