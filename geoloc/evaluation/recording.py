"""Truth and result of one or several recordings on common frames: what every tracking metric takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely

from geoloc.errors import InputError, unknown_name
from geoloc.evaluation.frames import Frames, common_frames, frames_of, place_on_frames
from geoloc.evaluation.levels import heights_of, on_one_datum
from geoloc.evaluation.measures import Blocks
from geoloc.io.track_geojson import heights
from geoloc.io.track_tables import IGNORED
from geoloc.io.truth import BoxTracks
from geoloc.metrics.assignment import assign
from geoloc.metrics.bootstrap import block_length, sequence_blocks
from geoloc.metrics.matching import Pairs, Sightings, pair_boxes, pair_positions
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks
from geoloc.scene.view_grid import WATCHED

ENOUGH_SEQUENCES = 5  # recordings from which intervals are drawn over them, not over blocks of time
GROUND, IMAGE = "ground plane", "image"
STANDING = ("parked", "hidden")  # lives of objects that are where they were seen last


@dataclass(frozen=True, eq=False)
class Recording:
    """Truth and result as sightings on F frames; frames of several cameras or sequences follow one another.

    On the ground `where` is x, y, z (m); z only tells levels apart, 0 where heights are not known. In the image it is
    a box. `result_cov`
    (M, 2, 2) m² and `truth_speed` (N,) m/s are NaN where they are not known; `result_score` (M,) is the probability
    that there is something. `named`: whether truth and result have identities. `time` (F,) s, `camera` (F,) and
    `sequence` (F,), an index into `sequences`, are each frame's. `notes` say what was left out.
    """

    name: str
    plane: str
    rate: str
    period: float
    named: bool
    truth: Sightings
    result: Sightings
    truth_speed: np.ndarray
    result_cov: np.ndarray
    result_score: np.ndarray
    level: np.ndarray
    result_level: np.ndarray
    time: np.ndarray
    camera: np.ndarray
    sequence: np.ndarray
    sequences: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def n_sequences(self) -> int:
        """How many recordings are joined."""
        return len(np.unique(self.sequence))

    def blocks(self, length_s: float) -> Blocks:
        """The block of each frame (F,): a sequence each where there are enough of them, else stretches of time."""
        if self.n_sequences >= ENOUGH_SEQUENCES:
            return Blocks(self.sequence, self.n_sequences)
        block = sequence_blocks(self.sequence, self.time, self._block_length(length_s))
        return Blocks(block, int(block.max()) + 1)

    def how_sure(self, length_s: float) -> str:
        """What a protocol says of the intervals over those blocks."""
        if self.n_sequences >= ENOUGH_SEQUENCES:
            return f"bootstrap over {self.n_sequences} sequences"
        return f"bootstrap over blocks of {self._block_length(length_s):g} s"

    def _block_length(self, asked_s: float) -> float:
        longest = max((self.time[self.sequence == k] for k in np.unique(self.sequence)), key=np.ptp)
        return block_length(longest, asked_s)

    def pairs(self, zero_distance: float) -> Pairs:
        """All pairs of a frame that are similar at all: nearer than `zero_distance` (m), or overlapping boxes."""
        if self.plane == GROUND:
            return pair_positions(self.truth, self.result, zero_distance)
        return pair_boxes(self.truth, self.result)

    def of_camera(self, name: str) -> "Recording":
        """What one camera sees."""
        cameras = np.unique(self.camera).tolist()
        if name not in cameras:
            raise unknown_name("camera", name, cameras, self.name)
        inside = self.camera == name
        truth, result = inside[self.truth.frame], inside[self.result.frame]
        return replace(
            self,
            truth=_rows(self.truth, truth),
            result=_rows(self.result, result),
            truth_speed=self.truth_speed[truth],
            result_cov=self.result_cov[result],
            result_score=self.result_score[result],
            level=self.level[truth],
            result_level=self.result_level[result],
        )


def reported(tracks: Tracks) -> Tracks:
    """The rows that a system stands by: not tentative ones, nor coasting ones, which are a guess.

    An object that is parked or hidden stands where it was seen last, whether a box of it came in this window or not.
    """
    guess = (tracks.state == "coasting") & ~np.isin(tracks.life, STANDING)
    return tracks.take((tracks.state != "tentative") & ~guess)


def inside(tracks: Tracks, site_map: SiteMap) -> Tracks:
    """The rows in the site's areas of interest; all, where it has none."""
    areas = [zone.polygon for zone in site_map.zones if zone.kind == WATCHED]
    if not areas:
        return tracks
    return tracks.take(shapely.intersects_xy(shapely.union_all(areas), tracks.xy[:, 0], tracks.xy[:, 1]))


