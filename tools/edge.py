"""Measures `geoloc serve --edge` for as long as is asked: eight cameras at 10 Hz, one core, 1 GB of memory.

    python tools/edge.py            # ten minutes
    python tools/edge.py 3600       # an hour
"""

import argparse
import sys
from collections.abc import Sequence

from bench import as_table
from benchmarks.edge import bench_edge


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", nargs="?", type=float, default=600.0, help="how long it is played (default: 600)")
    print(as_table(bench_edge(parser.parse_args(arguments).seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
