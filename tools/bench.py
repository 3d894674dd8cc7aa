"""Measures how fast geoloc is, on one core, beside tools that do part of the same.

    python tools/bench.py                        # everything
    python tools/bench.py projection startup     # some of it
    python tools/bench.py --json                 # a list of rows on stdout, for machines

Peers that are not installed are named in their rows; `make bench` installs them.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

# before NumPy is loaded: one thread each, ours and the peers'
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

from benchmarks import BENCHMARKS  # noqa: E402
from benchmarks.row import Row  # noqa: E402

from geoloc.evaluation.text_table import aligned  # noqa: E402

HEAD = ("benchmark", "subject", "value", "unit", "ratio", "asked", "note")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that are asked for; returns the exit status."""
    as_it_is = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_it_is)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--json", action="store_true", help="print a list of rows as JSON")
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; known: {', '.join(BENCHMARKS)}")
    use_one_core()
    rows = measure(asked.names or list(BENCHMARKS))
    print(json.dumps([asdict(row) for row in rows], indent=1) if asked.json else as_table(rows))
    return 0


def measure(names: Sequence[str]) -> list[Row]:
    """Rows of the benchmarks of these names; progress on stderr."""
    rows: list[Row] = []
    for name in names:
        sys.stderr.write(f"{name}: running\n")
        sys.stderr.flush()
        rows += BENCHMARKS[name]()
    return rows


def use_one_core() -> None:
    """Hold this process to one core, where the system lets us."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def cells(row: Row) -> tuple[str, ...]:
    """A row as text."""
    value = "-" if row.value is None else number(row.value)
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return row.benchmark, row.subject, value, row.unit, ratio, row.asked, row.note


def number(value: float) -> str:
    """Three digits that count, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_table(rows: Sequence[Row]) -> str:
    """Aligned lines for people."""
    return aligned(HEAD, [cells(row) for row in rows])


if __name__ == "__main__":
    sys.exit(main())
