"""Make fixtures/garage and fixtures/plaza, and the demo's site (sitemaps/ and calibration/garage).

    python tools/make_fixtures.py             # all of it, from the seeds below
    python tools/make_fixtures.py --expected  # only the engine's figures, from the inputs that lie there

fixtures/README.md says what each file holds.
"""

import argparse
import gzip
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from geoloc.errors import unknown_name
from geoloc.evaluation.synthetic_truth import synthetic_recording
from geoloc.evaluation.tracking import evaluate_tracking
from geoloc.evaluation.tracking_measures import TrackingOptions
from geoloc.evaluation.uncertainty import evaluate_uncertainty
from geoloc.files import write_whole
from geoloc.io.detection_writers import write_detections
from geoloc.io.detections import read_detections
from geoloc.options import options_to_dict
from geoloc.pipeline.localizer import localize
from geoloc.scene.site import Site
from geoloc.scene.storage import load_site, save_cameras, save_site
from geoloc.synthetic import (
    Observation,
    World,
    garage,
    observe,
    plaza,
    simulate,
)
from geoloc.synthetic.storage import load_truth, save_csv, save_truth

ROOT = Path(__file__).resolve().parents[1]
WORLDS = {"garage": garage, "plaza": plaza}
DURATION = {"garage": 60.0, "plaza": 40.0}  # s
SEEDS = {"garage": (11, 12), "plaza": (21, 22)}  # of the agents, of cameras and detector


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the fixtures below the project's root, or below --out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(WORLDS)} (default: all)")
    parser.add_argument("--expected", action="store_true", help="only the engine's figures")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder that fixtures/ lies in")
    options = parser.parse_args(arguments)
    names = options.names or list(WORLDS)
    for name in names:
        if name not in WORLDS:
            raise SystemExit(str(unknown_name("fixture", name, WORLDS)))
        folder = options.out / "fixtures" / name
        if not options.expected:
            make(name, folder)
        figures = measure(name, folder)
        write_whole(folder / "expected.json", json.dumps(figures, indent=1) + "\n")
        print(f"{name}: {json.dumps(figures)}", file=sys.stderr)
    if not options.expected and "garage" in names:
        save_site(garage().site, options.out)
    return 0


def make(name: str, folder: Path) -> None:
    """Simulate a world and write what the engine is given, and apart from it the truth."""
    world: World = WORLDS[name]()
    traffic = replace(world.traffic, duration=DURATION[name])
    agents, sensors = SEEDS[name]
    truth = simulate(world, np.random.default_rng(agents), traffic)
    seen = observe(world, truth, np.random.default_rng(sensors))
    folder.mkdir(parents=True, exist_ok=True)
    save_site(seen.site, folder)
    save_detections(seen, folder / "detections.csv.gz")
    save_truth(seen.truth, folder / "truth.csv.gz")
    links = np.column_stack([seen.detections.id, seen.object])
    save_csv(folder / "links.csv.gz", ("detection", "object"), links.astype(str).tolist())
    save_cameras(seen.true_site.cameras, folder / "true_cameras.json")
    about = {
        "world": name,
        "seeds": {"agents": agents, "sensors": sensors},
        "traffic": options_to_dict(traffic),
        "sensors": options_to_dict(seen.options),
        "clock_offset_s": seen.clock_offset,
    }
    write_whole(folder / "about.json", json.dumps(about, indent=1) + "\n")


def save_detections(seen: Observation, path: Path) -> None:
    """Detections in the order of their ids, rounded to what a detector is good for, packed."""
    table = seen.detections
    rounded = table.replace(time=table.time.round(4), box=table.box.round(2), score=table.score.round(3))
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "detections.csv"
        write_detections(plain, rounded)
        write_whole(path, gzip.compress(plain.read_bytes(), 9, mtime=0))


def measure(name: str, folder: Path) -> dict[str, float]:
    """What the engine with its default options makes of the files of one fixture."""
    site: Site = load_site(name, folder)
    truth = load_truth(folder / "truth.csv.gz")
    detections = read_detections(folder / "detections.csv.gz").detections
    options = TrackingOptions()
    recording = synthetic_recording(localize(detections, site), truth, site, options)
    reports = evaluate_tracking(recording, options), evaluate_uncertainty(recording, options)
    return {figure.figure: round(figure.value, 4) for report in reports for figure in report.figures}


if __name__ == "__main__":
    sys.exit(main())
