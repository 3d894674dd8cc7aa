"""From where a box ends to the middle of the body in it, whose size its class tells and whose heading its track.

A camera at 3 m height sees the near end of a car: the lower edge of its box is up to half a car's length from its
middle, and which way depends on how the car stands. What is left after this is learned by `footprint`.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.lazily import bodies
from geoloc.pipeline.packed import body_arrays, camera_rows, kind_arrays, level_rows, stall_arrays
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints, Tracks

ANY_WAY = 0.5 * np.pi  # rad, sigma of a heading that nobody states one of


@dataclass(frozen=True)
class BodyOptions:
    """Which bodies are looked for in boxes."""

    least_length: float = 1.0  # m; classes that are shorter stand on their feet
    stood_s: float = 3.0  # what has stood for as long does not turn
    size_sigma: float = 0.08  # of its class's length and width: how much one differs from another

    def __post_init__(self) -> None:
        check_range(self, least_length=(0, 1e6), size_sigma=(0, 10), stood_s=(0, 1e9))


def find_bodies(
    points: GroundPoints, predicted: Tracks, site: Site, options: BodyOptions
) -> tuple[GroundPoints, np.ndarray]:
    """`points` moved from their boxes' lower edges to their bodies' middles, and the doubt about that (N, 2, 2) m².

    Feet that were given, rather than taken from a box, stay where they are; so do those of cameras that are known by
    a homography: it tells nothing of heights, and what its points mean is learned.
    """
    labels = points.coded("label")
    kinds = kind_arrays(labels.names)
    has_body = kinds.length >= options.least_length
    if not has_body.take(labels.code).any():
        return points, np.zeros((len(points), 2, 2))
    size = np.column_stack([kinds.length * has_body, kinds.width, kinds.height]).take(labels.code, axis=0)
    level = level_rows(site.site_map, points.coded("level"))
    xy, away = np.ascontiguousarray(points.xy), np.ascontiguousarray(points.away)
    heading, may_turn = np.empty(len(points)), np.empty(len(points))
    of_tracks = np.ascontiguousarray(predicted.xy), level_rows(site.site_map, predicted.coded("level"))
    stands = predicted.time - predicted.still_since >= options.stood_s
    turned = np.nan_to_num(predicted.heading_sigma, nan=ANY_WAY)
    held = predicted.heading, np.where(stands, 0.0, turned), stall_arrays(site.site_map)
    bodies.headings(xy, away, level, size, *of_tracks, *held, heading, may_turn)
    offset, spread = np.empty_like(xy), np.empty((len(xy), 2, 2))
    boxes = np.ascontiguousarray(points.foot), np.ascontiguousarray(points.box)
    where = *boxes, xy, np.ascontiguousarray(points.z), heading, may_turn, size
    bodies.offsets(camera_rows(site, points.coded("camera")), *where, body_arrays(site), offset, spread)
    # a larger body shifts in the direction in which this one does
    spread += options.size_sigma**2 * offset[:, :, None] * offset[:, None, :]
    return points.revised(xy=xy - offset), spread
