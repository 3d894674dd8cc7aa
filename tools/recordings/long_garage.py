"""The drawn garage for a working day: 240 stalls, 60 cameras with blind gaps, 800 cars, and what goes wrong meanwhile.

The engine runs in a process of its own with its state on disk; it is killed and begun again, a camera is lost, and
all clocks are off. Nothing of the truth reaches it.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from geoloc.evaluation.measures import Blocks, of_counts, of_mean
from geoloc.evaluation.recording import Recording, site_recording
from geoloc.evaluation.report import Figure
from geoloc.evaluation.tracking_measures import TrackingOptions, TrackingScores
from geoloc.metrics.hota import HOTA_FIGURES
from geoloc.metrics.matching import Sightings
from geoloc.metrics.tracking import CLEAR_FIGURES, IDENTITY_FIGURES
from geoloc.metrics.trajectory_gospa import trajectory_figures, trajectory_gospa
from geoloc.pipeline.clocks import ClockOptions
from geoloc.pipeline.localizer import LocalizerOptions, window_numbers
from geoloc.scene.tables import Detections, Tracks
from geoloc.synthetic import World, long_garage
from recordings.figures import Part
from recordings.garage_engine import Answered, Engine
from recordings.garage_parts import PART_S, Clocks, draw_parts
from recordings.long_stays import long_stays, numbers_of_truth

RECORDING = "long_garage"
HOUR = 3600.0
WINDOW_S, EVERY = 0.5, 4  # s; one window of so many is scored
OFFSET_S, DRIFT = 0.5, 1e-5  # s and s/s, largest of a clock
CLOCK_SEED = 5
SLACK_S = 2.0  # rows nearer than this to the end of a part wait for the next one: clocks are off
OPTIONS = LocalizerOptions(window_s=WINDOW_S, clocks=ClockOptions(offset_sigma=0.3, drift_sigma=DRIFT))
REACHES = {0.5: "_half_m", 1.0: "_1m", 2.0: "_2m"}  # m, and what figures are called
LOOSE_M = 2.0
CUTOFF_M, SWITCH_M = 2.0, 1.0
BLOCK_S = 600.0


@dataclass(frozen=True)
class Day:
    """What happens in a day: its length, when the engine is killed, and which camera is lost from when to when."""

    hours: float
    kills: tuple[float, ...]  # h
    lost: str
    lost_from: float  # h
    lost_to: float  # h

    @property
    def part(self) -> Part:
        """What its figures are of."""
        return Part(RECORDING, f"{self.hours:g} h", BLOCK_S)

    @property
    def said(self) -> str:
        """What its protocols say."""
        killed = ", ".join(f"{hour:g}" for hour in self.kills)
        return (
            f"240 stalls, 2 levels, 60 cameras with blind gaps, 800 cars in 8 hours, of them the first {self.hours:g}; "
            f"boxes of 50 px height and more at 2 frames/s; engine killed and begun again at {killed} h; camera "
            f"{self.lost} lost from {self.lost_from:g} to {self.lost_to:g} h; clocks off by up to {OFFSET_S:g} s and "
            f"{1e6 * DRIFT:g} ppm, learned online"
        )


WHOLE = Day(8.0, (1.5, 3.5, 6.0), "p1-row-b-4", 3.0, 4.0)
SHORT = Day(1.0, (0.5,), "p1-row-b-4", 0.5, 0.75)


def run_day() -> list[Figure]:
    """All eight hours: half an hour of computing."""
    return run(WHOLE)


def run_hour() -> list[Figure]:
    """The first hour of the same day."""
    return run(SHORT)


@dataclass(frozen=True, eq=False)
class Ran:
    """What came of a day; `truth` and `tracks` in one window of EVERY, `clock_error` (P, C) s at the ends of parts."""

    truth: Tracks
    tracks: Tracks
    answers: list[Answered]
    clock_error: np.ndarray


def run(day: Day) -> list[Figure]:
    """Every figure of a day."""
    world = long_garage()
    return figures_of(world, day, run_engine(world, day))


def figures_of(world: World, day: Day, ran: Ran) -> list[Figure]:
    """The figures of what came of a day."""
    figures = []
    for reach, suffix in REACHES.items():
        everything, in_sight = (_recording(world, ran, reach, in_sight) for in_sight in (False, True))
        figures += _tracking(day, everything, reach, suffix, "all cars, seen or not")
        figures += _tracking(
            day, in_sight, reach, f"{suffix}_in_sight", "without cars that no camera shows at the time"
        )
    figures += _trajectory_gospa(day, everything)
    return [*figures, *_parked(day, everything, ran.truth), *_clocks(day, ran), *_costs(day, ran)]


# ---- the engine's day


def run_engine(world: World, day: Day) -> Ran:
    """Draw the day and let the engine live it; the next part is drawn while the engine is at work."""
    clocks = Clocks.draw(world, OFFSET_S, DRIFT, CLOCK_SEED)
    kills = [round(hour * HOUR / PART_S) for hour in day.kills]
    truths, answers, errors = list[Tracks](), list[Answered](), list[list[float]]()

    def take_answer() -> None:
        answers.append(engine.answer())
        true = clocks.at(world.traffic.start_time + len(answers) * PART_S)
        errors.append([answers[-1].clocks[name] - ahead for name, ahead in true.items()])

    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Path(folder) / "state", OPTIONS, EVERY)
        for number, detections in enumerate(_delivered(world, day, clocks, truths)):
            if number:
                take_answer()
            if number in kills:
                engine.kill()
            engine.feed(detections)
        take_answer()
        engine.close()
    tracks = Tracks.concat([answer.tracks for answer in answers])
    return Ran(Tracks.concat(truths), _last_words(tracks), answers, np.array(errors))


def _delivered(world: World, day: Day, clocks: Clocks, truths: list[Tracks]) -> Iterator[Detections]:
    """What the engine is fed, part by part, whole windows of it; the truth is noted meanwhile."""
    n = round(day.hours * HOUR / PART_S)
    rest = Detections()
    for number, part in enumerate(draw_parts(world, n)):
        truths.append(part.truth.take(window_numbers(part.truth.time, WINDOW_S) % EVERY == 0))
        hour = (part.detections.time - world.traffic.start_time) / HOUR
        gone = (part.detections.camera == day.lost) & (hour >= day.lost_from) & (hour < day.lost_to)
        rest = Detections.concat([rest, clocks.stamped(part.detections.take(~gone))])
        window = window_numbers(rest.time, WINDOW_S)
        whole = window < (np.inf if number == n - 1 else window.max() - SLACK_S / WINDOW_S)
        yield rest.take(whole)
        rest = rest.take(~whole)


def _last_words(tracks: Tracks) -> Tracks:
    """What was said last of each object in each window: where a camera's frames fell into one, there are two steps."""
    window = window_numbers(tracks.time, WINDOW_S)
    order = np.lexsort((tracks.time, tracks.track, window))
    last = (np.diff(window[order], append=np.inf) != 0) | (np.diff(tracks.track[order], append=-1) != 0)
    return tracks.take(np.sort(order[last]))


