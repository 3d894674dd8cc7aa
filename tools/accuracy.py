"""Runs the engine on the real recordings that lie in a folder and prints each figure with its interval.

    python tools/accuracy.py --data ../shared/data             # every recording that is there
    python tools/accuracy.py wildtrack --data DIR --json       # a list of figures on stdout, for machines
    python tools/accuracy.py drawn_calibration                 # on sites that it draws: without any recording
    python tools/accuracy.py long_garage                       # eight hours of a garage: half an hour, on request only

Progress and what was skipped go to stderr. Exit status: 0, 1 if a recording failed, 2 for a wrong call.
"""

import argparse
import logging
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from recordings import DRAWN, FOLDERS, ON_REQUEST, RECORDINGS

from geoloc.errors import GeolocError
from geoloc.evaluation.report import Figure
from geoloc.evaluation.report_text import to_json, to_table

DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the recordings that are asked for; returns the exit status."""
    as_it_is = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_it_is)
    everything = [*RECORDINGS, *DRAWN]
    drawn = DRAWN | ON_REQUEST
    known = ", ".join([*RECORDINGS, *drawn])
    default = f"default: all but {', '.join(ON_REQUEST)}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {known}; {default}")
    data = Path(os.environ.get("GEOLOC_DATA", DEFAULT_DATA))
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help="folder of the recordings")
    parser.add_argument("--json", action="store_true", help="print a list of figures as JSON")
    asked = parser.parse_args(arguments)
    names = asked.names or everything
    unknown = [name for name in names if name not in RECORDINGS and name not in drawn]
    if unknown:
        parser.error(f"unknown recording {unknown[0]!r}; known: {known}")
    if not asked.data.is_dir() and not set(names) <= set(drawn):
        parser.error(f"{asked.data} is no folder; give the one that holds the recordings as --data DIR")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    figures, failed = measure(names, asked.data)
    sys.stdout.write((to_json(figures) if asked.json else to_table(figures)) + "\n")
    return 1 if failed else 0


def measure(names: Sequence[str], data: Path) -> tuple[list[Figure], list[str]]:
    """Figures of what is drawn and of the recordings that lie in `data`, and the names of those that failed."""
    figures: list[Figure] = []
    failed: list[str] = []
    for name in names:
        folder = data / FOLDERS.get(name, name)
        if name in RECORDINGS and not folder.is_dir():
            say(f"{name}: skipped, {folder} is not there")
            continue
        say(f"{name}: running")
        start = time.perf_counter()
        try:
            found = RECORDINGS[name](folder) if name in RECORDINGS else (DRAWN | ON_REQUEST)[name]()
        except GeolocError as error:
            say(f"{name}: failed: {error}")
            failed.append(name)
            continue
        except Exception:  # a fault of ours: told in full, and the other recordings still run
            say(f"{name}: failed: {traceback.format_exc()}")
            failed.append(name)
            continue
        say(f"{name}: {len(found)} figures in {time.perf_counter() - start:.1f} s")
        figures += found
    return figures, failed


def say(text: str) -> None:
    """A line of progress, kept apart from the results."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