def site_recording(site: Site, truth: Tracks, tracks: Tracks, resample: bool, ignored_m: float) -> Recording:
    """What an engine stands by on a site beside its truth: in the areas of interest, on the surfaces of its levels."""
    found = inside(reported(tracks), site.site_map)
    found = found.replace(z=heights(found, site.site_map))
    return ground_recording(site.name, inside(truth, site.site_map), found, resample, ignored_m)


def ground_recording(name: str, truth: Tracks, result: Tracks, resample: bool, ignored_m: float) -> Recording:
    """Tracks on a map against the truth. Positions are carried to the truth's frames by their own velocity.

    A truth in state "ignored" is neither to be found nor wrong when found, by results up to `ignored_m` (m)
    away. Distances are those over the ground. Where both tables state heights (`z`) they tell levels apart, on one
    datum; otherwise the names of levels do. A truth whose rows all have id -1 has no identities: only what needs
    none can be scored. With `resample` both are scored on the frames of the slower one.
    """
    _refuse_empty(name, len(truth))
    _refuse_repeats(f"{name}: truth", truth.time, truth.track)
    _refuse_repeats(f"{name}: result", result.time, result.track)
    frames, scored = _scored_frames(truth.time, result.time, resample)
    truth = truth.take(scored)
    rows, frame = place_on_frames(frames, result.time, result.track, resample)
    notes = _outside(frames, result.time, len(rows))
    result = result.take(rows)
    late = frames.time[frame] - result.time
    xy = result.xy + late[:, None] * np.nan_to_num(result.velocity)
    truth_z, result_z = heights_of(truth, result)
    seen = _sightings(frames.nearest(truth.time)[0], truth.track, np.column_stack([truth.xy, truth_z]))
    found = _sightings(frame, result.track, np.column_stack([xy, result_z]))
    above, said = on_one_datum(truth, result, seen, found, ignored_m)
    if said:
        found = _sightings(frame, result.track, np.column_stack([xy, result_z - above]))
        notes += (said,)
    seen_rows, found_rows = _counted(seen, found, truth.state == IGNORED, pair_positions(seen, found, ignored_m))
    return Recording(
        name=name,
        plane=GROUND,
        rate=frames.rate,
        period=frames.period,
        named=_named(truth.track) and _named(result.track),
        truth=_rows(seen, seen_rows),
        result=_rows(found, found_rows),
        truth_speed=_speeds(truth)[seen_rows],
        result_cov=result.position_cov[found_rows],
        result_score=result.score[found_rows],
        level=truth.level[seen_rows],
        result_level=result.level[found_rows],
        time=frames.time,
        camera=np.full(len(frames.time), ""),
        sequence=np.zeros(len(frames.time), dtype=int),
        sequences=(name,),
        notes=notes,
    )


def image_recording(name: str, truth: BoxTracks, result: BoxTracks, resample: bool, ignored_iou: float) -> Recording:
    """Boxes against true ones, each camera on frames of its own; identities are those of all cameras.

    A truth in state "ignored" takes results that overlap it by `ignored_iou` out of the count. Where truth and
    result are of one camera each, they are taken for the same whatever their names.
    """
    _refuse_empty(name, len(truth))
    result = _same_cameras(name, truth, result)
    parts = [
        _camera_part(camera, truth.take(truth.camera == camera), result.take(result.camera == camera), resample)
        for camera in np.unique(truth.camera).tolist()
    ]
    offsets = np.cumsum([0, *(len(frames.time) for frames, *_ in parts)])
    seen = _joined([_shifted(part[1], at, 0) for part, at in zip(parts, offsets, strict=False)])
    found = _joined([_shifted(part[2], at, 0) for part, at in zip(parts, offsets, strict=False)])
    ignored = np.concatenate([part[3] for part in parts])
    pairs = pair_boxes(seen, found)
    near = replace(pairs, similarity=np.where(pairs.similarity >= ignored_iou, pairs.similarity, 0.0))
    seen_rows, found_rows = _counted(seen, found, ignored, near)
    time = np.concatenate([part[0].time for part in parts])
    return Recording(
        name=name,
        plane=IMAGE,
        rate=parts[0][0].rate,
        period=parts[0][0].period,
        named=_named(truth.id) and _named(result.id),
        truth=_rows(seen, seen_rows),
        result=_rows(found, found_rows),
        truth_speed=np.full(int(seen_rows.sum()), np.nan),
        result_cov=np.full((int(found_rows.sum()), 2, 2), np.nan),
        result_score=np.ones(int(found_rows.sum())),
        level=np.full(int(seen_rows.sum()), ""),
        result_level=np.full(int(found_rows.sum()), ""),
        time=time,
        camera=np.repeat(np.unique(truth.camera), np.diff(offsets)),
        sequence=np.zeros(len(time), dtype=int),
        sequences=(name,),
        notes=tuple(dict.fromkeys(note for part in parts for note in part[4])),
    )


