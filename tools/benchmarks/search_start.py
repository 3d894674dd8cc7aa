"""Opens a saved index in a process of its own and says how long that took and what memory it holds.

    python tools/benchmarks/search_start.py INDEX QUERIES.npy '{"camera": "str", ...}'
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from geoloc.retrieval.faiss_exact import load_faiss
from geoloc.retrieval.indexes import make_index
from geoloc.retrieval.store.folder import KINDS


def main() -> None:
    """Open, search one by one, and print as JSON."""
    queries = np.load(sys.argv[2])
    fields = {name: KINDS[kind] for name, kind in json.loads(sys.argv[3]).items()}
    load_faiss()
    before, start = held(), time.perf_counter()
    index = make_index("faiss", queries.shape[1], fields, sys.argv[1])
    index.search(queries[:1], 10)
    seconds = time.perf_counter() - start
    for query in queries:
        index.search(query[None], 10)
    sys.stdout.write(json.dumps({"seconds": seconds, "bytes": held() - before}))


def held() -> int:
    """Bytes of memory that this process holds, mapped files among them."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    main()
