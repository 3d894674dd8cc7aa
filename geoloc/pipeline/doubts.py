"""Which answers of a state rest on a camera that had moved already: between a move and its discovery.

A site's versions of its calibration say from when on each was true, and since when a camera may have moved before it
was found out; a state says with which cameras it worked when. Where the two differ, what those cameras touched is in
doubt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from geoloc.pipeline.queries import State
from geoloc.pipeline.state_folder import StateFolder
from geoloc.scene.camera import Camera
from geoloc.scene.storage import cameras_text
from geoloc.scene.tables import Tracks
from geoloc.scene.versions import Version


@dataclass(frozen=True)
class Doubt:
    """A stretch, `start` to `end` (UTC s), in which a state took `camera` to be otherwise than it was.

    It certainly was from `since` on (s; NaN: that is not known of any part of it), as calibration version `version`
    says; before that it may have been.
    """

    camera: str
    start: float
    end: float
    since: float
    version: int


@dataclass(frozen=True)
class Touched:
    """An object whose position between two times (s) rests on a camera in doubt."""

    object: int
    camera: str
    start: float
    end: float


def find_doubts(folder: StateFolder, versions: Sequence[Version], start: float, end: float) -> tuple[Doubt, ...]:
    """The doubts about what a state's folder says from `start` to `end` (s), by camera and time."""
    if not versions or not start <= end:
        return ()
    marks = {start, end, *(epoch.after for epoch in folder.epochs)}
    marks |= {time for version in versions for time in (version.valid_from, version.doubted_from)}
    times = sorted(time for time in marks if start <= time <= end)
    found: list[Doubt] = []
    for first, last in pairwise(times):
        for doubt in _between(folder, versions, first, last):
            before = next((i for i, one in enumerate(found) if _goes_on(one, doubt)), None)
            if before is None:
                found.append(doubt)
            else:
                one = found[before]
                since = doubt.since if np.isnan(one.since) else one.since
                found[before] = replace(one, end=doubt.end, since=since)
    return tuple(sorted(found, key=lambda one: (one.start, one.camera)))


def _goes_on(one: Doubt, other: Doubt) -> bool:
    return (one.camera, one.version, one.end) == (other.camera, other.version, other.start)


def _between(folder: StateFolder, versions: Sequence[Version], first: float, last: float) -> Iterator[Doubt]:
    """The doubts about a stretch in which neither the state nor the versions change."""
    middle = (first + last) / 2
    taken = {camera.name: camera for camera in folder.site_of(folder.epoch_at(middle)).cameras}
    true = true_version(versions, middle)
    later = [version for version in versions if version.doubted_from <= middle < version.valid_from]
    for name, camera in taken.items():
        if true is not None and _differs(camera, true):
            yield Doubt(name, first, last, first, true.number)
            continue
        for version in later:
            if _differs(camera, version):
                yield Doubt(name, first, last, np.nan, version.number)
                break


def true_version(versions: Sequence[Version], time: float) -> Version | None:
    """The version that was true at a time (s), as `scene.versions.version_at` has it; None: none was yet."""
    before = [version for version in versions if version.valid_from <= time]
    return max(before, key=lambda version: (version.valid_from, version.number)) if before else None


def camera_in(version: Version, name: str) -> Camera | None:
    """The camera of a name in a version."""
    return next((camera for camera in version.cameras if camera.name == name), None)


def _differs(camera: Camera, version: Version) -> bool:
    own = camera_in(version, camera.name)
    return own is not None and cameras_text((own,)) != cameras_text((camera,))


def touched_by(state: State, doubts: Sequence[Doubt]) -> tuple[Touched, ...]:
    """The objects, and when, whose positions rest on cameras in doubt, by object and time.

    From a point of such a camera on, until another camera has seen the object again.
    """
    found = []
    for doubt in doubts:
        for number, start, end in state.rests_on(doubt.camera, doubt.start, doubt.end):
            found.append(Touched(number, doubt.camera, start, end))
    return tuple(sorted(found, key=lambda one: (one.object, one.start, one.camera)))


def flag_rows(tracks: Tracks, touched: Sequence[Touched]) -> np.ndarray:
    """Which rows (N,) bool of tracks, by their numbers and times, rest on cameras in doubt."""
    flags = np.zeros(len(tracks), bool)
    for one in touched:
        flags |= (tracks.track == one.object) & (tracks.time >= one.start) & (tracks.time <= one.end)
    return flags
