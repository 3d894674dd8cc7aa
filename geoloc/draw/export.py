"""`geoloc.export`: a site and its tracks as one file, by its ending: a picture, a film, a page, or data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from geoloc.io import tracks as data
from geoloc.io.tracks import Exported, WriteOptions, read_tracks
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

LOST = {
    "plan": "time of each position, covariance of velocities and lenses",
    "clip": "positions as numbers, covariance and lenses",
    "page": "the covariance of velocities; noise and bias are one",
}
KINDS = {".png": "plan", ".svg": "plan", ".mp4": "clip", ".gif": "clip", ".html": "page"}


def export(
    path: Path | str,
    site: Site,
    tracks: Tracks | Path | str = "",
    kind: str = "",
    options: WriteOptions | None = None,
    landmarks: np.ndarray | None = None,
) -> Exported:
    """Write a site and its tracks to a file, whole or not at all; says what the format does not hold.

    By the ending: .png and .svg a plan view, .mp4 and .gif a film of all of it, .html the map page; all other endings
    and `kind` as `geoloc.io.tracks.export` has them, which `options` and `landmarks` are for. `tracks` are a table, or
    the path of a CSV of tracks, which data and the page read piece by piece.
    """
    drawn = KINDS.get(Path(path).suffix.lower(), "") if not kind else ""
    if not drawn:
        return data.export(path, site, tracks, kind, options, landmarks)
    if not isinstance(tracks, Tracks) and not str(tracks):
        tracks = Tracks()
    table = tracks if isinstance(tracks, Tracks) else read_tracks(tracks) if drawn != "page" else Tracks()
    writers: dict[str, Callable[[], Path]] = {
        "plan": lambda: _plan(site, table, Path(path)),
        "clip": lambda: _clip(site, table, Path(path)),
        "page": lambda: _page(site, tracks, Path(path)),
    }
    written = writers[drawn]()
    return Exported(written, drawn, LOST[drawn], len(np.unique(table.track)), len(table))


def _plan(site: Site, tracks: Tracks, path: Path) -> Path:
    from geoloc.draw.plan import PlanOptions, draw_plan

    return draw_plan(site, tracks, path, options=PlanOptions(dpi=300.0))


def _clip(site: Site, tracks: Tracks, path: Path) -> Path:
    from geoloc.draw.clip import draw_clip

    return draw_clip(site, tracks, path)


def _page(site: Site, tracks: Tracks | Path | str, path: Path) -> Path:
    from geoloc.draw.page import write_map_page

    return write_map_page(site, tracks, path)
