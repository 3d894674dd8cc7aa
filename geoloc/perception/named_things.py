"""Things that a person could name: corners of painted lines, feet of poles and frames, arrows' tips, signs with text.

Each comes with its place and covariance, with the pixels at which cameras show it, and how often their stills do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from geoloc.options import check_range
from geoloc.perception.ground_lines import GroundLine, camera_cov, ground_moves, painted, sigma_z_at
from geoloc.perception.ground_marks import Arrow
from geoloc.perception.stable_features import repeatability
from geoloc.perception.still_stack import Stack
from geoloc.scene.camera import Camera
from geoloc.scene.ground_error import level_pixels
from geoloc.scene.marks import Marks
from geoloc.scene.named import named_landmarks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, Level

STEEP = 0.64  # sine of the least angle between two lines that make a corner
LEAST_PX = 0.4  # how well a corner is found in a still at best


@dataclass(frozen=True)
class ThingOptions:
    """What is named."""

    reach: float = 0.4  # m that a line may lack to a corner
    same: float = 0.15  # m within which corners of one camera are one
    near: float = 1.0  # m within which things of two cameras may be one, and things of the map too
    gate_probability: float = 0.999  # of honest pairs that pass
    repeatability: float = 0.5  # share of the stills in which a thing must be found

    def __post_init__(self) -> None:
        check_range(self, reach=(0, 10), same=(0.001, 10), near=(0.01, 100), repeatability=(0, 1))
        check_range(self, gate_probability=(0.5, 0.9999999))


@dataclass(frozen=True, eq=False)
class Sighting:
    """A thing in one camera: its pixel (2,), that pixel's sigma px, and the share of its stills that show it."""

    camera: str
    pixel: np.ndarray
    sigma_px: float
    repeatability: float


@dataclass(frozen=True, eq=False)
class NamedThing:
    """A thing on the ground: `xy` (2,) m of a level and `cov` (2, 2) m². `known`: it stands on the map by this name."""

    name: str
    kind: str
    level: str
    xy: np.ndarray
    cov: np.ndarray
    sightings: tuple[Sighting, ...]
    known: bool = False

    @property
    def sigma(self) -> float:
        """Standard deviation (m) in its worst direction."""
        return float(np.sqrt(np.linalg.eigvalsh(self.cov)[-1]))

    @property
    def repeatability(self) -> float:
        """The least share of stills, over the cameras that show it; NaN where each has one still."""
        shares = [each.repeatability for each in self.sightings if not np.isnan(each.repeatability)]
        return min(shares, default=float("nan"))

    def point(self, level: Level) -> ControlPoint:
        """As a control point of the map."""
        x, y = self.xy.tolist()
        sx, sy = np.sqrt(np.diag(self.cov)).tolist()
        z = float(level.z_extended(self.xy[None])[0])
        return ControlPoint(self.name, (x, y, z), (sx, sy, max(sigma_z_at(level, self.xy), 1e-3)))


def line_corners(
    site: Site, level: str, lines: Sequence[GroundLine], stacks: Mapping[str, Stack],
    options: ThingOptions | None = None,
) -> list[NamedThing]:
    """Corners where painted lines meet, those of several cameras together, each with its name of the map or a new one.

    Without names "": `named` gives them.
    """
    options, chosen = options or ThingOptions(), site.site_map.level(level)
    single: list[NamedThing] = []
    for name, stack in stacks.items():
        mine = [line for line in painted(lines) if line.camera == name]
        single += _corners(site, chosen, name, mine, stack, options)
    return _merged(single, options)


def arrow_tips(arrows: Sequence[Arrow]) -> list[NamedThing]:
    """The tips of painted arrows."""
    return [
        NamedThing("", "arrow", arrow.level, arrow.tip, (arrow.sigma**2 + 0.05**2) * np.eye(2), ()) for arrow in arrows
    ]


def named(things: Sequence[NamedThing], site: Site, options: ThingOptions | None = None) -> list[NamedThing]:
    """Each under the name that the map has for it, such as "A07/1", or under a new one, such as "P1 corner 3"."""
    options = options or ThingOptions()
    known = named_landmarks(site.site_map)
    places = np.array([point.xyz for point in known], float).reshape(-1, 3)
    taken, found, counts = {point.name for point in known}, [], dict[str, int]()
    for thing in sorted(things, key=lambda each: each.sigma):
        here = site.site_map.level(thing.level).z_extended(thing.xy[None])[0]
        near = np.flatnonzero(
            (np.linalg.norm(places[:, :2] - thing.xy, axis=1) < options.near) & (np.abs(places[:, 2] - here) < 0.5)
        )
        best = _nearest(thing, known, near, options)
        if best:
            found.append(replace(thing, name=best, known=True))
            known = tuple(point for point in known if point.name != best)
            places = np.array([point.xyz for point in known], float).reshape(-1, 3)
            continue
        stem = f"{thing.level} {thing.kind}"
        counts[stem] = counts.get(stem, 0) + 1
        while f"{stem} {counts[stem]}" in taken:
            counts[stem] += 1
        found.append(replace(thing, name=f"{stem} {counts[stem]}"))
    return found


