"""What numbers of tracks do not show: curves over thresholds and time, where errors lie, when it went wrong."""

import numpy as np

from geoloc.evaluation.recording import GROUND
from geoloc.evaluation.report import Chart, ErrorMap, Line, Moment
from geoloc.evaluation.tracking_measures import TrackingScores

WORST = 5  # moments that are named
POINTS = 400  # of a curve of errors


def charts(scores: TrackingScores) -> tuple[Chart, ...]:
    """HOTA over its thresholds, errors over time, and how errors are spread."""
    found = [_over_time(scores)]
    if scores.recording.named:
        found.insert(0, _alpha_curve(scores))
    if scores.recording.plane == GROUND and len(scores.errors):
        found.append(_spread(scores))
    return tuple(found)


def error_maps(scores: TrackingScores) -> tuple[ErrorMap, ...]:
    """Where on each level matches were how far off, truths were missed and results false."""
    recording, detection = scores.recording, scores.detection
    if recording.plane != GROUND:
        return ()
    distance = np.linalg.norm(scores.errors, axis=1)
    missed = np.ones(len(recording.truth), dtype=bool)
    missed[detection.truth] = False
    false = np.ones(len(recording.result), dtype=bool)
    false[detection.result] = False
    maps = []
    for level in np.unique(recording.level).tolist():
        matched = recording.level[detection.truth] == level
        here = recording.level == level
        maps.append(
            ErrorMap(
                level=level,
                xy=recording.truth.where[detection.truth[matched], :2],
                error=distance[matched],
                missed=recording.truth.where[missed & here, :2],
                false=recording.result.where[false & (recording.result_level == level), :2],
            )
        )
    return tuple(maps)


def worst_moments(scores: TrackingScores) -> tuple[Moment, ...]:
    """The blocks of time with the most misses, false positives and switches for their truths."""
    names = ("false", "missed", "switched")
    counts = scores.clear.counts[:, 1:4] if scores.recording.named else scores.detection.counts[:, 1:3]
    frames = scores.pairs.frames if scores.recording.named else scores.detection.frames
    blocks = scores.frame_blocks.take(frames)
    pooled = blocks.pool(counts)
    cost = pooled.sum(axis=1)
    moments = []
    for block in np.argsort(-cost, kind="stable")[:WORST]:
        if cost[block] == 0:
            break
        inside = scores.frame_blocks.block == block
        time = scores.recording.time[inside]
        said = ", ".join(f"{n:.0f} {name}" for n, name in zip(pooled[block], names, strict=False) if n)
        start = float(scores.recording.time.min())
        part = scores.recording.sequences[int(scores.recording.sequence[inside][0])]
        cameras = np.unique(scores.recording.camera[inside])
        part = ", ".join([part, *cameras[cameras != ""].tolist()])
        moments.append(Moment(part, float(time.min()) - start, float(time.max()) - start, float(cost[block]), said))
    return tuple(moments)


def _alpha_curve(scores: TrackingScores) -> Chart:
    hota = scores.hota
    lines = tuple(
        Line(label, hota.alphas, 100 * hota.curve(name))
        for name, label in (("hota", "HOTA"), ("det_a", "DetA"), ("ass_a", "AssA"), ("loc_a", "LocA"))
    )
    note = "how strictly a match must lie: similarity at least alpha"
    if (hota.curve("det_a") == 0).any():
        note += "; LocA is 100 % where nothing matches, as TrackEval has it"
    return Chart("HOTA over localization thresholds", "alpha", "%", lines, note)


def _over_time(scores: TrackingScores) -> Chart:
    """Misses and false positives in each block of time."""
    detection = scores.detection
    blocks = scores.frame_blocks.take(detection.frames)
    pooled = blocks.pool(detection.counts)
    time = np.array([scores.recording.time[scores.frame_blocks.block == b].min() for b in range(blocks.n)])
    time -= time.min() if len(time) else 0.0
    truths = np.maximum(pooled[:, 0] + pooled[:, 2], 1.0)
    order = np.argsort(time, kind="stable")
    lines = (
        Line("missed", time[order], (100 * pooled[:, 2] / truths)[order]),
        Line("false", time[order], (100 * pooled[:, 1] / truths)[order]),
    )
    return Chart("Errors over time", "s from the start", "% of the truths", lines, "each block of time by itself")


def _spread(scores: TrackingScores) -> Chart:
    distance = np.sort(np.linalg.norm(scores.errors, axis=1))
    share = 100.0 * np.arange(1, len(distance) + 1) / len(distance)
    rows = np.unique(np.linspace(0, len(distance) - 1, POINTS).astype(int))
    line = Line("matched positions", distance[rows], share[rows])
    note = f"matches lie within {scores.options.reach:g} m; what is farther counts as missed and false"
    return Chart("Position error", "m", "% within", (line,), note)
