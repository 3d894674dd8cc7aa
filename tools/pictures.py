"""Draws the pictures of the documentation, by the engine itself, into docs/.

    python tools/pictures.py                    # all whose data are there
    python tools/pictures.py garage --out DIR

No picture holds a pixel of a recording: they are plan views of what the engine made of boxes.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from geoloc import PlanOptions, Site, Tracks, draw_plan, localize, smooth
from geoloc.cli.demo import watch_garage
from geoloc.io.wildtrack import read_wildtrack
from geoloc.scene.tables import Detections

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("GEOLOC_DATA", ROOT.parent / "shared" / "data"))
OPTIONS = PlanOptions(width_in=11.0, height_in=6.0, dpi=100.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the pictures that are asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder (default: docs)")
    asked = parser.parse_args(arguments)
    for name in asked.names or PICTURES:
        if name not in PICTURES:
            parser.error(f"unknown picture {name!r}; known: {', '.join(PICTURES)}")
        if name != "garage" and not (DATA / name).is_dir():
            sys.stderr.write(f"{name}: left out, {DATA / name} is not there\n")
            continue
        PICTURES[name](asked.out / f"{name}.png")
        sys.stderr.write(f"wrote {asked.out / name}.png\n")
    return 0


def draw_garage(path: Path) -> None:
    """The upper level of the synthetic garage: 45 s of cars and people."""
    seen = watch_garage(seed=1, seconds=45.0)
    tracks = offline(seen.detections, seen.site)
    tracks = tracks.take(tracks.level == "P2")
    draw_plan(seen.site, tracks, path, levels=("P2",), title="Synthetic garage, upper level", options=OPTIONS)


def draw_wildtrack(path: Path) -> None:
    """WILDTRACK's plaza."""
    site, detections = read_wildtrack(DATA / "wildtrack")
    draw_plan(site, offline(detections, site), path, title="WILDTRACK", options=OPTIONS)


def offline(detections: Detections, site: Site) -> Tracks:
    """Smoothed tracks, where cameras saw them."""
    tracks = smooth(localize(detections, site), site)
    return tracks.take(tracks.state == "confirmed")


PICTURES: dict[str, Callable[[Path], None]] = {"garage": draw_garage, "wildtrack": draw_wildtrack}

if __name__ == "__main__":
    sys.exit(main())
