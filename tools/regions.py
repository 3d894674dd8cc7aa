"""One large site in regions beside the same site in one engine: the drawn garage, the same boxes, one run.

    python tools/regions.py --regions 2 --seconds 120

Prints JSON: IDF1 and what else tells identities, of both.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from geoloc.cli.demo import evaluate, watch_garage
from geoloc.options import load_options
from geoloc.pipeline.localizer import Localizer, step_windows, window_numbers, windows_of_site
from geoloc.pipeline.regions import Region, RegionOptions, Seam, split_site
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, Tracks

FIGURES = ("idf1", "hota", "mota", "id_switches", "precision", "recall")


def by_window(site: Site, boxes: Detections) -> dict[int, Tracks]:
    """The last table of each window's number."""
    localizer, found = Localizer(site), dict[int, Tracks]()
    for tracks in step_windows(localizer, windows_of_site(boxes, localizer), localizer.step):
        number = window_numbers(np.array([localizer.tracker.time]), localizer.options.window_s).item()
        found[int(number)] = tracks
    return found


def joined(
    site: Site, boxes: Detections, regions: Sequence[Region], options: RegionOptions
) -> tuple[Tracks, Seam]:
    """The regions' tracks through the seam."""
    seam, parts = Seam(regions, options), dict[str, dict[int, Tracks]]()
    for region in regions:
        own = boxes.take(np.isin(boxes.camera, region.cameras))
        parts[region.name] = by_window(region.site(site), own)
    numbers = sorted(set().union(*parts.values()))
    tables = [seam.step({name: part.get(number, Tracks()) for name, part in parts.items()}) for number in numbers]
    return Tracks.concat([table for table in tables if len(table)]), seam


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regions", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the regions' options")
    args = parser.parse_args()
    seen = watch_garage(args.seed, args.seconds)
    options = load_options(RegionOptions(), None, args.set)
    regions = split_site(seen.site, args.regions, options)
    one = Tracks.concat([table for table in by_window(seen.site, seen.detections).values() if len(table)])
    many, seam = joined(seen.site, seen.detections, regions, options)
    shared = [name for name in seen.site.camera_index if sum(name in region.cameras for region in regions) > 1]
    said: dict[str, Any] = {"cameras": {region.name: len(region.cameras) for region in regions}}
    said |= {"cameras_of_several": len(shared), "merged": seam.lineage.n_events, "crossed": seam.crossed}
    for name, tracks in (("one_engine", one), ("regions", many)):
        figures = {figure.figure: figure.value for report in evaluate(tracks, seen) for figure in report.figures}
        said[name] = {key: round(figures[key], 4) for key in FIGURES}
        said[name]["tracks"] = len(set(tracks.track[tracks.state != "tentative"].tolist()))
    print(json.dumps(said, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
