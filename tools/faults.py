"""Breaks the live service in every way that its tests know, for long: fifty kills, a hundred thousand fuzzed packets.

    python tools/faults.py                          # all of it
    python tools/faults.py --kills 10 --packets 4000
    python tools/faults.py --json                   # a line for each hazard, for machines

Engine, brokers and database are killed (kill -9) in turn and together at random moments, which the seed gives; after
each round the engine's state and the database must be, bit for bit, those of a run that nobody disturbed. Needs the
Debian packages mosquitto, nats-server, postgresql-15-postgis-3 and faketime, and the extra 'test'.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from geoloc.evaluation.text_table import aligned

ROOT = Path(__file__).resolve().parents[1]
TESTS = ("tests/service/test_serve_faults.py", "tests/service/test_serve_fuzz.py", "tests/service/test_serve_slow.py")
HEAD = ("hazard", "how often", "s", "MB more at most", "outcome")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them; returns the exit status: that of the tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="default: 50")
    parser.add_argument("--packets", type=int, default=100_000, metavar="N", help="fuzzed ones (default: 100000)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each hazard")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="geoloc-faults-") as folder:
        log = Path(folder) / "log"
        log.touch()
        given = {"GEOLOC_KILLS": str(asked.kills), "GEOLOC_FUZZED": str(asked.packets), "GEOLOC_FAULTS_LOG": str(log)}
        words = [sys.executable, "-m", "pytest", "-q", "-rs", *TESTS, "--basetemp", str(Path(folder) / "tests")]
        done = subprocess.run(words, cwd=ROOT, env={**os.environ, **given}, stdout=sys.stderr)
        told = [json.loads(line) for line in log.read_text().splitlines()]
    outcome = "as undisturbed" if done.returncode == 0 else "see above"
    if asked.json:
        print("\n".join(json.dumps({**one, "outcome": outcome}) for one in told))
    else:
        print(aligned(HEAD, [_cells(one, outcome) for one in _together(told)]))
    return done.returncode


def _together(told: list[dict[str, float | str]]) -> list[dict[str, float | str]]:
    """Rounds of one hazard as one."""
    found: dict[str, dict[str, float | str]] = {}
    for one in told:
        name = str(one["hazard"])
        mine = found.setdefault(name, {"hazard": name, "n": 0.0, "s": 0.0, "more_mb": 0.0})
        mine["n"] = float(mine["n"]) + float(one["n"])
        mine["s"] = float(mine["s"]) + float(one["s"])
        mine["more_mb"] = max(float(mine["more_mb"]), float(one["more_mb"]))
    return list(found.values())


def _cells(one: dict[str, float | str], outcome: str) -> list[str]:
    return [str(one["hazard"]), f"{one['n']:,.0f}", f"{one['s']:.0f}", f"{one['more_mb']:.0f}", outcome]


if __name__ == "__main__":
    sys.exit(main())
