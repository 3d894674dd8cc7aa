"""What happened, as a map page lists and finds it: comings, stays in stalls, changes of level, identities, alarms."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from geoloc.draw.page_cameras import CameraAlarm
from geoloc.draw.page_keys import Keys
from geoloc.draw.page_places import Stay
from geoloc.draw.words import one_line
from geoloc.errors import InputError
from geoloc.pipeline.answers import Phase
from geoloc.pipeline.lineage import Event
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap

if TYPE_CHECKING:
    from geoloc.pipeline.queries import State

MOST_SIGHTINGS = 60  # times at which is asked which cameras saw what
MOST_BIRTHS = 2000  # of more, births are not listed

Row = list[Any]  # time (s from the start), kind, track (-1: none), words


def event_data(
    tracks: Sequence[Keys],
    stays: Sequence[Stay],
    events: Sequence[Event],
    alarms: Sequence[CameraAlarm],
    site_map: SiteMap,
    start: float,
) -> list[Row]:
    """Rows by time. Where no lineage is known, that a track begins is told instead."""
    rows: list[Row] = [[event.time, event.kind, event.number, one_line(str(event), 300)] for event in events]
    if not events and len(tracks) <= MOST_BIRTHS:
        rows += [[keys.time[0], "born", keys.track, f"{keys.track} is seen first"] for keys in tracks]
    for stay in stays:
        name = site_map.stalls[stay.stall].name
        rows.append([stay.start, "parks", stay.track, f"{stay.track} is in stall {name}"])
        rows.append([stay.end, "leaves", stay.track, f"{stay.track} is seen in stall {name} for the last time"])
    for keys in tracks:
        for row in (np.flatnonzero(np.diff(keys.level)) + 1).tolist():
            name = site_map.levels[keys.level[row]].name
            rows.append([keys.time[row], "level", keys.track, f"{keys.track} comes to {name}"])
    rows += [[a.start, "alarm", -1, one_line(f"{a.camera}: {a.kind}{': ' * bool(a.why)}{a.why}", 300)] for a in alarms]
    told = [[round(float(time) - start, 2), *rest] for time, *rest in rows]
    return sorted(told, key=lambda row: (row[0], row[2]))


def phase_data(phases: Sequence[Phase], start: float) -> list[Row]:
    """Number, from and to (s from the start) and life of each phase."""
    return [[p.object, round(p.start - start, 1), round(p.end - start, 1), p.life] for p in phases]


def sightings(state: "State | None", site: Site, start: float, end: float) -> list[Row]:
    """Which cameras saw what, at times evenly apart: time (s from the start), number, cameras' indices."""
    if state is None:
        return []
    rows: list[Row] = []
    for time in np.linspace(start, end, MOST_SIGHTINGS).tolist():
        try:
            there = state.at(time)
        except InputError:  # ways are kept from some time on
            continue
        for place in there:
            cameras = [site.camera_index[name] for name in place.provenance.cameras if name in site.camera_index]
            rows.append([round(time - start, 1), place.object, cameras])
    return rows
