"""The map page: one HTML file with map, cameras and moving tracks, that needs no network."""

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.draw.extent import choose_extent
from geoloc.draw.layers import Markers, drawable_markers
from geoloc.draw.lineage import lineage_section
from geoloc.draw.page_cameras import CameraAlarm, camera_cards, check_names
from geoloc.draw.page_columns import chunks, stretch, whole_numbers
from geoloc.draw.page_data import Json, map_data, marker_data, track_table
from geoloc.draw.page_events import event_data, phase_data, sightings
from geoloc.draw.page_keys import Keys, find_keys
from geoloc.draw.page_places import Stay, heat_maps, stall_stays, taken_spans
from geoloc.draw.template import asset, fill_page
from geoloc.draw.words import is_unix, one_line
from geoloc.files import whole_file
from geoloc.io.track_csv import FilePieces
from geoloc.io.track_pieces import Pieces
from geoloc.options import check_range
from geoloc.pipeline.answers import Phase
from geoloc.pipeline.lineage import Event
from geoloc.scene.footprint import footprints
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

if TYPE_CHECKING:
    from geoloc.pipeline.queries import State

SCRIPTS = (
    "geometry.js", "store.js", "paint.js", "paint_moving.js", "scene.js", "paint_layers.js", "cards.js", "lists.js",
    "timeline.js", "input.js", "lineage.js", "page.js", "charts.js",
)  # fmt: skip
STYLES = ("page.css", "page_parts.css")
CHUNKS = "\0chunks\0"  # stands where the chunks go; no data can hold it


@dataclass(frozen=True)
class PageOptions:
    """What a map page holds."""

    probability: float = 0.95  # that the error ellipses hold
    range_m: float = 80.0  # footprints end here, m from the camera
    gap_s: float = 2.0  # a track is not shown in gaps that are longer, s
    max_keys: int = 400_000  # positions of all tracks together, about 10 bytes each; more are thinned, and it is said

    def __post_init__(self) -> None:
        check_range(self, probability=(0.01, 0.9999), range_m=(1, 1e5), gap_s=(0, 1e6), max_keys=(100, 1e8))


@dataclass(frozen=True, eq=False)
class PageExtras:
    """What a page can tell besides map and tracks; all of it may be left out.

    `phases` and `events`, as a `localizer.state` tells them, are the lineage below the map: what each number was from
    when to when, and what became of it. A `state` of the same numbers gives both, and which cameras saw what.
    `markers` are points of another source such as GPS fixes, shown at their time or always where they have none.
    `stills` (H, W, 3) uint8 BGR are what cameras see, by name, `marks` what was marked in them; `crops`, as the stills,
    what objects look like, by their numbers; `alarms` when something was wrong with a camera.
    """

    markers: Markers = field(default_factory=Markers)
    phases: Sequence[Phase] = ()
    events: Sequence[Event] = ()
    state: "State | None" = None
    stills: Mapping[str, np.ndarray] = field(default_factory=dict)
    crops: Mapping[int, np.ndarray] = field(default_factory=dict)
    marks: Marks | None = None
    alarms: Sequence[CameraAlarm] = ()


def write_map_page(
    site: Site,
    tracks: Tracks | Path | str | Pieces,
    path: str | Path,
    *,
    markers: Markers | None = None,
    phases: Sequence[Phase] = (),
    events: Sequence[Event] = (),
    title: str = "",
    options: PageOptions | None = None,
    extras: PageExtras | None = None,
) -> Path:
    """Write a self-contained page of the site's map with a time slider over `tracks`; returns its path.

    Works from a file, offline. `tracks` are a table, or the path of a CSV that `write_tracks` wrote, which is read
    piece by piece and never held whole. `markers`, `phases` and `events` are those of `extras`, for short. `title`
    defaults to the site's name.
    """
    options, extras = options or PageOptions(), extras or PageExtras()
    extras = _with(extras, markers, phases, events)
    pieces: Pieces = [tracks] if isinstance(tracks, Tracks) else FilePieces(Path(tracks)) if isinstance(
        tracks, (str, Path)
    ) else tracks  # fmt: skip
    keys, tolerance = find_keys(pieces, site.site_map, options.gap_s, options.max_keys)
    data, parts = _page_data(site, keys, tolerance, extras, options)
    data["title"] = one_line(title or site.name, 120)
    head, _, foot = _fill(data, lineage_section(extras.phases, extras.events)).partition(CHUNKS)
    with whole_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        file.write(head)
        for name, text in parts:
            file.write(f'<script type="text/plain" id="{name}">{text}</script>\n')
        file.write(foot)
    return Path(path)


