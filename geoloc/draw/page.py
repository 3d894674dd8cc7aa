"""The map page: one HTML file with map, cameras and moving tracks, that needs no network."""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.draw.extent import choose_extent
from geoloc.draw.layers import Markers, drawable, drawable_markers, track_paths
from geoloc.draw.lineage import lineage_section
from geoloc.draw.page_data import Json, camera_data, choose_step, map_data, marker_data, track_data
from geoloc.draw.template import asset, fill_page
from geoloc.draw.words import is_unix, one_line
from geoloc.files import write_whole
from geoloc.options import check_range
from geoloc.pipeline.answers import Phase
from geoloc.pipeline.lineage import Event
from geoloc.scene.footprint import footprints
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

SCRIPTS = ("geometry.js", "paint.js", "lineage.js", "page.js", "charts.js")


@dataclass(frozen=True)
class PageOptions:
    """What a map page holds."""

    probability: float = 0.95  # that the error ellipses hold
    range_m: float = 80.0  # footprints end here, m from the camera
    gap_s: float = 2.0  # a track is not shown in gaps that are longer, s
    max_rows: int = 100_000  # rows of all tracks together; more are thinned evenly in time (about 60 bytes each)

    def __post_init__(self) -> None:
        check_range(self, probability=(0.01, 0.9999), range_m=(1, 1e5), gap_s=(0, 1e6), max_rows=(100, 1e7))


def write_map_page(
    site: Site,
    tracks: Tracks,
    path: str | Path,
    *,
    markers: Markers | None = None,
    phases: Sequence[Phase] = (),
    events: Sequence[Event] = (),
    title: str = "",
    options: PageOptions | None = None,
) -> Path:
    """Write a self-contained page of the site's map with a time slider over `tracks`; returns its path.

    Works from a file, offline. `markers` are points of another source such as GPS fixes, shown at their time
    or always where they have none. `phases` and `events`, as a `localizer.state` tells them, are the lineage below
    the map: what each number was from when to when, and what became of it. `title` defaults to the site's name.
    """
    options = options or PageOptions()
    tracks = drawable(tracks, site.site_map)
    markers = drawable_markers(markers if markers is not None else Markers(), site.site_map)
    data = _page_data(site, tracks, markers, options)
    data["title"] = one_line(title or site.name, 120)
    write_whole(path, _fill(data, lineage_section(phases, events)))
    return Path(path)


def _page_data(site: Site, tracks: Tracks, markers: Markers, options: PageOptions) -> Json:
    paths = track_paths(tracks, options.gap_s)
    seen = footprints(site, options.range_m)
    times = tracks.time if len(tracks) else markers.time[np.isfinite(markers.time)]
    start, end = (float(times.min()), float(times.max())) if len(times) else (0.0, 0.0)
    step = choose_step(tracks, paths, options.max_rows)
    box = choose_extent(site, seen, tracks.xy if len(tracks) else markers.xy)
    return {
        **map_data(site.site_map),
        "cameras": camera_data(site, seen),
        "tracks": track_data(tracks, paths, site.site_map, start, step, options.probability),
        "markers": marker_data(markers, site.site_map, start),
        "start": round(start, 3),
        "seconds": round(end - start, 2),
        "utc": is_unix(start),
        "gap": max(options.gap_s, 1.5 * step),
        "step": step,
        "probability": options.probability,
        "box": np.round(box, 2).tolist(),
    }


def _fill(data: Json, lineage: str) -> str:
    """The template with its {{places}} filled in one pass, so that data that looks like one stays data."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # nothing in the data may end its script element or start a comment
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    places = {
        "title": html.escape(data["title"]),
        "style": asset("page.css") + (asset("lineage.css") if lineage else ""),
        "lineage": lineage,
        "script": "\n".join(asset(name) for name in SCRIPTS),
        "data": text,
    }
    return fill_page(asset("page.html"), places)
