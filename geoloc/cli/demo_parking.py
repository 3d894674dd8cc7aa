"""`geoloc demo --parking`: a van hides a parked car from all cameras; what the engine says of it meanwhile."""

import shutil
import sys
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from geoloc.cli.localize import localize_on
from geoloc.cli.outputs import write_page_of
from geoloc.cli.report import RunReport, write_record
from geoloc.draw.lineage import life_text
from geoloc.draw.lineage_picture import draw_lineage
from geoloc.draw.plan import PlanOptions
from geoloc.evaluation.text_table import aligned
from geoloc.geometry.gaussian import worst_sigma
from geoloc.io.detection_writers import write_detections
from geoloc.options import load_options
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.pipeline.queries import State
from geoloc.pipeline.state_folder import HEAD
from geoloc.scene.storage import save_site
from geoloc.scene.tables import Tracks
from geoloc.synthetic.behind_van import CAR, STALLED_IN, START, VAN_STANDS, behind_the_van, parking_lot
from geoloc.synthetic.sensor import Observation, observe
from geoloc.synthetic.storage import save_truth

TOLD_AT = (5.0, 12.0, 30.0, 80.0, 140.0, 210.0, 280.0, 344.0, 352.0, 370.0, 384.0, 394.0, 410.0)  # s
NEAR_M = 3.0  # what is farther from where the car truly is, is not it
HEADS = ("time", "truth: the car", "cameras", "engine: life", "number", "off by", "sigma", "probability")
MOMENT = 210.0  # s, that the picture shows
PICTURE = PlanOptions(width_in=11.0, height_in=5.0, dpi=100.0)


def show_parking(args: Namespace) -> None:
    """Play it, localize it with a state on disk, and tell what was said of the car beside the truth."""
    out: Path = args.out or Path("out/parking")
    options = load_options(LocalizerOptions(), args.options, args.set)
    world, rng = parking_lot(), np.random.default_rng(args.seed)
    print("a parking lot, seven minutes ...", file=sys.stderr)
    seen = observe(world, behind_the_van(), rng)
    save_site(seen.site, out)
    write_detections(out / "boxes.csv", seen.detections)
    save_truth(seen.truth, out / "truth.csv")
    folder = out / "state"
    if (folder / HEAD).is_file():  # of this command's last run: the same windows would be left out
        shutil.rmtree(folder)
    report = RunReport(seen.site.name, rows_read=len(seen.detections))
    how = Namespace(state=folder, changed=(), packets=False, smooth=False)
    tracks, _, state, options = localize_on(how, seen.detections, seen.site, options, report)
    report.add_tracks(tracks.take(tracks.state != "tentative"))
    names = ("boxes.csv", "truth.csv", "state", "lineage.html", "lineage.png", "run.json")
    report.written = [str(out / name) for name in names]
    write_pictures(out, seen, tracks, state)
    write_record(out / "run.json", args.command_line, options, report)
    rows, numbers = told(seen, tracks, state)
    print(f"{report}\n\n{aligned(HEADS, rows)}\n\n{summary(numbers, state)}\n\n{next_steps(out, numbers)}")


def write_pictures(out: Path, seen: Observation, tracks: Tracks, state: State) -> None:
    """The page, and the picture at the moment when nobody has seen the car for minutes."""
    sure = tracks.take(tracks.state != "tentative")
    there = np.unique(sure.track[sure.life != "tentative"])
    sure = sure.take(np.isin(sure.track, there))
    write_page_of(out / "lineage.html", seen.site, sure, state, "A van hides a parked car")
    draw_lineage(
        seen.site, sure, state.phases(), state.events(), out / "lineage.png", now=START + MOMENT,
        title="A van hides a parked car from all cameras", options=PICTURE,
    )  # fmt: skip


def told(seen: Observation, tracks: Tracks, state: State) -> tuple[list[tuple[str, ...]], list[int]]:
    """A row a moment, the truth beside what the engine said then; and the numbers that the car went by."""
    rows: list[tuple[str, ...]] = []
    numbers: list[int] = []
    for after in TOLD_AT:
        then = seen.truth.take((seen.truth.object == CAR) & (np.abs(seen.truth.time - START - after) < 0.01))
        now = tracks.take(np.abs(tracks.time - START - after) < 0.09)
        minutes = f"{int(after) // 60:02d}:{int(after) % 60:02d}"
        if not len(then):
            life = state.where(numbers[-1]).life if numbers else "unknown"
            rows.append((minutes, "has left", "", life_text(life), str(numbers[-1] if numbers else ""), "", "", ""))
            continue
        drives = float(np.linalg.norm(then.velocity[0])) > 0.1
        truth = (minutes, "drives" if drives else f"stands in {STALLED_IN}", str(then.n_cameras[0]))
        off = np.linalg.norm(now.xy - then.xyz[0, :2], axis=1)
        if not len(now) or off.min() > NEAR_M:
            rows.append((*truth, "nothing there", "", "", "", ""))
            continue
        best = int(off.argmin())
        numbers.append(int(now.track[best]))
        sigma, sure = float(worst_sigma(now.position_cov)[best]), float(now.score[best])
        said = (life_text(str(now.life[best])), str(numbers[-1]), f"{off[best]:.1f} m", f"{sigma:.2f} m", f"{sure:.3f}")
        rows.append((*truth, *said))
    return rows, numbers


def summary(numbers: list[int], state: State) -> str:
    """Whether the car's number stayed one."""
    if not numbers:
        return "the car was never there for the engine"
    different = list(dict.fromkeys(numbers))
    if len(different) > 1:
        return f"the car did not keep its number: {', then '.join(map(str, different))}"
    hidden = sum(p.end - p.start for p in state.phases() if p.object == different[0] and p.life == "hidden")
    stood = VAN_STANDS[1] - VAN_STANDS[0]
    lines = [
        f"the car was {different[0]} from first to last; it was known to stand there, unseen, for {hidden:.0f} s, "
        f"while the van stood in front of it for {stood:.0f} s",
        *(f"  {event}" for event in state.events(different[0])),
    ]
    return "\n".join(lines)


def next_steps(out: Path, numbers: list[int]) -> str:
    """Questions to ask next."""
    number = numbers[-1] if numbers else 1
    moment = f"{datetime.fromtimestamp(START + MOMENT, UTC):%Y-%m-%dT%H:%M:%S}"
    asked = (f"where {number} --time {moment}", f"stall {STALLED_IN}", f"lineage {number}", f"at --time {moment}")
    lines = [f"  geoloc ask lot {out / 'state'} {words} --root {out}" for words in asked]
    return "\n".join([f"open {out / 'lineage.html'}, and ask:", *lines])
