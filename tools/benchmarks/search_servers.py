"""How fast rows come into the servers' backends, and how well and fast filtered searches are answered.

    python tools/benchmarks/search_servers.py pgvector --rows 100000 --method hnsw

Filters are tied to looks (one camera, one hour, one colour), where graphs that are filtered afterwards fail. A search
stands beside the better of two others on the same server: comparing all rows that the filter keeps, and no filter.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.seen_vehicles import DAY_S, DIM, FIELDS, Fleet, Seen
from geoloc.retrieval.indexes import Index, make_index
from geoloc.retrieval.where import ANYWHERE, Where

K, QUERIES, CHUNK = 10, 20, 20_000


def main() -> None:
    """Fill an index of a backend, and measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backend", choices=["faiss", "milvus", "pgvector", "opensearch"])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--method", default="exact", choices=["exact", "hnsw"])
    parser.add_argument("--place", default="", help="URI or folder; a folder of its own without")
    args = parser.parse_args()
    rng = np.random.default_rng(7)
    fleet = Fleet(max(args.rows // 50, 20), rng)
    seen = fleet.views(args.rows, rng)
    queries = fleet.views(QUERIES, rng).vectors
    index = filled(args.backend, args.place, args.method, seen)
    print(f"{len(index)} rows x {DIM}, {args.backend} {args.method}")
    compare(index, seen, queries)
    index.close()


def filled(backend: str, place: str, method: str, seen: Seen) -> Index:
    """An index of the rows; what their coming in took is printed."""
    index = make_index(backend, DIM, FIELDS, place, batch=5000, timeout=600.0)
    if len(index) == len(seen.vectors):  # of an earlier run
        return make_index(backend, DIM, FIELDS, place, timeout=600.0, method=method)
    start, cpu = time.perf_counter(), time.process_time()
    for at in range(0, len(seen.vectors), CHUNK):
        some = slice(at, at + CHUNK)
        ids = np.arange(len(seen.vectors))[some]
        index.add(ids, seen.vectors[some], {name: values[some] for name, values in seen.fields.items()})
    index.flush()
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    n = len(seen.vectors)
    print(f"came in: {n / took:.0f} rows/s, durable and visible; this process {1e6 * cpu / n:.0f} us of CPU a row")
    if method == "hnsw":
        start = time.perf_counter()
        store = index.store  # type: ignore[attr-defined]
        store.options = type(store.options)(method="hnsw")
        store.open()
        print(f"graph: {time.perf_counter() - start:.0f} s")
    return index


def filters(seen: Seen) -> dict[str, Where]:
    """Filters from about 1e-5 of the rows to all."""
    camera, day = str(seen.fields["camera"][0]), 15 * DAY_S
    hours = {f"{hours:g} h": Where().between("time", day, day + 3600 * hours) for hours in (0.01, 0.1, 1, 10, 72, 360)}
    return {
        "none": ANYWHERE,
        **hours,
        "one camera": Where().equal("camera", camera),
        "camera and day": Where().equal("camera", camera).between("time", day, day + DAY_S),
        "gold": Where().equal("color", "gold"),
        "red": Where().equal("color", "red"),
        "white": Where().equal("color", "white"),
        "near": Where().near(800.0, 480.0, 100.0),
    }


def compare(index: Index, seen: Seen, queries: np.ndarray) -> None:
    """Recall and time of every filter, one query at a time."""
    store = index.store  # type: ignore[attr-defined]
    kept_options = store.options
    plain = timed(index, queries, ANYWHERE)[1]
    print(f"{'filter':16}{'kept':>9}{'recall@10':>11}{'ms':>9}{'exact ms':>10}{'to better':>11}")
    for name, where in filters(seen).items():
        kept = np.flatnonzero(where.holds({"id": np.arange(len(seen.vectors)), **seen.fields}))
        found, took = timed(index, queries, where)
        store.options = type(kept_options)(method="exact")
        exact = timed(index, queries, where)[1]
        store.options = kept_options
        scores = queries @ seen.vectors[kept].T
        true = kept[np.argsort(-scores, axis=1, kind="stable")[:, :K]]
        recall = np.mean([np.isin(t, f).mean() if len(t) else 1.0 for t, f in zip(true, found, strict=True)])
        ratio = took / min(exact, plain)
        share = len(kept) / len(seen.vectors)
        print(f"{name:16}{share:9.1e}{recall:11.4f}{1e3 * took:9.2f}{1e3 * exact:10.2f}{ratio:11.2f}")


def timed(index: Index, queries: np.ndarray, where: Where) -> tuple[np.ndarray, float]:
    """What is found, and the median time (s) of a search."""
    found, times = [], []
    for query in queries[:, None]:
        start = time.perf_counter()
        found.append(index.search(query, K, where).ids[0])
        times.append(time.perf_counter() - start)
    return np.array(found), float(np.median(times))


if __name__ == "__main__":
    main()
