"""Cases by name or folder: synthetic worlds, and recordings with their truth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.evaluation.robustness.hazard import Case
from geoloc.evaluation.synthetic_truth import truth_tracks
from geoloc.io.detections import read_detections
from geoloc.io.track_tables import IGNORED, read_positions
from geoloc.scene.storage import load_site
from geoloc.scene.tables import Tracks
from geoloc.synthetic import World, garage, intersection, observe, plaza, simulate

WORLDS: dict[str, Callable[[], World]] = {"garage": garage, "plaza": plaza, "intersection": intersection}
BOX_FILES = ("boxes.csv", "boxes.jsonl", "detections.csv.gz", "detections.csv")
TRUTH_FILES = ("truth.csv.gz", "truth.csv")


@dataclass(frozen=True, eq=False)
class Target:
    """A recording to be perturbed, and apart from it the truth that the results are scored against.

    A truth in state "ignored" is neither to be found nor wrong when found. `truth_sigma` (m) is the error of the
    true positions, each axis.
    """

    case: Case
    truth: Tracks
    truth_sigma: float = 0.0

    def __post_init__(self) -> None:
        if (self.truth.state == IGNORED).all():
            raise InputError(f"{self.case.name}: the truth holds nothing that a camera shows: nothing can be scored")

    @property
    def has_ids(self) -> bool:
        """Whether the truth has identities; without them only positions are scored."""
        return bool((self.truth.track >= 0).any())


def load_target(
    name_or_folder: str | Path, seconds: float = 8.0, seed: int = 1, truth_sigma: float = 0.0
) -> Target:
    """A synthetic world of WORLDS, `seconds` long and drawn from `seed`, or the first `seconds` of a folder.

    A folder holds a site, its boxes (BOX_FILES) and true positions (TRUTH_FILES), as `geoloc demo` and
    `geoloc convert recording` write them. InputError says what is missing.
    """
    if not seconds > 0:
        raise InputError(f"a recording of {seconds} s; its length must be greater than 0")
    if str(name_or_folder) in WORLDS:
        return world_target(str(name_or_folder), seconds, seed)
    if not Path(name_or_folder).is_dir():
        raise unknown_name("world or folder", str(name_or_folder), WORLDS)
    return folder_target(Path(name_or_folder), seconds, truth_sigma)


def world_target(name: str, seconds: float, seed: int) -> Target:
    """A synthetic world, simulated and observed."""
    if name not in WORLDS:
        raise unknown_name("world", name, WORLDS)
    world = WORLDS[name]()
    rng = np.random.default_rng(seed)
    seen = observe(world, simulate(world, rng, replace(world.traffic, duration=seconds)), rng)
    return Target(Case(name, seen.site, seen.detections), truth_tracks(seen.truth))


def folder_target(folder: Path, seconds: float, truth_sigma: float = 0.0) -> Target:
    """A site with boxes and true positions on disk: what lies within `seconds` of the first true position."""
    boxes, truth_file = _one_of(folder, BOX_FILES, "boxes"), _one_of(folder, TRUTH_FILES, "the truth")
    site, detections, truth = load_site(folder), read_detections(boxes).detections, read_positions(truth_file)[0]
    truth = truth.take(truth.time < truth.time.min(initial=np.inf) + seconds)
    times = np.unique(truth.time)
    half = 0.5 * np.diff(times).min(initial=1.0)
    near = (detections.time >= times.min(initial=np.inf) - half) & (detections.time < times.max(initial=-np.inf) + half)
    return Target(Case(folder.name, site, detections.take(near)), truth, truth_sigma)


def _one_of(folder: Path, names: tuple[str, ...], what: str) -> Path:
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise InputError(f"{folder}: {what} of the recording must lie there as {' or '.join(names)}")
    return found[0]
