"""Measures `geoloc serve` under load: a hundred cameras at 10 Hz with twenty boxes each, then twice as much.

    python tools/load.py                              # ten minutes, one at twice the rate, two to recover
    python tools/load.py --normal 60 --twice 20 --after 30
    python tools/load.py --json                       # a list of rows, for machines

Needs two cores: one for the service, one for the senders.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from bench import as_table
from benchmarks.load import AFTER_S, NORMAL_S, TWICE_S, Plan, bench_load


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--normal", type=float, default=NORMAL_S, metavar="S", help=f"default: {NORMAL_S:g}")
    parser.add_argument("--twice", type=float, default=TWICE_S, metavar="S", help=f"default: {TWICE_S:g}")
    parser.add_argument("--after", type=float, default=AFTER_S, metavar="S", help=f"default: {AFTER_S:g}")
    parser.add_argument("--json", action="store_true", help="print a list of rows as JSON")
    asked = parser.parse_args(arguments)
    rows = bench_load(Plan(asked.normal, asked.twice, asked.after))
    print(json.dumps([asdict(row) for row in rows], indent=1) if asked.json else as_table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
