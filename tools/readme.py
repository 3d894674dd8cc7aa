"""Renews what the README shows: the demo's output, and pictures that the engine draws into docs/.

    python tools/readme.py                # the output, and every picture whose data are there
    python tools/readme.py garage         # one picture
    python tools/readme.py output         # only the demo's output
    python tools/readme.py calibration    # what calibrating the synthetic trial site prints, and its pictures
    python tools/readme.py relocalization # what landmarks and moved cameras of drawn pictures print, and their pictures
    python tools/readme.py report         # the evaluation of WILDTRACK: what it prints, and its page

No picture holds a pixel of a recording: they are plan views of what the engine made of boxes, or synthetic.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import calibration_docs
import numpy as np
import relocalization_docs

from geoloc import LocalizerOptions, PlanOptions, Site, Tracks, draw_plan, localize, smooth
from geoloc.cli.demo import watch_garage
from geoloc.draw.layers import Markers
from geoloc.evaluation.robustness.cases import load_target
from geoloc.evaluation.robustness.measure import measure_robustness
from geoloc.evaluation.robustness.plot import plot_robustness
from geoloc.files import write_whole
from geoloc.geometry.gaussian import worst_sigma
from geoloc.io.meva import meva_slots, read_meva
from geoloc.io.meva_truth import read_meva_gps
from geoloc.io.wildtrack import read_wildtrack
from geoloc.pipeline.existence import ExistenceOptions
from geoloc.scene.tables import Detections

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("GEOLOC_DATA", ROOT.parent / "shared" / "data"))
README, DOCS = ROOT / "README.md", ROOT / "docs"
OPTIONS = PlanOptions(width_in=11.0, height_in=6.0, dpi=100.0)
TALL = PlanOptions(width_in=8.0, height_in=9.0, dpi=100.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Renew the parts that are asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PARTS)}; default: all")
    for name in parser.parse_args(arguments).names or PARTS:
        if name not in PARTS:
            parser.error(f"unknown part {name!r}; known: {', '.join(PARTS)}")
        folder = DATA / {"report": "wildtrack"}.get(name, name)
        if name in ("wildtrack", "meva", "report") and not folder.is_dir():
            sys.stderr.write(f"{name}: left out, {folder} is not there\n")
            continue
        PARTS[name]()
        sys.stderr.write(f"{name}: renewed\n")
    return 0


def renew_output() -> None:
    """Run the demo and put what it prints below the README's `$ make demo`."""
    with TemporaryDirectory() as folder:
        said = run(["demo"], Path(folder))
    show("$ make demo\n", said)


def renew_report() -> None:
    """Run what the README says of WILDTRACK, put what it prints there, and take a picture of the page."""
    readme = README.read_text(encoding="utf-8")
    start = readme.index("$ geoloc convert recording wildtrack ~/data/wildtrack -o out/wildtrack\n$ geoloc localize")
    commands = [line[2:] for line in readme[start:].split("```")[0].splitlines() if line.startswith("$ ")]
    with TemporaryDirectory() as folder:
        for command in commands:
            words = [word.replace("~/data", str(DATA)) for word in shlex.split(command)[1:]]
            said = run(words, Path(folder))
        take_picture(Path(folder) / "out" / "report" / "report.html", DOCS / "report.png")
    show(f"$ {commands[-1]}\n", said)


def draw_robustness() -> None:
    """Hazards of the synthetic garage."""
    plot_robustness(measure_robustness(load_target("garage")), DOCS / "robustness.png")


def run(words: list[str], folder: Path) -> str:
    """What `geoloc WORDS` prints, in a folder."""
    command = [sys.executable, "-m", "geoloc", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def show(command: str, said: str) -> None:
    """Put what a command printed below it, up to the end of its block."""
    before, block, rest = README.read_text(encoding="utf-8").partition(command)
    if not block:
        raise SystemExit(f"{README} has no line {command!r}")
    write_whole(README, f"{before}{block}{said}{rest[rest.index('```') :]}")


def take_picture(page: Path, picture: Path) -> None:
    """The first screens of a page, as a browser shows them."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        window = browser.new_page(viewport={"width": 1280, "height": 1000})
        window.goto(page.as_uri())
        window.screenshot(path=picture)
        browser.close()


def draw_garage() -> None:
    """The upper level of the synthetic garage: 45 s of cars and people."""
    seen = watch_garage(seed=1, seconds=45.0)
    tracks = offline(seen.detections, seen.site)
    tracks = tracks.take(tracks.level == "P2")
    draw_plan(
        seen.site, tracks, DOCS / "garage.png", levels=("P2",), title="Synthetic garage, upper level", options=OPTIONS
    )


def draw_wildtrack() -> None:
    """WILDTRACK's plaza."""
    site, detections = read_wildtrack(DATA / "wildtrack")
    draw_plan(site, offline(detections, site), DOCS / "wildtrack.png", title="WILDTRACK", options=TALL)


def draw_meva() -> None:
    """A minute of MEVA's facility, with what the people's GPS loggers say."""
    folder = DATA / "meva"
    slot = meva_slots(folder)[-1]
    site, detections = read_meva(folder, slot, every_s=0.2)
    fixes = read_meva_gps(folder, slot)
    detections = detections.take((detections.time >= 120.0) & (detections.time < 180.0))
    fixes = fixes.take((fixes.time >= 120.0) & (fixes.time < 180.0))
    existence = ExistenceOptions(detection_probability=0.0)  # boxes exist only while an activity lasts
    tracks = offline(detections, site, LocalizerOptions(window_s=0.2, existence=existence))
    tracks = tracks.take(worst_sigma(tracks.position_cov) < 3.0)
    near = ((fixes.xy > tracks.xy.min(axis=0) - 5.0) & (fixes.xy < tracks.xy.max(axis=0) + 5.0)).all(axis=1)
    markers = Markers(name=np.full(int(near.sum()), "GPS of people"), xy=fixes.xy[near])
    draw_plan(site, tracks, DOCS / "meva.png", markers=markers, title="MEVA, one minute", options=TALL)


def offline(detections: Detections, site: Site, options: LocalizerOptions | None = None) -> Tracks:
    """Smoothed tracks, where cameras saw them."""
    tracks = smooth(localize(detections, site, options), site)
    return tracks.take(tracks.state == "confirmed")


PARTS: dict[str, Callable[[], None]] = {
    "output": renew_output,
    "report": renew_report,
    "calibration": calibration_docs.renew,
    "relocalization": relocalization_docs.renew,
    "robustness": draw_robustness,
    "garage": draw_garage,
    "wildtrack": draw_wildtrack,
    "meva": draw_meva,
}

if __name__ == "__main__":
    sys.exit(main())