# ---- figures


def _recording(world: World, ran: Ran, reach: float, in_sight: bool) -> Recording:
    truth = ran.truth if in_sight else ran.truth.replace(state=np.full(len(ran.truth), ""))
    return site_recording(world.site, truth, ran.tracks, resample=False, ignored_m=reach)


def _tracking(day: Day, recording: Recording, reach: float, suffix: str, said: str) -> list[Figure]:
    """IDF1 and HOTA with its parts, and switches."""
    scores = TrackingScores(recording, TrackingOptions(zero_distance=2 * reach, threshold=0.5, block_s=BLOCK_S))
    said = f"{day.said}; every {WINDOW_S * EVERY:g} s, ground plane within {reach:g} m, {said}"
    hota = f"{said}; similarity 1 - distance / {2 * reach:g} m"
    measures = [
        *(of_counts(name + suffix, "", said, scores.identity.counts, scores.blocks, IDENTITY_FIGURES[name])
          for name in ("idf1", "idp", "idr")),
        *(of_counts(name + suffix, "", hota, scores.hota.counts, scores.blocks, HOTA_FIGURES[name])
          for name in ("hota", "det_a", "ass_a")),
        of_counts("moda" + suffix, "", said, scores.clear.counts, scores.blocks, CLEAR_FIGURES["moda"]),
        of_counts("id_switches" + suffix, "", said, scores.clear.counts[:, [3]], scores.blocks, lambda n: n[..., 0]),
    ]  # fmt: skip
    return [day.part.measured(measure) for measure in measures]


