"""Writes BENCHMARKS.md: accuracy on the real recordings, then speed, each figure as it came out.

    python tools/benchmarks_page.py              # what `make bench` runs
    python tools/benchmarks_page.py --data DIR   # with recordings from another folder
"""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import bench  # before NumPy is loaded: it holds everything to one thread
from accuracy import DEFAULT_DATA
from accuracy import measure as measure_accuracy
from benchmarks import BENCHMARKS
from recordings import DRAWN, RECORDINGS

from geoloc.evaluation.report import Figure
from geoloc.evaluation.report_text import format_interval, format_value
from geoloc.files import write_whole

PAGE = Path(__file__).resolve().parents[1] / "BENCHMARKS.md"
PACKAGES = ("numpy", "scipy", "shapely", "opencv-contrib-python", "pycolmap", "stonesoup", "aniposelib", "numba",
            "trackeval", "motmetrics")  # fmt: skip
HEAD = """\
# Benchmarks

This page is made by one command, `make bench`, and holds every figure that it measured, the bad ones too.

Measured on {machine}.
Speed falls with the load that others put on the machine; accuracy does not.
"""
ACCURACY = """
## Accuracy on real recordings

`python tools/accuracy.py --data DIR` runs every recording that lies in DIR. No identity and no position of the
truth reaches the engine, and the options are the defaults except where a protocol says otherwise. Intervals are
95 %, by bootstrap over blocks of time. A plain name is the figure of the online engine; `_fusion` is fusion alone,
`_offline` is smoothed, `_peer` is a published system's.
"""
SPEED = """
## Speed

`python tools/bench.py`, one core, one thread, wall-clock time. A ratio is the time of the row over that of the row
with ratio 1; `asked` is what geoloc wants to reach.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    data = Path(os.environ.get("GEOLOC_DATA", DEFAULT_DATA))
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help="folder of the recordings")
    parser.add_argument("--out", type=Path, default=PAGE, help="file to write (default: BENCHMARKS.md)")
    asked = parser.parse_args(arguments)
    head = HEAD.format(machine=machine())
    figures, failed = measure_accuracy([*RECORDINGS, *DRAWN], asked.data)
    bench.use_one_core()
    rows = bench.measure(list(BENCHMARKS))
    parts = [head, ACCURACY, accuracy_section(figures, failed), SPEED]
    speed = markdown(bench.HEAD, [bench.cells(row) for row in rows])
    write_whole(asked.out, "\n".join([*parts, speed]) + "\n")
    sys.stderr.write(f"wrote {asked.out}\n")
    return 1 if failed else 0


def accuracy_section(figures: Sequence[Figure], failed: Sequence[str]) -> str:
    """Figures as a table, their protocols as numbered notes under it."""
    protocols = list(dict.fromkeys(figure.protocol for figure in figures))
    head = ("recording", "part", "figure", "value", "95 % interval", "unit", "how")
    rows = [(*_words(figure), f"{protocols.index(figure.protocol) + 1}") for figure in figures]
    notes = [f"{i}. {protocol}" for i, protocol in enumerate(protocols, 1)]
    said = [f"- {name} could not be run" for name in failed] + (
        [] if figures else ["No recording lay beside the project when this page was made."]
    )
    return "\n".join([*said, markdown(head, rows) if rows else "", "", *notes])


def _words(figure: Figure) -> tuple[str, ...]:
    interval = format_interval(figure)
    return figure.recording, figure.part, f"`{figure.figure}`", format_value(figure.value), interval, figure.unit


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def machine() -> str:
    """Processor, system and versions, in a sentence."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    system = f"Python {platform.python_version()} on {platform.system()}"
    load = f"load average {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "load not known"
    return f"{processor()}, {os.cpu_count()} cores, {load}, {system}, with {', '.join(found)}"


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
