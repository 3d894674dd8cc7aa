"""Objects that several cameras see at one time as tie points: where each stood is unknown, but it is one place."""

from dataclasses import dataclass

import numpy as np

from geoloc.calibrate.overlap import PLACE_SIGMA
from geoloc.calibrate.ties import TieOptions, Ties
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, SiteMap

CELL = 1.0  # m; of the ties of one pair of cameras in one such square of ground, the sharpest few count
LEAST_SIGMA_Z = 1e-3  # m


@dataclass(frozen=True, eq=False)
class Sightings:
    """N sightings of moving objects; rows of one `object` are one thing at one moment, seen by several cameras.

    `pixel` (N, 2) px is where it meets the ground in its camera's picture, known to `sigma` (N,) px per axis;
    `xy` (N, 2) m where the present camera puts that on `level` (N,).
    """

    object: np.ndarray
    camera: np.ndarray
    pixel: np.ndarray
    sigma: np.ndarray
    level: np.ndarray
    xy: np.ndarray

    def take(self, rows: np.ndarray) -> "Sightings":
        """The rows that a mask or index selects."""
        return Sightings(*(getattr(self, name)[rows] for name in ("object", "camera", "pixel", "sigma", "level", "xy")))


def moving_ties(
    seen: Sightings,
    site_map: SiteMap,
    options: TieOptions = TieOptions(),  # noqa: B008 - frozen
) -> Ties:
    """Ties of objects that two cameras or more saw at one moment, spread over the ground that each pair shares.

    What one camera's boxes have in common (their lower edges lie low, or high) does not average out over many: each
    sigma is widened until all ties of a camera together know no more than four of them do.
    """
    objects, member, count = np.unique(seen.object, return_inverse=True, return_counts=True)
    seen = seen.take(count[member.reshape(-1)] > 1)
    chosen = _spread(seen, options.most_a_pair)
    if not len(chosen):
        return Ties(notes=(f"moving objects: none of {len(objects)} is seen by two cameras at once",))
    seen = seen.take(np.isin(seen.object, chosen))
    names = np.array([f"moving {number}" for number in seen.object.tolist()])
    _, camera, n_seen = np.unique(seen.camera, return_inverse=True, return_counts=True)
    widened = seen.sigma * np.sqrt(np.maximum(n_seen[camera.reshape(-1)] / 4.0, 1.0))
    marks = Marks(camera=seen.camera, point=names, pixel=seen.pixel, sigma=widened)
    known = tuple(_on_ground(f"moving {number}", seen.take(seen.object == number), site_map) for number in chosen)
    words = f"moving objects: {len(chosen)} sightings by two cameras or more tie {len(n_seen)} cameras"
    return Ties(marks, known, (words,))


def _spread(seen: Sightings, most: int) -> list[int]:
    """Objects of which, for every pair of cameras, at most `most` and few of one square of ground count."""
    sharpest = np.argsort(seen.sigma, kind="stable")
    rows = {number: np.flatnonzero(seen.object == number) for number in np.unique(seen.object).tolist()}
    order = list(dict.fromkeys(seen.object[sharpest].tolist()))
    taken: dict[tuple[str, str], int] = {}
    squares: set[tuple[str, str, int, int]] = set()
    chosen = []
    for number in order:
        cameras = sorted(seen.camera[rows[number]].tolist())
        x, y = np.floor(seen.xy[rows[number]].mean(axis=0) / CELL).astype(int).tolist()
        pairs = [(a, b) for i, a in enumerate(cameras) for b in cameras[i + 1 :]]
        fresh = [pair for pair in pairs if taken.get(pair, 0) < most and (*pair, x, y) not in squares]
        if fresh:
            chosen.append(int(number))
            for pair in pairs:
                taken[pair] = taken.get(pair, 0) + 1
                squares.add((*pair, x, y))
    return chosen


def _on_ground(name: str, seen: Sightings, site_map: SiteMap) -> ControlPoint:
    xy = seen.xy.mean(axis=0)
    level = site_map.level(str(seen.level[0]))
    surface = next((one for one in level.surfaces if one.holds(xy[None])[0]), level.surfaces[0])
    z = float(surface.z_at(xy[None])[0])
    sigma = (PLACE_SIGMA, PLACE_SIGMA, max(surface.sigma_z, LEAST_SIGMA_Z))
    return ControlPoint(name, (float(xy[0]), float(xy[1]), z), sigma)
