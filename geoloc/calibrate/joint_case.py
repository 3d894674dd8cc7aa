"""What people name, marks and control points and lenses, as the numbered network that is adjusted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.calibrate.tie_points import start_points
from geoloc.errors import InputError, unknown_name
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.estimators.network import FOCAL, Heights, Network, Sights, Spans, Surveyed
from geoloc.estimators.seen_lines import seen_lines
from geoloc.scene.camera import Camera
from geoloc.scene.known import Distances, Known, KnownCamera
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap

USUAL_DISTANCE = 30.0  # m; where a tie point starts whose rays do not meet


@dataclass(frozen=True, eq=False)
class Case:
    """The network of some cameras; `rows` (N,) are the marks that are its sights, in order.

    `directions` are the names of the groups of parallel lines.
    """

    cameras: tuple[str, ...]
    points: tuple[str, ...]
    rows: np.ndarray
    controls: tuple[ControlPoint, ...]
    distances: Distances
    directions: tuple[str, ...]
    network: Network


def check_names(marks: Marks, site_map: SiteMap, starts: Mapping[str, Camera], known: Known) -> None:
    """Refuse names that nothing else knows, two marks for one point, and lenses that cannot be shared."""
    names = {*marks.point.tolist(), *(point.name for point in site_map.control_points)}
    for a, b in ends_of(known.distances):
        for end in (a, b):
            if end not in names:
                raise unknown_name("point", end, names, f"the distance from {a!r} to {b!r}")
    cameras = {*marks.camera.tolist(), *starts}
    for camera in (*(camera.name for camera in known.cameras), *known.lines.camera.tolist()):
        if camera not in cameras:
            raise unknown_name("camera", camera, cameras, "what is known besides marks")
    for tall in known.heights:
        tall.ground(site_map)
    _check_shared(starts, known)
    pairs, count = np.unique(np.stack([marks.camera, marks.point], axis=1), axis=0, return_counts=True)
    if (count > 1).any():
        camera, point = pairs[np.argmax(count > 1)].tolist()
        raise InputError(f"marks: camera {camera!r} has {count.max()} marks for point {point!r}; keep one")
    if not (np.isfinite(marks.pixel).all() and (marks.sigma > 0).all()):
        raise InputError("marks: every pixel must be finite and every sigma positive")


def make_case(
    names: Sequence[str], marks: Marks, site_map: SiteMap, starts: Mapping[str, Camera], known: Known,
    free: Mapping[str, Sequence[str]], held: Sequence[str], priors: Mapping[str, CameraPrior],
) -> Case:  # fmt: skip
    """The network of the cameras in `names`, its tie points started from their rays."""
    rows = np.flatnonzero(np.isin(marks.camera, list(names)))
    marks = marks.take(rows)
    distances = reachable(known.distances, marks, site_map)
    ends = [end for pair in ends_of(distances) for end in pair]
    points = tuple(dict.fromkeys([*marks.point.tolist(), *ends]))
    number = {name: i for i, name in enumerate(points)}
    controls = tuple(point for point in site_map.control_points if point.name in number)
    lens, freed, lens_priors, cameras = _lenses(names, marks, starts, known.shared, free, priors)
    index = {name: i for i, name in enumerate(names)}
    camera = np.array([index[name] for name in marks.camera.tolist()], dtype=int)
    point = np.array([number[name] for name in marks.point.tolist()], dtype=int)
    places = start_points(cameras, camera, point, marks.pixel, len(points), USUAL_DISTANCE)
    at = np.array([number[control.name] for control in controls], dtype=int)
    xyz = np.array([control.xyz for control in controls]).reshape(-1, 3)
    places[at] = xyz
    lines, directions = seen_lines(known.lines, index)
    network = Network(
        cameras,
        places,
        Sights(camera, point, marks.pixel, marks.sigma),
        Surveyed(at, xyz, np.array([control.sigma for control in controls]).reshape(-1, 3)),
        _spans(distances, number),
        _heights([tall for tall in known.heights if tall.name in index], index, cameras, site_map),
        lines,
        lens,
        freed,
        lens_priors,
        np.isin(names, list(held)),
    )
    return Case(tuple(names), points, rows, controls, distances, directions, network)


def ends_of(distances: Distances) -> list[tuple[str, str]]:
    """The names of the points that each distance joins."""
    return list(zip(distances.point_a.tolist(), distances.point_b.tolist(), strict=True))


def reachable(distances: Distances, marks: Marks, site_map: SiteMap) -> Distances:
    """The distances between points that are marked by these cameras or surveyed, one at least marked."""
    marked = set(marks.point.tolist())
    known = {point.name for point in site_map.control_points} | marked
    keep = [{a, b} <= known and bool({a, b} & marked) for a, b in ends_of(distances)]
    return distances.take(np.array(keep, bool))


def unknowns(camera: Camera) -> tuple[str, ...]:
    """The lens parameters that a camera says are freed; fx and fy that move alike are "f"."""
    freed = camera.freed
    if not {"fx", "fy"} <= set(freed):
        return freed
    at = [6 + freed.index("fx"), 6 + freed.index("fy")]
    (xx, xy), (_, yy) = camera.calib_cov[np.ix_(at, at)]
    tied = xy**2 >= xx * yy * (1.0 - 1e-9) if xx > 0 and yy > 0 else camera.lens.params[0] == camera.lens.params[1]
    return (FOCAL, *(name for name in freed if name not in ("fx", "fy"))) if tied else freed


def _lenses(
    names: Sequence[str], marks: Marks, starts: Mapping[str, Camera], shared: Sequence[Sequence[str]],
    free: Mapping[str, Sequence[str]], priors: Mapping[str, CameraPrior],
) -> tuple[np.ndarray, tuple[tuple[str, ...], ...], tuple[CameraPrior | None, ...], tuple[Camera, ...]]:  # fmt: skip
    """The lens of each camera; what is free and known of each lens; and the cameras, one start for a shared lens."""
    groups = [[name for name in group if name in names] for group in shared]
    groups = [group for group in groups if group]
    alone = [[name] for name in names if not any(name in group for group in groups)]
    known: list[CameraPrior | None] = []
    lens, freed, cameras = np.zeros(len(names), dtype=int), [], {name: starts[name] for name in names}
    for i, group in enumerate([*groups, *alone]):
        # the camera with the most marks knows its lens best
        first = max(group, key=lambda name: int((marks.camera == name).sum()))
        freed.append(tuple(free.get(first, unknowns(starts[first]))))
        known.append(priors.get(first))
        for name in group:
            lens[list(names).index(name)] = i
            cameras[name] = replace(starts[name], lens=starts[first].lens, freed=(), calib_cov=np.zeros((6, 6))) if (
                len(group) > 1
            ) else starts[name]
    return lens, tuple(freed), tuple(known), tuple(cameras[name] for name in names)


def _spans(distances: Distances, number: Mapping[str, int]) -> Spans:
    ends = np.array([(number[a], number[b]) for a, b in ends_of(distances)], dtype=int).reshape(-1, 2)
    return Spans(ends, distances.distance, distances.sigma)


def _heights(
    heights: Sequence[KnownCamera], index: Mapping[str, int], cameras: Sequence[Camera], site_map: SiteMap
) -> Heights:
    planes, sigmas = [], []
    for height in heights:
        surface = height.ground(site_map).under(cameras[index[height.name]].centre_world[:2])
        a, b, c = surface.plane
        planes.append((a, b, c + height.height))
        sigmas.append(np.hypot(height.height_sigma, surface.sigma_z))
    rows = np.array([index[height.name] for height in heights], dtype=int)
    return Heights(rows, np.array(planes, float).reshape(-1, 3), np.array(sigmas, float))


def _check_shared(starts: Mapping[str, Camera], known: Known) -> None:
    for group in known.shared:
        sizes = {starts[name].size for name in group if name in starts}
        models = {(starts[name].lens.model, len(starts[name].lens.params)) for name in group if name in starts}
        if len(sizes) > 1 or len(models) > 1:
            raise InputError(f"cameras {', '.join(group)} cannot share a lens: sizes {sizes}, models {models}")