def _with(
    extras: PageExtras, markers: Markers | None, phases: Sequence[Phase], events: Sequence[Event]
) -> PageExtras:
    state = extras.state
    return PageExtras(
        markers if markers is not None else extras.markers,
        phases or extras.phases or (state.phases() if state is not None else ()),
        events or extras.events or (state.events() if state is not None else ()),
        state, extras.stills, extras.crops, extras.marks, extras.alarms,
    )  # fmt: skip


def _page_data(
    site: Site, keys: Sequence[Keys], tolerance: float, extras: PageExtras, options: PageOptions
) -> tuple[Json, Iterator[tuple[str, str]]]:
    """What the page's head says, and its other parts by name."""
    check_names(site, extras.stills)
    markers = drawable_markers(extras.markers, site.site_map)
    seen = footprints(site, options.range_m)
    xy = np.concatenate([np.zeros((0, 2)), *(one.xy for one in keys)])
    times = np.concatenate([np.zeros(0), *(one.time[[0, -1]] for one in keys)])
    times = times if len(times) else markers.time[np.isfinite(markers.time)]
    start, end = (float(times.min()), float(times.max())) if len(times) else (0.0, 0.0)
    box = choose_extent(site, seen, xy if len(xy) else markers.xy)
    columns = whole_numbers(keys, start)
    stretch_s = stretch(len(xy), end - start)
    stays = stall_stays(keys, site.site_map)
    data = {
        **map_data(site.site_map),
        "stalls": _stall_rows(site),
        "cameras": camera_cards(site, seen, extras.marks, extras.alarms, start, end),
        "tracks": track_table(keys, start),
        "markers": marker_data(markers, site.site_map, start),
        "stays": [[s.stall, s.track, round(s.start - start, 1), round(s.end - start, 1)] for s in stays],
        "heat": heat_maps(site, keys, box),
        "events": event_data(keys, stays, extras.events, extras.alarms, site.site_map, start),
        "phases": phase_data(extras.phases, start),
        "sightings": sightings(extras.state, site, start, end),
        "stills": [name for name in site.camera_index if name in extras.stills],
        "crops": [int(number) for number in extras.crops],
        "activity": _activity(keys, stays, start, end),
        "states": columns.states,
        "lives": columns.lives,
        "start": round(start, 3),
        "seconds": round(end - start, 2),
        "utc": is_unix(start),
        "stretch": stretch_s,
        "tolerance": tolerance,
        "probability": options.probability,
        "box": np.round(box, 2).tolist(),
    }
    return data, _parts(chunks(columns, stretch_s, end - start), extras)


def _parts(packed: Iterator[str], extras: PageExtras) -> Iterator[tuple[str, str]]:
    from geoloc.draw.still_svg import jpeg
    from geoloc.perception.rectify import check_still  # these load OpenCV, which `import geoloc` does not

    for k, text in enumerate(packed):
        yield f"chunk-{k}", text
    for k, name in enumerate(sorted(extras.stills)):
        yield f"still-{k}", jpeg(check_still(extras.stills[name], name))
    for number, crop in extras.crops.items():
        yield f"crop-{number}", jpeg(check_still(crop, str(number)))


def _stall_rows(site: Site) -> list[list[int]]:
    """Of each of the map's stalls its level, and its place among the stalls of that."""
    count = [0] * len(site.site_map.levels)
    rows = []
    for stall in site.site_map.stalls:
        level = site.site_map.level_index[stall.level]
        rows.append([level, count[level]])
        count[level] += 1
    return rows


def _activity(keys: Sequence[Keys], stays: Sequence[Stay], start: float, end: float, n: int = 240) -> Json:
    """How many objects were there and how many stalls taken at `n` times from start to end."""
    at = np.linspace(start, end, n)

    def there(spans: list[tuple[float, float]]) -> list[int]:
        first, last = np.array(spans).reshape(-1, 2).T
        return (np.searchsorted(np.sort(first), at, "right") - np.searchsorted(np.sort(last), at, "left")).tolist()

    objects = [(float(one.time[0]), float(one.time[-1])) for one in keys]
    return {"objects": there(objects), "taken": there(taken_spans(stays))}


def _fill(data: Json, lineage: str) -> str:
    """The template with its {{places}} filled in one pass, so that data that looks like one stays data."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # nothing in the data may end its script element or start a comment
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    places = {
        "title": html.escape(data["title"]),
        "style": "".join(asset(name) for name in STYLES) + (asset("lineage.css") if lineage else ""),
        "lineage": lineage,
        "script": "\n".join(asset(name) for name in SCRIPTS),
        "data": text,
        "chunks": CHUNKS,
    }
    return fill_page(asset("page.html"), places)
