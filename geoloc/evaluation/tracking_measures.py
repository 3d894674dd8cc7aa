"""Every figure of tracks against a truth, with the protocol of each, on the ground or in the image."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.evaluation.levels import says_levels
from geoloc.evaluation.measures import Blocks, Measure, of_counts, of_quantile
from geoloc.evaluation.recording import GROUND, Recording
from geoloc.evaluation.report import Absent
from geoloc.metrics.detection import DETECTION_FIGURES, DetectionScores, score_pairs, score_positions
from geoloc.metrics.gospa import GOSPA_FIGURES, score_gospa
from geoloc.metrics.hota import ALPHAS, HOTA_FIGURES, HotaScores, score_hota
from geoloc.metrics.jitter import JITTER_FIGURES, score_jitter
from geoloc.metrics.matching import Pairs
from geoloc.metrics.numbering import numbered
from geoloc.metrics.ospa2 import OSPA2_FIGURES, score_ospa2
from geoloc.metrics.reidentification import GAPS_S, REIDENTIFICATION_FIGURES, score_returns
from geoloc.metrics.tracking import (
    CLEAR_FIGURES,
    IDENTITY_FIGURES,
    ClearScores,
    IdentityScores,
    score_clear,
    score_identity,
)
from geoloc.metrics.trajectory_gospa import score_trajectories, trajectory_figures
from geoloc.options import check_range

NO_IDENTITIES = "the truth or the result has no identities"
EACH_FRAME = "each frame by itself, most matches, then nearest (Kasturi et al. 2009)"
CONVENTIONS = {"trackeval": "TrackEval", "motmetrics": "py-motmetrics"}


@dataclass(frozen=True)
class TrackingOptions:
    """How tracks are scored."""

    zero_distance: float = 2.0  # m on the ground at which similarity is 0: 1 - distance / zero_distance
    threshold: float = 0.5  # similarity from which a pair is a match; in the image this is IoU
    clear: str = "trackeval"  # convention of CLEAR: trackeval or motmetrics
    switch_m: float = 1.0  # m; what T-GOSPA charges for a switch (gamma)
    window_s: float = 5.0  # s; window of OSPA(2)
    block_s: float = 0.0  # s; blocks of time that intervals are drawn over; 0: a tenth of the recording, 1 to 10 s
    t_gospa_most: int = 200_000  # pairs nearer than the cutoff above which T-GOSPA is not solved

    def __post_init__(self) -> None:
        check_range(
            self,
            zero_distance=(1e-6, 1e6),
            threshold=(0.0, 0.999),  # at 1 nothing but the truth itself would be a match
            switch_m=(1e-6, 1e6),
            window_s=(1e-6, 1e6),
            block_s=(0.0, 1e9),
            t_gospa_most=(0, 1e9),
        )
        if self.clear not in CONVENTIONS:
            raise unknown_name("CLEAR convention", self.clear, CONVENTIONS)

    @property
    def reach(self) -> float:
        """Distance (m) up to which a pair on the ground is a match."""
        return self.zero_distance * (1.0 - self.threshold)


class TrackingScores:
    """All scores of a recording, each computed when it is first asked for."""

    def __init__(self, recording: Recording, options: TrackingOptions) -> None:
        self.recording, self.options = recording, options
        self.pairs: Pairs = recording.pairs(options.zero_distance)
        self.frame_blocks: Blocks = recording.blocks(options.block_s)
        self.blocks: Blocks = self.frame_blocks.take(self.pairs.frames)
        self.time: np.ndarray = recording.time[self.pairs.frames]

    @cached_property
    def detection(self) -> DetectionScores:
        """One-to-one matches of each frame by themselves."""
        if self.recording.plane == GROUND:
            return score_positions(self.recording.truth, self.recording.result, self.options.reach)
        return score_pairs(self.pairs, self.options.threshold)

    @cached_property
    def clear(self) -> ClearScores:
        """CLEAR MOT; cameras are sequences of their own, whose counts add up."""
        pairs = self.pairs
        if self.several_cameras:
            camera = np.unique(self.recording.camera, return_inverse=True)[1][pairs.frames][pairs.truth_frame]
            apart = numbered(camera * (int(pairs.truth_id.max()) + 1) + pairs.truth_id)[1]
            pairs = replace(pairs, truth_id=apart)
        return score_clear(pairs, self.options.threshold, self.options.clear)

    @cached_property
    def several_cameras(self) -> bool:
        """Whether identities are those of more than one camera."""
        return len(np.unique(self.recording.camera[self.pairs.frames])) > 1

    @cached_property
    def plane(self) -> str:
        """Where it is measured, for a protocol."""
        recording = self.recording
        return recording.plane + (says_levels(recording.truth, recording.result) if recording.plane == GROUND else "")

    @cached_property
    def identity(self) -> IdentityScores:
        """IDF1 and its parts."""
        return score_identity(self.pairs, self.options.threshold)

    @cached_property
    def hota(self) -> HotaScores:
        """HOTA over its thresholds."""
        return score_hota(self.pairs)

    @property
    def errors(self) -> np.ndarray:
        """Result less truth of the matches, east and north: (T, 2) m. On the ground only."""
        recording, detection = self.recording, self.detection
        return (recording.result.where[detection.result] - recording.truth.where[detection.truth])[:, :2]

    @property
    def match_blocks(self) -> Blocks:
        """The block of each match (T,)."""
        return self.frame_blocks.take(self.recording.truth.frame[self.detection.truth])


def tracking_measures(scores: TrackingScores, part: str) -> tuple[list[Measure], list[Absent]]:
    """All figures that the recording supports, and those that it does not, with the reason."""
    found: list[Measure] = []
    absent: list[Absent] = []
    for names, make in _GROUPS:
        try:
            found += make(scores)
        except InputError as error:
            absent += [Absent(part, name, str(error)) for name in names]
    return found, absent


def _protocol(scores: TrackingScores, says: str, matched: bool = True) -> str:
    recording, options = scores.recording, scores.options
    if recording.plane == GROUND:
        match = f", match within {options.reach:g} m"
    else:
        match = f", match from IoU {options.threshold:g}"
    return f"{scores.plane}{match if matched else ''}, {recording.rate}; {says}"


def _across(scores: TrackingScores) -> str:
    """What a protocol of identities says where they are those of several cameras."""
    return ", ids compared across cameras" if scores.several_cameras else ""


def _apart(scores: TrackingScores) -> str:
    """What a protocol says where each camera is a sequence."""
    return ", cameras are sequences whose counts add up" if scores.several_cameras else ""


def _require_identities(scores: TrackingScores) -> None:
    if not scores.recording.named:
        raise InputError(NO_IDENTITIES)


def _require_ground(scores: TrackingScores) -> None:
    if scores.recording.plane != GROUND:
        raise InputError("a distance in metres needs positions on the ground")


def _detection(scores: TrackingScores) -> list[Measure]:
    says = _protocol(scores, EACH_FRAME)
    counts, blocks = scores.detection.counts, scores.frame_blocks.take(scores.detection.frames)
    return [of_counts(name, "%", says, counts, blocks, DETECTION_FIGURES[name], 100) for name in DETECTION_FIGURES]


def _position(scores: TrackingScores) -> list[Measure]:
    _require_ground(scores)
    distance, says = np.linalg.norm(scores.errors, axis=1), _protocol(scores, "matched positions")
    return [
        of_quantile("position_error_median_m", "m", says, distance, scores.match_blocks),
        of_quantile("position_error_p95_m", "m", says, distance, scores.match_blocks, 0.95),
    ]


def _hota(scores: TrackingScores) -> list[Measure]:
    _require_identities(scores)
    zero = f"1 - distance / {scores.options.zero_distance:g} m" if scores.recording.plane == GROUND else "IoU"
    how = f"similarity {zero}, mean of alpha {ALPHAS[0]:g} to {ALPHAS[-1]:.2f}; as TrackEval{_across(scores)}"
    says = _protocol(scores, f"{how}; in intervals identities agree as in the whole", matched=False)
    counts = scores.hota.counts
    return [of_counts(name, "%", says, counts, scores.blocks, HOTA_FIGURES[name], 100) for name in HOTA_FIGURES]


def _clear(scores: TrackingScores) -> list[Measure]:
    _require_identities(scores)
    says, counts = _clear_protocol(scores), scores.clear.counts
    return [of_counts(name, "%", says, counts, scores.blocks, CLEAR_FIGURES[name], 100) for name in ("mota", "motp")]


def _wrong(scores: TrackingScores) -> list[Measure]:
    """False positives and misses: of CLEAR, or where there are no identities, of each frame by itself."""
    if scores.recording.named:
        says, counts, blocks = _clear_protocol(scores), scores.clear.counts, scores.blocks
    else:
        detection = scores.detection
        says, counts = _protocol(scores, EACH_FRAME), detection.counts
        blocks = scores.frame_blocks.take(detection.frames)
    return _bare_counts({"fp": 1, "fn": 2}, says, counts, blocks)


def _changes(scores: TrackingScores) -> list[Measure]:
    _require_identities(scores)
    return _bare_counts({"id_switches": 3, "fragments": 5}, _clear_protocol(scores), scores.clear.counts, scores.blocks)


def _clear_protocol(scores: TrackingScores) -> str:
    return _protocol(scores, f"CLEAR MOT as {CONVENTIONS[scores.options.clear]}{_apart(scores)}")


def _bare_counts(columns: dict[str, int], says: str, counts: np.ndarray, blocks: Blocks) -> list[Measure]:
    return [
        of_counts(name, "", says, counts[:, [column]], blocks, lambda n: n[..., 0]) for name, column in columns.items()
    ]


def _coverage(scores: TrackingScores) -> list[Measure]:
    _require_identities(scores)
    clear = scores.clear
    most, lost = clear.is_mostly_tracked, clear.is_mostly_lost
    most_tracked = "over 80" if clear.convention == "trackeval" else "80 and more"
    how = f"of {clear.n_truths} truths, followed for {most_tracked}, between, under 20 % of their frames"
    says = _protocol(scores, how + _apart(scores))
    return [
        Measure(name, "", says, which.astype(float)[:, None], lambda n: n[..., 0], "bootstrap over truths")
        for name, which in (("mostly_tracked", most), ("partly_tracked", ~(most | lost)), ("mostly_lost", lost))
    ]


def _identity(scores: TrackingScores) -> list[Measure]:
    _require_identities(scores)
    says = _protocol(scores, "one global pairing (Ristani et al. 2016), as TrackEval" + _across(scores))
    counts = scores.identity.counts
    return [of_counts(name, "%", says, counts, scores.blocks, IDENTITY_FIGURES[name], 100) for name in IDENTITY_FIGURES]


def _gospa(scores: TrackingScores) -> list[Measure]:
    _require_ground(scores)
    recording, cutoff = scores.recording, scores.options.reach
    found = score_gospa(recording.truth, recording.result, cutoff)
    says = _protocol(scores, f"mean over frames, cutoff {cutoff:g} m, p = 1, alpha = 2; as Stone Soup", matched=False)
    blocks = scores.frame_blocks.take(found.frames)
    return [
        of_counts(name, "m", says, found.counts, blocks, GOSPA_FIGURES[key])
        for key, name in (
            ("gospa", "gospa"),
            ("localization", "gospa_localization"),
            ("missed", "gospa_missed"),
            ("false", "gospa_false"),
            ("ospa", "ospa"),
        )
    ]


def _trajectory_gospa(scores: TrackingScores) -> list[Measure]:
    _require_ground(scores)
    _require_identities(scores)
    recording, options = scores.recording, scores.options
    near = int((scores.pairs.similarity >= options.threshold).sum())
    if near > options.t_gospa_most:
        raise InputError(
            f"{near:,} pairs within {options.reach:g} m make too large a linear programme; raise t_gospa_most "
            f"({options.t_gospa_most:,}) or score parts of the recording"
        )
    found = score_trajectories(recording.truth, recording.result, options.reach, options.switch_m)
    how = f"T-GOSPA per frame, exact, cutoff {options.reach:g} m, a switch {options.switch_m:g} m, p = 1"
    says = _protocol(scores, f"{how} (Garcia-Fernandez et al. 2020)", matched=False)
    blocks, formulas = scores.frame_blocks.take(found.frames), trajectory_figures(1.0)
    return [
        of_counts(name, "m", says, found.counts, blocks, formulas[key])
        for key, name in (
            ("t_gospa", "t_gospa"),
            ("localization", "t_gospa_localization"),
            ("missed", "t_gospa_missed"),
            ("false", "t_gospa_false"),
            ("switch", "t_gospa_switch"),
        )
    ]


def _ospa2(scores: TrackingScores) -> list[Measure]:
    _require_ground(scores)
    _require_identities(scores)
    recording, options = scores.recording, scores.options
    frames = max(1.0, round(options.window_s / recording.period)) if np.isfinite(recording.period) else 1.0
    found = score_ospa2(recording.truth, recording.result, options.reach, frames)
    how = f"mean over windows of {options.window_s:g} s, cutoff {options.reach:g} m, p = 1 (Beard, Vo and Vo 2017)"
    blocks = scores.frame_blocks.take(found.frames)
    return [of_counts("ospa2", "m", _protocol(scores, how, False), found.counts, blocks, OSPA2_FIGURES["ospa2"])]


def _jitter(scores: TrackingScores) -> list[Measure]:
    _require_ground(scores)
    _require_identities(scores)
    recording, detection = scores.recording, scores.detection
    if not np.isfinite(recording.period):
        raise InputError("one frame has no step to a next one")
    truth = recording.truth
    time, identity = recording.time[truth.frame[detection.truth]], truth.id[detection.truth]
    speed = recording.truth_speed[detection.truth]
    steps = score_jitter(time, identity, scores.errors, speed, max_step_s=1.5 * recording.period)
    says = _protocol(scores, "RMS change of a match's error to the next frame; still: truth below 0.2 m/s")
    frame = np.searchsorted(recording.time, steps.time)
    blocks, counts = scores.frame_blocks.take(frame), steps.counts
    kinds = (("jitter_m", "rms", [0, 2]), ("jitter_still_m", "rms_still", [0]), ("jitter_moving_m", "rms_moving", [2]))
    return [
        of_counts(name, "m", says, counts, blocks, JITTER_FIGURES[key])
        for name, key, used in kinds
        if counts[:, used].any()
    ]


def _returns(gap_s: float) -> Callable[[TrackingScores], list[Measure]]:
    minutes = f"{gap_s / 60:g}min"

    def make(scores: TrackingScores) -> list[Measure]:
        _require_identities(scores)
        _require_one_camera(scores)
        detection = scores.detection
        events = score_returns(scores.pairs, detection.truth, detection.result, scores.time, gap_s)
        if not len(events):
            raise InputError(f"no object was away for {gap_s / 60:g} min and came back")
        says = _protocol(scores, f"returns after {gap_s / 60:g} min and more, {len(events)} in all")
        blocks = scores.blocks.take(np.searchsorted(scores.time, events.back))
        return [
            of_counts(f"{name}_{minutes}", "%", says, events.counts, blocks, REIDENTIFICATION_FIGURES[key], 100)
            for key, name in (("same", "reidentified"), ("wrong", "wrongly_reidentified"))
        ]

    return make


def _require_one_camera(scores: TrackingScores) -> None:
    if (np.diff(scores.time) <= 0).any():
        raise InputError("frames of several cameras or sequences have no one clock; see each camera's own figure")


_GROUPS: list[tuple[tuple[str, ...], Callable[[TrackingScores], list[Measure]]]] = [
    (("hota", "det_a", "ass_a", "loc_a"), _hota),
    (("mota", "motp"), _clear),
    (("fp", "fn"), _wrong),
    (("id_switches", "fragments"), _changes),
    (("mostly_tracked", "partly_tracked", "mostly_lost"), _coverage),
    (("idf1", "idp", "idr"), _identity),
    (("moda", "modp", "precision", "recall"), _detection),
    (("position_error_median_m", "position_error_p95_m"), _position),
    (("gospa", "ospa"), _gospa),
    (("t_gospa",), _trajectory_gospa),
    (("ospa2",), _ospa2),
    (("jitter_m",), _jitter),
    *(((f"reidentified_{gap / 60:g}min",), _returns(gap)) for gap in GAPS_S),
]
