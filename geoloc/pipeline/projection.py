"""Detections to points on the map, with both covariances (design: "two covariances, everywhere")."""

from dataclasses import dataclass, fields

import numpy as np

from geoloc.pipeline.feet import UNUSABLE, Feet, ProjectionOptions, feet, rows_of
from geoloc.pipeline.ground_hits import FootHits, hits_of_homographies, hits_of_rays
from geoloc.scene.lenses import Homography
from geoloc.scene.rig import Rig, rig_of
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, Dropped, GroundPoints

__all__ = ["ProjectionOptions", "project_to_ground"]

BLOCK = 16384  # rows that are worked on at once, so that their arrays stay in the cache
OWN_BLOCK = 1024  # rows of one camera from which on they have blocks of their own
LOST, VAGUE, UNKNOWN = range(len(UNUSABLE), len(UNUSABLE) + 3)  # why a row has no point, after UNUSABLE


def project_to_ground(
    detections: Detections, site: Site, options: ProjectionOptions | None = None
) -> tuple[GroundPoints, Dropped]:
    """Where the detections' feet meet the map, and the rows that have no such point, with the reason."""
    options = options or ProjectionOptions()
    rig = rig_of(site)
    camera = site.camera_rows(detections.camera)
    order, blocks = _plan(camera, rig)
    found = _Found.blank(len(camera))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for rows, cameras in blocks:
            at = rows if order is None else order[rows]
            these = feet(detections, at, rig.size[:, cameras], options)
            family = int(rig.family[cameras[0]])
            hits_of = hits_of_homographies if rig.families[family] is Homography else hits_of_rays
            hits = hits_of(these.pixel, these.cov, cameras, family, rig, site.site_map)
            found.put(rows, these, hits, options.max_sigma)
    return found.in_order(order).tables(detections, site, options)


def _plan(camera: np.ndarray, rig: Rig) -> tuple[np.ndarray | None, list[tuple[slice, np.ndarray]]]:
    """An order (N,) of the rows, None for the one that they are in, and blocks of the ordered rows.

    A block is of one camera, or at least of one lens family, and comes with its cameras: one for all its rows,
    or one a row. Constants of one camera are cheaper than a column of them, but a block must be worth its
    overhead. Rows without a camera (-1) come first and are in no block.
    """
    counts = np.bincount(camera + 1, minlength=len(rig.family) + 1)
    own = counts[1:] >= OWN_BLOCK
    groups = [[index] for index in np.flatnonzero(own).tolist()]
    groups += [np.flatnonzero(~own & (rig.family == family)).tolist() for family in range(len(rig.families))]
    place = np.zeros(len(own) + 1, dtype=np.int16)  # 16 bits are sorted by radix
    for number, group in enumerate(groups):
        place[[1 + index for index in group]] = 1 + number
    places = place[camera + 1]
    order = None if (places[1:] >= places[:-1]).all() else np.argsort(places, kind="stable")
    ordered = camera if order is None else camera[order]
    blocks, end = [], int(counts[0])
    for group in groups:
        start, end = end, end + int(counts[1:][group].sum())
        for first in range(start, end, BLOCK):
            rows = slice(first, min(first + BLOCK, end))
            blocks.append((rows, np.array(group) if len(group) == 1 else ordered[rows]))
    return order, blocks


@dataclass
class _Found:
    """Results of all rows, filled block by block."""

    xy: np.ndarray
    z: np.ndarray
    level: np.ndarray
    cov: np.ndarray  # (N, 4)
    bias_cov: np.ndarray  # (N, 4)
    away: np.ndarray
    why: np.ndarray  # int8: why there is no point, else 0

    @classmethod
    def blank(cls, n: int) -> "_Found":
        """Rows that are in no block stay as they are here."""
        return cls(
            xy=np.empty((n, 2)),
            z=np.empty(n),
            level=np.zeros(n, dtype=np.intp),
            cov=np.empty((n, 4)),
            bias_cov=np.empty((n, 4)),
            away=np.empty((n, 2)),
            why=np.full(n, UNKNOWN, dtype=np.int8),
        )

    def put(self, rows: slice, these: Feet, hits: FootHits, max_sigma: float) -> None:
        """Write a block's hits to its rows."""
        self.xy[rows], self.away[rows] = hits.xyz[:2].T, hits.away.T
        self.z[rows], self.level[rows] = hits.xyz[2], hits.level
        for mine, cov in ((self.cov, hits.cov), (self.bias_cov, hits.bias_cov)):
            mine[rows, 0], mine[rows, 1], mine[rows, 2], mine[rows, 3] = cov[0], cov[1], cov[1], cov[2]
        xx, xy, yy = hits.cov + hits.bias_cov
        worst2 = 0.5 * (xx + yy) + np.sqrt(0.25 * (xx - yy) ** 2 + xy * xy)
        lost = np.isnan(hits.xyz[0])
        why = np.where(lost, LOST, VAGUE * ~(worst2 <= max_sigma * max_sigma))
        self.why[rows] = np.where(these.unusable > 0, these.unusable, why)

    def in_order(self, order: np.ndarray | None) -> "_Found":
        """The same, from rows in the order that they were worked on to rows as they were given."""
        if order is None:
            return self
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return _Found(*(getattr(self, mine.name).take(back, axis=0) for mine in fields(self)))

    def tables(
        self, detections: Detections, site: Site, options: ProjectionOptions
    ) -> tuple[GroundPoints, Dropped]:
        """The rows that have a point, and the others with the reason."""
        dropped = np.flatnonzero(self.why)
        kept = np.flatnonzero(self.why == 0) if len(dropped) else slice(None)
        points = GroundPoints.trusted(
            time=rows_of(detections.time, kept),
            camera=rows_of(detections.camera, kept),
            detection=rows_of(detections.id, kept),
            level=site.site_map.level_names.take(rows_of(self.level, kept)),
            xy=rows_of(self.xy, kept),
            z=rows_of(self.z, kept),
            cov=rows_of(self.cov, kept).reshape(-1, 2, 2),
            bias_cov=rows_of(self.bias_cov, kept).reshape(-1, 2, 2),
            away=rows_of(self.away, kept),
            label=rows_of(detections.label, kept),
            score=rows_of(detections.score, kept),
            embedding=rows_of(detections.embedding, kept),
        )
        return points, Dropped(detection=detections.id[dropped], reason=self._reasons(dropped, detections, options))

    def _reasons(self, dropped: np.ndarray, detections: Detections, options: ProjectionOptions) -> np.ndarray:
        reasons = [*UNUSABLE, "its ray meets no level of the map", f"worst sigma above {options.max_sigma:g} m"]
        pairs = zip(self.why[dropped].tolist(), detections.camera[dropped].tolist(), strict=True)
        said = [f"unknown camera {name!r}" if why == UNKNOWN else reasons[why] for why, name in pairs]
        return np.array(said, dtype=np.str_)