def join(recordings: Sequence[Recording]) -> Recording:
    """Several recordings as one: frames follow one another, no identity of one is that of another."""
    if not recordings:
        raise InputError("no recording to evaluate; give at least one pair of truth and result")
    first = recordings[0]
    rates = sorted({recording.rate for recording in recordings})
    if len(rates) > 1 or len({recording.plane for recording in recordings}) > 1:
        raise InputError(f"recordings of different frame rates or planes do not pool: {', '.join(rates)}")
    offsets = np.cumsum([0, *(len(recording.time) for recording in recordings)])
    truths = _apart([r.truth for r in recordings], offsets)
    results = _apart([r.result for r in recordings], offsets)
    return replace(
        first,
        name=first.name if len(recordings) == 1 else f"{len(recordings)} sequences",
        named=all(recording.named for recording in recordings),
        truth=truths,
        result=results,
        truth_speed=np.concatenate([r.truth_speed for r in recordings]),
        result_cov=np.concatenate([r.result_cov for r in recordings]),
        result_score=np.concatenate([r.result_score for r in recordings]),
        level=np.concatenate([r.level for r in recordings]),
        result_level=np.concatenate([r.result_level for r in recordings]),
        time=np.concatenate([r.time for r in recordings]),
        camera=np.concatenate([r.camera for r in recordings]),
        sequence=np.repeat(np.arange(len(recordings)), np.diff(offsets)),
        sequences=tuple(r.name for r in recordings),
        notes=tuple(f"{r.name}: {note}" for r in recordings for note in r.notes),
    )


def _camera_part(
    camera: str, truth: BoxTracks, result: BoxTracks, resample: bool
) -> tuple[Frames, Sightings, Sightings, np.ndarray, tuple[str, ...]]:
    """One camera's frames, truth, result, which truths are ignored, and notes."""
    _refuse_repeats(f"camera {camera}: truth", truth.time, truth.id)
    _refuse_repeats(f"camera {camera}: result", result.time, result.id)
    frames, scored = _scored_frames(truth.time, result.time, resample)
    truth = truth.take(scored)
    rows, frame = place_on_frames(frames, result.time, result.id, resample)
    seen = _sightings(frames.nearest(truth.time)[0], truth.id, truth.box)
    found = _sightings(frame, result.id[rows], result.box[rows])
    return frames, seen, found, truth.state == IGNORED, _outside(frames, result.time, len(rows))


def _scored_frames(truth: np.ndarray, result: np.ndarray, resample: bool) -> tuple[Frames, np.ndarray]:
    """The frames of truth and result with times (N,) and (M,) s, and the rows of the truth that stand on them."""
    own = frames_of(truth)
    frames = common_frames(own, result, resample)
    if len(frames.time) == len(own.time):
        return frames, np.arange(len(truth))
    return frames, np.flatnonzero(np.abs(frames.nearest(truth)[1]) < 0.5 * own.period)


def _same_cameras(name: str, truth: BoxTracks, result: BoxTracks) -> BoxTracks:
    known, given = np.unique(truth.camera), np.unique(result.camera)
    if len(known) == 1 and len(given) == 1:
        return result.replace(camera=np.full(len(result), known[0]))
    for camera in given.tolist():
        if camera not in known:
            raise unknown_name("camera", camera, known.tolist(), f"the truth of {name}")
    return result


