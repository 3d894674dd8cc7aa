"""FAISS's structures that find neighbours without comparing all rows: IVF-PQ with refinement, and HNSW."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from geoloc.errors import InputError
from geoloc.options import check_range
from geoloc.retrieval.faiss_exact import View
from geoloc.retrieval.store.growing import Growing

CHUNK = 16_384  # rows that are put into lists at a time
TRAINED = 64  # rows a list is learned from
SEED = 7  # of the rows that lists are learned from
KINDS = ("flat", "ivfpq", "hnsw")


@dataclass(frozen=True)
class FaissOptions:
    """How FAISS holds vectors and searches; 0: chosen by the rows."""

    kind: str = "ivfpq"  # flat: exact; ivfpq: lists of short codes, refined in float16; hnsw: a graph, large
    flat_rows: int = 50_000  # up to so many rows every kind is flat and exact
    lists: int = 0  # ivfpq: lists; about twice the root of the rows
    code_bytes: int = 0  # ivfpq: length of a row's code; a quarter of the vector's length
    probes: int = 0  # ivfpq: lists that a query looks through; as many as `recall` takes
    refine: int = 0  # ivfpq: candidates to an answer that are compared in float16; as many as `recall` takes
    recall: float = 0.998  # of the ten best, that probes and refine are set by when lists are made
    links: int = 32  # hnsw: neighbours of a row
    effort: int = 128  # hnsw: rows that a query keeps in sight

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"FaissOptions.kind is {self.kind!r}; known: {', '.join(KINDS)}")
        check_range(self, flat_rows=(0, 10_000_000), lists=(0, 1_000_000), code_bytes=(0, 4096), probes=(0, 1_000_000))
        check_range(self, refine=(0, 1000), recall=(0.5, 1), links=(4, 512), effort=(8, 100_000))


BUILT_AGAIN = 4  # times as many rows as lists were learned from, and they are learned anew

Settings = dict[str, float]


class Graph(Protocol):
    """A structure over a store's rows, by their numbers."""

    kind: str
    settings: Settings

    def add(self, vectors: np.ndarray, start: int) -> None:
        """Take in the vectors (M, D) float32 of rows from `start` on."""

    def look_at(self, rows: np.ndarray) -> None:
        """The vectors (N, D) as the store keeps them now."""

    def remove(self, rows: np.ndarray) -> None:
        """Never answer with these rows (M,) again."""

    def renumber(self, new: np.ndarray) -> None:
        """Rows get new numbers (N,), -1: removed."""

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and numbers (Q, k) of about the best rows, -1 where there is none."""

    def write(self, path: Path) -> None:
        """Write it into a file."""


class IvfPq:
    """Lists of product-quantized codes; the best of a query are compared anew with the float16 rows."""

    kind = "ivfpq"

    def __init__(self, faiss: ModuleType, ivf: Any, settings: Settings, n: int = 0) -> None:
        self._faiss, self.ivf, self.settings = faiss, ivf, settings
        self.view = View(faiss, self.ivf.d, np.dtype(np.float16))
        self.view.index.ntotal = self.ivf.ntotal  # which FAISS compares; the rows come with `look_at`
        self.refined = faiss.IndexRefine(ivf, self.view.index)
        self._params: dict[tuple[int, int], Any] = {}
        self.centroids = self.ivf.quantizer.reconstruct_n(0, self.ivf.nlist)
        self.sizes = np.array([self.ivf.invlists.list_size(number) for number in range(self.ivf.nlist)])
        self.list_of = Growing(self._lists(n))  # of each row; -1: removed

    def add(self, vectors: np.ndarray, start: int) -> None:
        """Take in the vectors (M, D) float32 of rows from `start` on."""
        pointer = self._faiss.swig_ptr
        for at in range(0, len(vectors), CHUNK):
            some = np.ascontiguousarray(vectors[at : at + CHUNK], np.float32)
            rows = np.arange(start + at, start + at + len(some))
            lists = np.ascontiguousarray(self.ivf.quantizer.assign(some, 1)[:, 0])
            self.ivf.add_core(len(some), pointer(some), pointer(rows), pointer(lists))
            self.list_of.append(lists.astype(np.int32))
            self.sizes += np.bincount(lists, minlength=len(self.sizes))

    def look_at(self, rows: np.ndarray) -> None:
        """The vectors (N, D) float16 as the store keeps them now."""
        self.view.look_at(rows)
        self.refined.ntotal = len(rows)

    def remove(self, rows: np.ndarray) -> None:
        """Take these rows (M,) out of their lists."""
        self.ivf.remove_ids(self._faiss.IDSelectorBatch(rows.astype(np.int64)))
        lists = self.list_of.values[rows]
        self.sizes -= np.bincount(lists[lists >= 0], minlength=len(self.sizes))
        self.list_of.values[rows] = -1

    def renumber(self, new: np.ndarray) -> None:
        """Rows get new numbers (N,), -1: removed."""
        for number in range(self.ivf.nlist):
            if self.sizes[number]:
                ids = self._ids(number)
                ids[:] = new[ids]
        self.list_of = Growing(self.list_of.values[new >= 0])

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and numbers (Q, k) of about the best rows."""
        return self.refined.search(queries, k, params=self.params(int(self.settings["probes"])))

    def params(self, probes: int) -> Any:
        """FAISS's parameters of a search; making them takes longer than some searches."""
        refine = int(self.settings["refine"])
        if (probes, refine) not in self._params:
            lists = self._faiss.SearchParametersIVF(nprobe=probes)
            made = self._faiss.IndexRefineSearchParameters(k_factor=refine, base_index_params=lists)
            self._params[probes, refine] = made
        return self._params[probes, refine]

    def write(self, path: Path) -> None:
        """Write lists and codes into a file; the rows they were made of stay where they are."""
        _write(self._faiss, self.ivf, path)

    def _ids(self, number: int) -> np.ndarray:
        lists = self.ivf.invlists
        return self._faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number))

    def _lists(self, n: int) -> np.ndarray:
        ids = [self._ids(number) for number in range(self.ivf.nlist) if self.sizes[number]]
        held = np.concatenate(ids) if ids else np.zeros(0, np.int64)
        found = np.full(n, -1, np.int32)
        found[held] = np.repeat(np.arange(self.ivf.nlist, dtype=np.int32), self.sizes)
        return found


