"""What the size of a box tells: that its body is not all in it, and of which class it is, without any network.

A box that the image's edge, a nearer box or a wall cuts off below does not end where its body stands. One that is too
low for its class there is recognised. A person then stands under his head; of what has no such point it is only known
how far nearer it may be, and it weighs accordingly. Boxes of generic labels ("object", "") are named after the class
whose body looks like them, where one is by far the likeliest.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.lazily import sizes
from geoloc.pipeline.packed import body_arrays, camera_arrays, camera_rows, kind_arrays, level_rows, view_arrays
from geoloc.pipeline.projection import ProjectionOptions, stand_under
from geoloc.scene.columns import Coded
from geoloc.scene.kinds import BICYCLE, CAR, GENERIC, PERSON, TRUCK
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints

BELOW, BESIDE, ABOVE = 1, 2, 4  # as in `kernels.sizes`
NAMES = {"person": PERSON, "bicycle": BICYCLE, "car": CAR, "truck": TRUCK}  # that a size can tell
USUAL = np.array([0.4, 0.1, 0.4, 0.1])  # share of each among what moves
VEHICLE = 3.0  # m; of classes that are shorter all are about as high
SURER = 4.0  # times the variance: a foot that is as vague as this against the head is not trusted
LEAST_FIT = float(np.exp(-0.5 * 3.0**2)) / 6  # of a body that is 3 sigmas off, seen from one of 6 sides


@dataclass(frozen=True)
class SizeOptions:
    """When a box hides part of its body, and when its size tells its class."""

    low: float = 0.75  # of its class's height: a box that is lower, and hidden below, does not show the foot
    height_sigma: float = 0.08  # of its class's height: how much one person differs from another
    upright_length: float = 1.0  # m; bodies that are shorter stand under their tops
    class_probability: float = 0.95  # a generic label is replaced by the class that is as likely as this; 1: never
    box_sigma: float = 0.08  # of a vehicle's height, as its boxes tell it
    size_sigma: float = 0.15  # of the logarithm of a box's width and height within a class

    def __post_init__(self) -> None:
        check_range(self, low=(0, 1), height_sigma=(0, 1), upright_length=(0, 1e6), class_probability=(0.5, 1))
        check_range(self, size_sigma=(1e-3, 10), box_sigma=(1e-3, 10))


def weigh_boxes(points: GroundPoints, site: Site, options: SizeOptions, projection: ProjectionOptions) -> GroundPoints:
    """`points` with those mended whose boxes do not show where their bodies stand, and generic labels named.

    Cameras that are known by a homography tell no sizes.
    """
    labels, camera = points.coded("label"), camera_rows(site, points.coded("camera"))
    kinds, view = _sizes(labels.names), view_arrays(site.visibility)
    level = level_rows(site.site_map, points.coded("level"))
    foot, box, xy, z = _of_boxes(points)
    where = np.ascontiguousarray(points.time), box, foot, level, xy, z
    flags, rows, share = sizes.look(camera, *where, labels.code, kinds, options.low, view, body_arrays(site))
    points = _measured(points, camera, flags, site, options, projection)
    if options.class_probability < 1.0 and _generic(labels.names).any():
        points = _named(points, camera, flags, site, options)
    return _mended(points, camera, flags, (rows, share), site, options, projection) if len(rows) else points


def _measured(
    points: GroundPoints,
    camera: np.ndarray,
    flags: np.ndarray,
    site: Site,
    options: SizeOptions,
    projection: ProjectionOptions,
) -> GroundPoints:
    """`points` with the heights of vehicles that are seen whole, from not too far above."""
    labels = points.coded("label")
    kinds = kind_arrays(labels.names)
    if not (kinds.length >= VEHICLE).any():
        return points
    foot, box, xy, z = _of_boxes(points)
    away = np.ascontiguousarray(points.away)
    how = kinds.length, kinds.width, VEHICLE, options.box_sigma, projection.foot_sigma_px, body_arrays(site)
    height, var = sizes.heights(camera, flags, box, foot, xy, z, away, labels.code, *how)
    return points.revised(height=height, height_var=var)


def _named(
    points: GroundPoints, camera: np.ndarray, flags: np.ndarray, site: Site, options: SizeOptions
) -> GroundPoints:
    labels = points.coded("label")
    rows = np.flatnonzero(_generic(labels.names).take(labels.code) & (flags == 0) & np.isfinite(points.foot[:, 0]))
    known = np.array([(kind.length, kind.width, kind.height) for kind in NAMES.values()])
    foot, box, *where = _of_boxes(points)
    said = sizes.classes(rows, camera, box, foot, *where, known, options.size_sigma, body_arrays(site))
    fits = said.max(axis=1, initial=0.0) >= LEAST_FIT
    said *= USUAL
    best = said.argmax(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        sure = fits & (said.max(axis=1) / said.sum(axis=1) >= options.class_probability)
    if not sure.any():
        return points
    names = tuple(dict.fromkeys((*labels.names, *NAMES)))
    code = labels.code.copy()
    code[rows[sure]] = np.array([names.index(name) for name in NAMES])[best[sure]]
    return points.revised(label=Coded(names, code))


def _mended(
    points: GroundPoints,
    camera: np.ndarray,
    flags: np.ndarray,
    low: tuple[np.ndarray, np.ndarray],
    site: Site,
    options: SizeOptions,
    projection: ProjectionOptions,
) -> GroundPoints:
    """`points` with those of the rows (n,) mended that are `low`: as high as these shares (n,) of a body."""
    (rows, share), labels, centre = low, points.coded("label"), camera_arrays(site).centre
    length, _, height = _sizes(labels.names).take(labels.code[rows], axis=0).T
    of_rows = flags[rows]
    names = ("xy", "z", "cov", "bias_cov", "foot")
    xy, z, cov, bias_cov, foot = (np.array(getattr(points, name), order="C") for name in names)
    # the body may stand nearer by what the hidden part is high; the image's edge is in the foot's own sigma
    hidden = np.where(of_rows & BELOW, 0.0, (1.0 - share) * height)
    sizes.widen(cov, rows, hidden, camera, xy, z, np.ascontiguousarray(points.away), centre)
    level, sure = points.coded("level"), points.level_probability.copy()
    stands = np.flatnonzero((length < options.upright_length) & ((of_rows & ABOVE) == 0))
    if len(stands):
        kept, under = _under_tops(points, rows[stands], camera, flags, height[stands], site, projection)
        stands = stands[kept]
        own, tops, sigma = np.arange(len(under)), under.z + height[stands], options.height_sigma * height[stands]
        own_cov = under.cov.copy()
        sizes.widen(own_cov, own, sigma, camera[rows[stands]], under.xy, tops, under.away, centre)
        # a camera hardly higher than the head knows better from a foot that is cut off
        known = cov[rows[stands]] + bias_cov[rows[stands]]
        better = np.flatnonzero(SURER * _size_of(own_cov + under.bias_cov) < _size_of(known))
        at, found = rows[stands[better]], under.coded("level")
        xy[at], z[at], foot[at] = under.xy[better], under.z[better], np.nan
        cov[at], bias_cov[at] = own_cov[better], under.bias_cov[better]
        code = level_rows(site.site_map, level)
        code[at] = found.code[better]
        sure[at] = under.level_probability[better]
        level = Coded(found.names, code)
    placed = {"xy": xy, "z": z, "cov": cov, "bias_cov": bias_cov, "foot": foot}
    return points.revised(**placed, level=level, level_probability=sure)


def _size_of(cov: np.ndarray) -> np.ndarray:
    return np.asarray(cov[:, 0, 0] + cov[:, 1, 1])


def _under_tops(
    points: GroundPoints,
    rows: np.ndarray,
    camera: np.ndarray,
    flags: np.ndarray,
    tall: np.ndarray,
    site: Site,
    projection: ProjectionOptions,
) -> tuple[np.ndarray, GroundPoints]:
    """Where the bodies of `rows` stand by the upper edges of their boxes: which of them (n,), and points."""
    box = points.box[rows]
    wide, high = box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]
    pixel = np.array([0.5 * (box[:, 0] + box[:, 2]), box[:, 1]])
    across = np.where(flags[rows] & BESIDE, projection.cut_sigma, projection.foot_sigma_across) * wide
    floor2 = projection.foot_sigma_px**2
    cov = np.array([across**2 + floor2, np.zeros(len(rows)), (projection.foot_sigma_along * high) ** 2 + floor2])
    return stand_under(pixel, cov, tall, camera[rows], site, projection.max_sigma)


@lru_cache(maxsize=256)
def _sizes(labels: tuple[str, ...]) -> np.ndarray:
    """Length, width and height (L, 3) m of each label's bodies."""
    kinds = kind_arrays(labels)
    return np.column_stack([kinds.length, kinds.width, kinds.height])


@lru_cache(maxsize=256)
def _generic(labels: tuple[str, ...]) -> np.ndarray:
    """Which labels (L,) stand for anything."""
    return np.array([name.strip().lower() in GENERIC for name in labels], dtype=bool)


def _of_boxes(points: GroundPoints) -> tuple[np.ndarray, ...]:
    return tuple(np.ascontiguousarray(part) for part in (points.foot, points.box, points.xy, points.z))