def _speeds(truth: Tracks) -> np.ndarray:
    """Speed (N,) m/s of each truth: as stated, else from its positions before and after."""
    stated = np.linalg.norm(truth.velocity, axis=1)
    if np.isfinite(stated).all():
        return stated
    order = np.lexsort((truth.time, truth.track))
    step, gap = np.diff(truth.xy[order], axis=0), np.diff(truth.time[order])
    same = np.diff(truth.track[order]) == 0
    speed = np.where(same, np.linalg.norm(step, axis=1) / np.where(gap > 0, gap, np.inf), np.nan)
    beside = np.stack([np.append(speed, np.nan), np.append(np.nan, speed)])
    known = np.isfinite(beside)
    out = np.zeros(len(truth))
    out[order] = np.where(known, beside, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return out


def _counted(truth: Sightings, result: Sightings, ignored: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Which truths (N,) and results (M,) count: not ignored ones, and not results that follow those."""
    counted = np.ones(len(result), dtype=bool)
    chosen = assign(pairs.truth, pairs.result, pairs.similarity)
    counted[pairs.result[chosen & ignored[pairs.truth]]] = False
    return ~ignored, counted


def _outside(frames: Frames, time: np.ndarray, n_kept: int) -> tuple[str, ...]:
    """What is said of rows at times without truth, and of truth beyond the result's end."""
    notes = []
    if n_kept < len(time):
        lost = len(time) - n_kept
        notes.append(f"{lost} of the result's {len(time)} rows stand at no frame of the truth: not scored")
    slack = 2.0 * np.nan_to_num(frames.period)
    start, length = frames.time[0], frames.time[-1] - frames.time[0]
    if len(time) and (time.min() > start + slack or time.max() < start + length - slack):
        notes.append(
            f"the result covers {time.min() - start:.1f} to {time.max() - start:.1f} s of the truth's {length:.1f} s: "
            "the rest counts as missed"
        )
    if not len(time):
        notes.append("the result has no rows: everything counts as missed")
    return tuple(notes)


def _refuse_empty(name: str, n: int) -> None:
    if not n:
        raise InputError(f"{name}: the truth is empty: nothing can be scored; check the file, the part and its times")


def _named(ids: np.ndarray) -> bool:
    return not len(ids) or not (ids < 0).all()


def _refuse_repeats(what: str, time: np.ndarray, ids: np.ndarray) -> None:
    rows = np.flatnonzero(ids >= 0)
    if 0 < len(rows) < len(ids):
        raise InputError(
            f"{what}: {len(ids) - len(rows)} of {len(ids)} rows have no identity (-1); leave them out, give each an id "
            "of its own, or take all identities away"
        )
    order = rows[np.lexsort((time[rows], ids[rows]))]
    again = (np.diff(ids[order]) == 0) & (np.diff(time[order]) == 0)
    if again.any():
        row = order[1:][again][0]
        raise InputError(
            f"{what}: id {ids[row]} comes twice at {time[row]:.3f} s ({int(again.sum())} such rows); one object has "
            "one place at a time: are rows of several cameras mixed, or is an id used for two objects?"
        )


def _sightings(frame: np.ndarray, ids: np.ndarray, where: np.ndarray) -> Sightings:
    """Sightings; rows without identity (all -1) are each their own."""
    return Sightings.unnamed(frame, where) if len(ids) and (ids < 0).all() else Sightings(frame, ids, where)


def _apart(parts: list[Sightings], offsets: np.ndarray) -> Sightings:
    """Sightings one after another in frames, with identities that no two of them share."""
    highest = 0
    moved = []
    for part, at in zip(parts, offsets, strict=False):
        moved.append(_shifted(part, int(at), highest))
        highest = int(moved[-1].id.max(initial=highest - 1)) + 1
    return _joined(moved)


def _shifted(sightings: Sightings, frame: int, identity: int) -> Sightings:
    return Sightings(sightings.frame + frame, sightings.id + identity, sightings.where)


def _joined(parts: list[Sightings]) -> Sightings:
    # empty parts may not know how many numbers a place has
    where = np.concatenate([part.where for part in parts if len(part)] or [parts[0].where])
    return Sightings(np.concatenate([p.frame for p in parts]), np.concatenate([p.id for p in parts]), where)


def _rows(sightings: Sightings, rows: np.ndarray) -> Sightings:
    return Sightings(sightings.frame[rows], sightings.id[rows], sightings.where[rows])