class Hnsw:
    """A graph of neighbours, with a float16 copy of the rows of its own."""

    kind = "hnsw"

    def __init__(self, faiss: ModuleType, index: Any, settings: Settings) -> None:
        self._faiss, self.index, self.settings = faiss, index, settings
        self._gone = np.zeros(0, np.int64)

    def add(self, vectors: np.ndarray, start: int) -> None:
        """Take in the vectors (M, D) float32 of rows from `start` on."""
        self.index.add(np.ascontiguousarray(vectors, np.float32))

    def look_at(self, rows: np.ndarray) -> None:
        """It has its own rows."""

    def remove(self, rows: np.ndarray) -> None:
        """Walk over these rows (M,), but never answer with them."""
        self._gone = np.concatenate([self._gone, rows])

    def renumber(self, new: np.ndarray) -> None:
        """Nothing: a graph is made anew where rows were removed."""

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and numbers (Q, k) of about the best rows."""
        chosen = {}
        if len(self._gone):
            chosen["sel"] = self._faiss.IDSelectorNot(self._faiss.IDSelectorBatch(self._gone))
        effort = max(int(self.settings["effort"]), 2 * k)
        params = self._faiss.SearchParametersHNSW(efSearch=effort, **chosen)
        return self.index.search(queries, k, params=params)

    def write(self, path: Path) -> None:
        """Write graph and rows into a file."""
        _write(self._faiss, self.index, path)


def build_graph(faiss: ModuleType, rows: np.ndarray, options: FaissOptions) -> Graph:
    """The structure that the options ask for over rows (N, D)."""
    graph: Graph = _build_hnsw(faiss, rows, options) if options.kind == "hnsw" else _build_ivfpq(faiss, rows, options)
    for start in range(0, len(rows), CHUNK):
        graph.add(rows[start : start + CHUNK], start)
    graph.look_at(rows)
    return graph


def load_graph(faiss: ModuleType, path: Path, kind: str, settings: Settings, n: int) -> Graph:
    """The structure over `n` rows that was written into a file."""
    try:
        index = faiss.read_index(str(path))
        return Hnsw(faiss, index, settings) if kind == "hnsw" else IvfPq(faiss, index, settings, n)
    except (RuntimeError, IndexError) as error:
        raise InputError(f"{path}: cannot be read by FAISS; delete it, and it is made anew") from error


def _write(faiss: ModuleType, index: Any, path: Path) -> None:
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise InputError(f"{path}: cannot be written by FAISS; is the disk full?") from error


def _build_hnsw(faiss: ModuleType, rows: np.ndarray, options: FaissOptions) -> Hnsw:
    half, product = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexHNSWSQ(rows.shape[1], half, options.links, product)
    index.is_trained = True
    return Hnsw(faiss, index, {"effort": options.effort, "rows": len(rows)})


def _build_ivfpq(faiss: ModuleType, rows: np.ndarray, options: FaissOptions) -> IvfPq:
    n, dim = rows.shape
    lists = options.lists or 1 << max(3, round(np.log2(2 * np.sqrt(n))))
    code = options.code_bytes or next(size for size in range(max(dim // 4, 1), 0, -1) if dim % size == 0)
    if dim % code:
        raise InputError(f"FaissOptions.code_bytes is {code}; it must divide the vectors' length {dim}")
    quantizer = faiss.IndexFlatIP(dim)
    ivf = faiss.IndexIVFPQ(quantizer, dim, lists, code, 8, faiss.METRIC_INNER_PRODUCT)
    ivf.cp.niter, ivf.pq.cp.niter = 8, 10
    ivf.cp.min_points_per_centroid = ivf.pq.cp.min_points_per_centroid = 1
    ivf.cp.max_points_per_centroid = TRAINED
    ivf.pq.cp.max_points_per_centroid = 2 * TRAINED
    sample = np.random.default_rng(SEED).permutation(n)[: max(lists, 256) * TRAINED]
    ivf.train(rows[np.sort(sample)].astype(np.float32))
    return IvfPq(faiss, ivf, {"rows": n})
