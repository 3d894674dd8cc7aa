"""A site's layout and landmarks out of nothing but stills of its calibrated cameras: start reading here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from geoloc.errors import InputError
from geoloc.perception.ground_lines import GroundLine, LineOptions, find_lines
from geoloc.perception.ground_marks import Arrow, Crossing, MarkOptions, find_marks
from geoloc.perception.ground_mosaic import Mosaic, MosaicOptions, mosaic_of
from geoloc.perception.ground_sheet import Sight, level_sights
from geoloc.perception.named_things import NamedThing, ThingOptions, arrow_tips, line_corners, named
from geoloc.perception.stable_features import (
    FeatureOptions,
    SharedPoints,
    StableFeatures,
    shared_points,
    stable_features,
)
from geoloc.perception.stall_grid import Proposal, StallOptions, propose_stalls
from geoloc.perception.still_stack import Stack, StackOptions, stack_stills
from geoloc.scene.site import Site

Progress = Callable[[str, int, int], None]  # what, done, of


@dataclass(frozen=True)
class SurveyOptions:
    """What each step does: `lines.width=0.15`, `mosaic.pixel=0.05`."""

    stack: StackOptions = field(default_factory=StackOptions)
    mosaic: MosaicOptions = field(default_factory=MosaicOptions)
    lines: LineOptions = field(default_factory=LineOptions)
    marks: MarkOptions = field(default_factory=MarkOptions)
    stalls: StallOptions = field(default_factory=StallOptions)
    features: FeatureOptions = field(default_factory=FeatureOptions)
    things: ThingOptions = field(default_factory=ThingOptions)


@dataclass(frozen=True, eq=False)
class LevelSurvey:
    """What the stills show of one level."""

    mosaic: Mosaic
    lines: tuple[GroundLine, ...]
    arrows: tuple[Arrow, ...]
    crossings: tuple[Crossing, ...]
    stalls: Proposal


@dataclass(frozen=True, eq=False)
class Survey:
    """What stills show of a site: levels by name, landmarks, and what was left out and why."""

    levels: dict[str, LevelSurvey]
    things: tuple[NamedThing, ...]
    features: tuple[StableFeatures, ...]
    shared: SharedPoints
    n_stills: dict[str, int]
    left_out: dict[str, str]


def survey(
    site: Site, stills: Mapping[str, Mapping[str, np.ndarray]], options: SurveyOptions | None = None,
    progress: Progress | None = None,
) -> Survey:  # fmt: skip
    """Survey a site by its cameras' stills: for each camera, pictures (H, W, 3) uint8 BGR by their names.

    GeometryError or InputError where no still is of use, or none shows any ground.
    """
    options, tell = options or SurveyOptions(), progress or (lambda what, done, of: None)
    stacks, left_out = _stacks(site, stills, options, tell)
    sights = level_sights(site, tuple(stacks), options.mosaic.sight)
    if not any(sights.values()):
        seen = ", ".join(stacks)
        raise InputError(f"no camera with a still ({seen}) sees the ground of any level; check their calibration")
    levels: dict[str, LevelSurvey] = {}
    things: list[NamedThing] = []
    for number, (level, found) in enumerate(sights.items()):
        tell("levels", number, len(sights))
        if not found:
            left_out[f"level {level}"] = "no camera with a still sees its ground; add a still of one that does"
            continue
        levels[level] = _level(site, level, found, stacks, options, tell)
        things += line_corners(site, level, levels[level].lines, stacks, options.things)
        things += arrow_tips(levels[level].arrows)
    tell("levels", len(sights), len(sights))
    features = []
    for number, stack in enumerate(stacks.values(), 1):
        features.append(stable_features(stack, options.features))
        tell("features", number, len(stacks))
    return Survey(
        levels, tuple(named(things, site, options.things)), tuple(features), shared_points(features, options.features),
        {name: stack.n_stills for name, stack in stacks.items()}, left_out,
    )  # fmt: skip


def _stacks(
    site: Site, stills: Mapping[str, Mapping[str, np.ndarray]], options: SurveyOptions, tell: Progress
) -> tuple[dict[str, Stack], dict[str, str]]:
    stacks: dict[str, Stack] = {}
    left_out: dict[str, str] = {}
    for number, (name, pictures) in enumerate(stills.items(), 1):
        stack, why = stack_stills(site.camera(name), pictures, options.stack)
        left_out |= why
        if stack is not None:
            stacks[name] = stack
        tell("stills", number, len(stills))
    if not stacks:
        first = next(iter(left_out.items()), ("stills", "there are none"))
        raise InputError(f"no still is of use: {first[0]}: {first[1]}")
    return stacks, left_out


def _level(
    site: Site, level: str, sights: Sequence[Sight], stacks: Mapping[str, Stack], options: SurveyOptions, tell: Progress
) -> LevelSurvey:
    laid = mosaic_of(site, level, sights, stacks, options.mosaic)
    lines: list[GroundLine] = []
    for number, sight in enumerate(sights, 1):
        lines += find_lines(sight, stacks[sight.camera.name], site.site_map.level(level), options.lines)
        tell(f"lines of {level}", number, len(sights))
    arrows, crossings = find_marks(laid, options.marks)
    proposal = propose_stalls(site, level, lines, options.stalls, arrows)
    return LevelSurvey(laid, tuple(lines), tuple(arrows), tuple(crossings), proposal)