def _trajectory_gospa(day: Day, recording: Recording) -> list[Figure]:
    """T-GOSPA with its parts, hour by hour: one linear programme each."""
    scores = []
    for hour in range(ceil(day.hours)):
        of_hour = (recording.time - recording.time[0]) // HOUR == hour
        truth, result = (_within(sightings, of_hour) for sightings in (recording.truth, recording.result))
        scores.append(trajectory_gospa(truth, result, CUTOFF_M, SWITCH_M))
    counts, frames = (np.concatenate([getattr(score, name) for score in scores]) for name in ("counts", "frames"))
    said = f"{day.said}; every {WINDOW_S * EVERY:g} s, T-GOSPA per frame, each hour by itself, exact, cutoff "
    said += f"{CUTOFF_M:g} m, a switch {SWITCH_M:g} m, p = 1"
    blocks = day.part.blocks(recording.time[frames])
    return [
        day.part.measured(of_counts(f"t_gospa{part}", "m", said, counts, blocks, trajectory_figures(1.0)[key]))
        for part, key in (("", "t_gospa"), *((f"_{key}", key) for key in ("localization", "missed", "false", "switch")))
    ]


def _within(sightings: Sightings, frames: np.ndarray) -> Sightings:
    """The rows in those of the frames (F,) bool."""
    rows = frames[sightings.frame]
    return Sightings(sightings.frame[rows], sightings.id[rows], sightings.where[rows])


def _parked(day: Day, recording: Recording, truth: Tracks) -> list[Figure]:
    """Cars that parked for more than an hour and left, under the number that they came with."""
    pairs = recording.pairs(2 * LOOSE_M)
    stays = long_stays(truth, numbers_of_truth(pairs, recording.result.id, 0.5), HOUR)
    if not len(stays.object):
        return []
    said = f"{day.said}; first and last number within {LOOSE_M:g} m, of {len(stays.object)} cars that came, parked for "
    said += f"more than an hour, and left; number changed {stays.changed}"
    blocks = Blocks(np.arange(len(stays.object)), len(stays.object))
    return [day.part.measured(of_mean("parked_hour_same_id", "%", said, stays.same, blocks, 100), "cars")]


def _clocks(day: Day, ran: Ran) -> list[Figure]:
    """How far clocks are off from what the engine takes them for, less the mean of all."""
    said = (
        f"{day.said}; cameras' offsets at the ends of parts of {PART_S / 60:g} minutes against the true ones, less the "
    )
    said += "mean of all"
    error = np.abs(ran.clock_error - ran.clock_error.mean(axis=1, keepdims=True))
    figures = []
    for name, rows in (("first_hour", error[: round(HOUR / PART_S)][-1:]), ("end", error[-1:])):
        figures.append(day.part.figure(f"clock_error_median_s_{name}", np.median(rows), "s", said))
        figures.append(day.part.figure(f"clock_error_max_s_{name}", rows.max(), "s", said))
    return figures


def _costs(day: Day, ran: Ran) -> list[Figure]:
    """Memory and time of each hour."""
    said = f"{day.said}; the engine alone in its process, its log written"
    figures = []
    size = round(HOUR / PART_S)
    for first in range(0, len(ran.answers), size):
        hour, answers = first // size + 1, ran.answers[first : first + size]
        seconds = np.concatenate([answer.step_s for answer in answers])
        boxes = f"{said}; {len(seconds)} steps"
        figures += [
            day.part.figure(f"step_ms_hour_{hour}", 1e3 * seconds.mean(), "ms", f"{boxes}, the processor's time"),
            day.part.figure(f"step_p99_ms_hour_{hour}", 1e3 * np.quantile(seconds, 0.99), "ms", boxes),
            day.part.figure(
                f"memory_mb_hour_{hour}", answers[-1].resident / 1e6, "MB", f"{said}; resident, at its end"
            ),
            day.part.figure(f"snapshot_mb_hour_{hour}", answers[-1].snapshot / 1e6, "MB", f"{said}; all that it knows"),
        ]
    return figures