def _nearest(thing: NamedThing, known: Sequence[ControlPoint], near: np.ndarray, options: ThingOptions) -> str:
    """The name of the map's point that this is, or "": the likeliest within the gate."""
    gate, best, name = float(chi2.ppf(options.gate_probability, 2)), np.inf, ""
    for row in near.tolist():
        off = thing.xy - known[row].xyz[:2]
        cov = thing.cov + np.diag(np.square(known[row].sigma[:2]))
        distance = float(off @ np.linalg.solve(cov, off))
        if distance < min(best, gate):
            best, name = distance, known[row].name
    return name


def marks_of(things: Sequence[NamedThing]) -> Marks:
    """Where cameras show them, as marks that calibration and relocalization read."""
    rows = [(each, seen) for each in things for seen in each.sightings]
    return Marks(
        camera=[seen.camera for _, seen in rows], point=[each.name for each, _ in rows],
        pixel=np.array([seen.pixel for _, seen in rows]).reshape(-1, 2), sigma=[seen.sigma_px for _, seen in rows],
    )  # fmt: skip


def _corners(
    site: Site, level: Level, name: str, lines: Sequence[GroundLine], stack: Stack, options: ThingOptions
) -> list[NamedThing]:
    """Where the lines of one camera meet."""
    camera = site.camera(name)
    spots, noises = [], []
    for i, one in enumerate(lines):
        for other in lines[i + 1 :]:
            found = _meet(one, other, options.reach)
            if found is not None:
                spots.append(found[0])
                noises.append(found[1])
    if not spots:
        return []
    xy, noise = np.array(spots), np.array(noises)
    order = np.argsort(np.trace(noise, axis1=1, axis2=2))
    keep: list[int] = []
    for row in order.tolist():
        if all(np.linalg.norm(xy[row] - xy[other]) > options.same for other in keep):
            keep.append(row)
    xy, noise = xy[keep], noise[keep]
    moves = ground_moves(camera, level, xy)
    pixels = level_pixels(camera, level, xy)
    cov_px = _pixel_noise(camera, level, xy, noise)
    scale = stack.image.shape[1] / camera.size[0]
    share = repeatability(stack, (pixels + 0.5) * scale - 0.5)
    known = camera_cov(camera)
    found_things = []
    for row, (at, by) in enumerate(zip(xy, moves, strict=True)):
        if share[row] < options.repeatability:
            continue
        shared = by[:, :-1] @ known @ by[:, :-1].T + sigma_z_at(level, at) ** 2 * np.outer(by[:, -1], by[:, -1])
        seen = Sighting(name, pixels[row], max(float(cov_px[row]), LEAST_PX), float(share[row]))
        found_things.append(NamedThing("", "corner", level.name, at, noise[row] + shared, (seen,)))
    return found_things


def _meet(one: GroundLine, other: GroundLine, reach: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Where two lines meet (2,) m and the covariance (2, 2) m² that pixels and paint leave; None if they do not."""
    cross = float(one.ahead[0] * other.ahead[1] - one.ahead[1] * other.ahead[0])
    if abs(cross) < STEEP:
        return None
    rows = np.stack([one.across, other.across])
    spot = np.linalg.solve(rows, np.array([one.across @ one.ends[0], other.across @ other.ends[0]]))
    variances = []
    for line in (one, other):
        along = float((spot - line.ends[0]) @ line.ahead)
        if not -reach <= along <= line.length + reach:
            return None
        share = along / line.length
        by = np.array([1 - share, share])
        variances.append(float(by @ line.noise @ by))
    inverse = np.linalg.inv(rows)
    return spot, np.asarray(inverse @ np.diag(variances) @ inverse.T)


def _pixel_noise(camera: Camera, level: Level, xy: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """How well (N,) px places of covariance (N, 2, 2) m² are found in the still."""
    step = 1e-3
    moved = [(level_pixels(camera, level, xy + step * way) - level_pixels(camera, level, xy - step * way)) / (2 * step)
             for way in np.eye(2)]  # fmt: skip
    by = np.stack(moved, axis=-1)
    return np.asarray(np.sqrt(np.trace(by @ noise @ by.swapaxes(1, 2), axis1=1, axis2=2) / 2))


def _merged(things: Sequence[NamedThing], options: ThingOptions) -> list[NamedThing]:
    """Things of several cameras that may be one, as one; the surest first, and one of a camera at most."""
    gate = float(chi2.ppf(options.gate_probability, 2))
    left, found = sorted(things, key=lambda each: each.sigma), []
    while left:
        one = left.pop(0)
        for other in sorted(left, key=lambda each: float(np.linalg.norm(each.xy - one.xy))):
            off = other.xy - one.xy
            if float(np.linalg.norm(off)) > options.near:
                break
            seen = {each.camera for each in one.sightings}
            if other.sightings[0].camera in seen or off @ np.linalg.solve(one.cov + other.cov, off) > gate:
                continue
            one = _fused(one, other)
            left.remove(other)
        found.append(one)
    return found


def _fused(one: NamedThing, other: NamedThing) -> NamedThing:
    first, second = np.linalg.inv(one.cov), np.linalg.inv(other.cov)
    cov = np.linalg.inv(first + second)
    xy = cov @ (first @ one.xy + second @ other.xy)
    return replace(one, xy=xy, cov=cov, sightings=(*one.sightings, *other.sightings))
