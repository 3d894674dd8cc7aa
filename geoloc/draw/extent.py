"""Which part of the ground a picture shows: chosen from the tracks, the map and the cameras."""

from collections.abc import Iterable

import numpy as np
import shapely

from geoloc.draw.layers import bounds
from geoloc.scene.footprint import Footprint
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap

MIN_SPAN = 12.0  # m
MARGIN = 0.05  # of the longer side
ZOOM_RATIO = 2.5  # a map this many times longer than what the tracks cover is cut to them
ASPECT = 0.4  # least ratio of the short to the long side
CAMERA_REACH = 0.45  # cameras within this share of the longer side are taken in
NEAR_CAMERAS = 25.0  # m of footprints that a site with nothing else shows

Box = np.ndarray  # x0, y0, x1, y1 (4,) m


def choose_extent(site: Site, seen: Iterable[Footprint], xy: np.ndarray) -> Box:
    """The box to show, for points (N, 2) m that have to be in it, all but a few strays.

    The whole map, unless the points cover only a small part of it; cameras that stand near are taken in.
    A site without outlines and without points is shown around its cameras and what they see near them.
    """
    spots = np.array([camera.anchor_xy for camera in site.cameras]).reshape(-1, 2)
    spots = spots[np.isfinite(spots).all(axis=1)]
    on_map, around = map_bounds(site.site_map), points_bounds(xy)
    box = _join(on_map, around)
    if np.isfinite(around).all() and np.isfinite(on_map).all() and _span(on_map) > ZOOM_RATIO * _span(around):
        box = _grow(around, max(0.35 * _span(around), 6.0))
    elif np.isnan(box).any():
        box = _around_cameras(spots, seen)
    reach = _grow(box, CAMERA_REACH * max(_span(box), 20.0))
    near = spots[((spots >= reach[:2]) & (spots <= reach[2:])).all(axis=1)]
    if len(near):
        box = _join(box, np.concatenate([near.min(axis=0), near.max(axis=0)]))
    return _shape(box)


def map_bounds(site_map: SiteMap) -> Box:
    """Box around everything on the map that has an outline; NaN if nothing has."""
    surfaces = [surface.polygon for level in site_map.levels for surface in level.surfaces]
    places = [place.polygon for place in (*site_map.stalls, *site_map.zones)]
    occluders = [occluder.geometry for occluder in site_map.occluders]
    control = [shapely.Point(point.xyz[:2]) for point in site_map.control_points]
    return bounds([*surfaces, *places, *occluders, *control])


def points_bounds(xy: np.ndarray) -> Box:
    """Box around the points (N, 2) m without strays; NaN for none.

    A stray lies farther from the central 96 % than twice their span; there may be few of them by definition.
    """
    if not len(xy):
        return np.full(4, np.nan)
    low, high = np.percentile(xy, [2, 98], axis=0)
    reach = 2.0 * max(float((high - low).max()), MIN_SPAN)
    kept = xy[((xy >= low - reach) & (xy <= high + reach)).all(axis=1)]
    return np.concatenate([kept.min(axis=0), kept.max(axis=0)])


def nice_step(length: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is at most `length`."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(power * max(step for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)))


def _around_cameras(spots: np.ndarray, seen: Iterable[Footprint]) -> Box:
    if not len(spots):
        return np.zeros(4)
    box = np.concatenate([spots.min(axis=0), spots.max(axis=0)])
    near = shapely.box(*_grow(box, NEAR_CAMERAS))
    return _join(box, bounds(footprint.area.intersection(near) for footprint in seen))


def _join(a: Box, b: Box) -> Box:
    return np.concatenate([np.fmin(a[:2], b[:2]), np.fmax(a[2:], b[2:])])


def _grow(box: Box, margin: float) -> Box:
    return box + margin * np.array([-1.0, -1.0, 1.0, 1.0])


def _span(box: Box) -> float:
    return float((box[2:] - box[:2]).max())


def _shape(box: Box) -> Box:
    """The box with its margin, at least MIN_SPAN long, neither side below ASPECT of the other."""
    middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    size = np.maximum(size + 2 * MARGIN * size.max(), MIN_SPAN)
    size = np.maximum(size, ASPECT * size.max())
    return np.concatenate([middle - size / 2, middle + size / 2])
