"""Running the suite: a recording through the online engine and a reference, or images through a descriptor."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from geoloc.errors import unknown_name
from geoloc.evaluation.robustness.cases import Target
from geoloc.evaluation.robustness.hazards import HAZARDS
from geoloc.evaluation.robustness.image_hazards import IMAGE_HAZARDS
from geoloc.evaluation.robustness.images import (
    RECALLS,
    Describe,
    ImageCase,
    describe_hog,
    described,
    on_queries,
    recalls,
)
from geoloc.evaluation.robustness.naive import run_naive
from geoloc.evaluation.robustness.scoring import accuracies, protocol, score_tracks
from geoloc.evaluation.robustness.storage import load_scores
from geoloc.evaluation.robustness.suite import Progress, RobustnessScores, run_robustness
from geoloc.evaluation.robustness.systems import run_engine
from geoloc.evaluation.tracking_measures import TrackingOptions
from geoloc.options import check_range
from geoloc.pipeline.localizer import LocalizerOptions

NAIVE = "naive"


@dataclass(frozen=True)
class RobustnessOptions:
    """What is perturbed, how often, and what the errors are compared with."""

    hazards: tuple[str, ...] = ()  # names; none: all
    draws: int = 3  # of every hazard at every strength
    seed: int = 1
    reference: str = NAIVE  # system whose errors are 100 %: naive, a file of stored scores, or empty for none
    drop_late: bool = False  # packets that come after their window was closed are thrown away, not handed over late
    engine: LocalizerOptions = field(default_factory=LocalizerOptions)
    scoring: TrackingOptions = field(default_factory=TrackingOptions)  # of tracks
    describe: Describe = describe_hog  # of images

    def __post_init__(self) -> None:
        check_range(self, draws=(1, 1000), seed=(0, 2**32))


@dataclass(frozen=True, eq=False)
class Robustness:
    """Scores of the system, of the reference (none or one), and how both were measured."""

    scores: RobustnessScores
    references: tuple[RobustnessScores, ...]
    protocol: str


def quiet(what: str, done: int, total: int) -> None:
    """No progress."""


def measure_robustness(
    target: Target | ImageCase, options: RobustnessOptions | None = None, progress: Progress = quiet
) -> Robustness:
    """Run the suite: recordings through the online engine and the reference, images through `describe`."""
    options = options or RobustnessOptions()
    if isinstance(target, ImageCase):
        return _measure_images(target, options, progress)
    chosen = {name: HAZARDS[name] for name in _chosen(options, HAZARDS)}
    run = partial(
        run_robustness,
        target.case,
        target.case.name,
        score=partial(score_tracks, target, options.scoring),
        hazards=chosen,
        errors=accuracies(target),
        draws=options.draws,
        seed=options.seed,
    )
    scores = run(system=partial(run_engine, options=options.engine, drop_late=options.drop_late), progress=progress)
    late = "dropped" if options.drop_late else "handed over late"
    how = f"{protocol(target, options.scoring)}; late packets {late}"
    if options.reference == NAIVE:
        window_s = options.engine.window_s
        naive = partial(run_naive, window_s=window_s, drop_late=options.drop_late)
        other = run(system=naive, progress=lambda what, *n: progress(f"naive tracker, {what}", *n))
        return Robustness(scores, (other,), how)
    return Robustness(scores, _stored(options), how)


def _measure_images(case: ImageCase, options: RobustnessOptions, progress: Progress) -> Robustness:
    references = np.stack([options.describe(image) for image in case.references])
    chosen = {name: on_queries(IMAGE_HAZARDS[name]) for name in _chosen(options, IMAGE_HAZARDS)}
    scores = run_robustness(
        case,
        case.name,
        partial(described, describe=options.describe),
        partial(recalls, references),
        chosen,
        [f"recall_{k}" for k in RECALLS],
        options.draws,
        options.seed,
        progress,
    )
    how = f"{len(case.queries)} queries, one reference each, nearest by cosine; queries alone are perturbed"
    return Robustness(scores, () if options.reference == NAIVE else _stored(options), how)


def _chosen(options: RobustnessOptions, known: Iterable[str]) -> tuple[str, ...]:
    """The hazards asked for, all that are `known` by default."""
    names = tuple(known)
    for name in options.hazards:
        if name not in names:
            raise unknown_name("hazard", name, names)
    return options.hazards or names


def _stored(options: RobustnessOptions) -> tuple[RobustnessScores, ...]:
    return (load_scores(Path(options.reference)),) if options.reference else ()
