"""The garage filmed by eight cameras, from pixels to the map without any weights: its truth is exact.

No recording is needed: the film is drawn, with shadows of the lamps, a part of the lamps that goes off and on again,
headlights, and rain on one lens. A picture of each camera with nobody there, taken an hour before, is given.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely

from geoloc.cli.detect import ENGINE
from geoloc.evaluation.measures import of_mean
from geoloc.evaluation.report import Figure
from geoloc.evaluation.synthetic_truth import synthetic_recording
from geoloc.evaluation.tracking import evaluate_tracking
from geoloc.evaluation.tracking_measures import TrackingOptions
from geoloc.options import load_options
from geoloc.perception.detectors import DetectOptions
from geoloc.perception.frames import FilmSource
from geoloc.perception.in_step import in_step
from geoloc.perception.motion_detector import MotionDetector
from geoloc.pipeline.localizer import LocalizerOptions, localize
from geoloc.scene.kinds import family_of
from geoloc.scene.tables import Detections, Tracks
from geoloc.synthetic.film_garage import Shooting, Shot, shoot
from geoloc.synthetic.rendering.film import FilmOptions, empty_pictures, film_scene, make_film
from geoloc.synthetic.rendering.film_files import save_film
from geoloc.synthetic.truth import Truth
from recordings.figures import Part

RECORDING = "garage_film"
FILM = FilmOptions(rainy="p1-row-c", switch_s=(35.0, 70.0))
LEARNT_S = 60.0  # after which stalls are asked for
NEAR_M = 0.5
SHOWN = 0.5  # of an object may be hidden, where its class is asked for
TALL_PX = 60.0  # of 1080, that its box must have there
BOX_OVERLAP = 0.4  # of boxes of the same object
HELD_S = 1.5  # for which a track that is not seen still holds its stall

def run() -> list[Figure]:
    """Draw the film, watch it, put what is seen on the map."""
    shot = shoot(Shooting())
    scene = film_scene(shot.world, shot.rng, FILM)
    with tempfile.TemporaryDirectory() as folder:
        save_film(make_film(scene, shot.truth, shot.true_site.cameras, shot.rng, FILM), folder)
        empty = empty_pictures(scene, shot.true_site.cameras, shot.rng, FILM)
        return figures(shot, watch(shot, Path(folder), empty))


def watch(shot: Shot, folder: Path, empty: dict[str, np.ndarray], until: float = np.inf) -> Detections:
    """What the detector without weights sees of the films in a folder."""
    start = float(shot.truth.time.min())
    detector = MotionDetector(shot.site)
    names = [path.stem for path in sorted(folder.glob("*.avi"))]
    for name in names:
        detector.show_empty(name, empty[name])
    sources = [FilmSource(name, folder / f"{name}.avi", start) for name in names]
    tables = []
    for frames in in_step(sources, DetectOptions().window_s):
        if frames[0].time > until:
            break
        tables.append(detector.detect(frames))
    whole = Detections.concat(tables)
    return whole.replace(id=np.arange(len(whole)))


def figures(shot: Shot, seen: Detections) -> list[Figure]:
    """How good the boxes, and the tracks made of them, are."""
    end = float(seen.time.max())
    truth = shot.truth.take((shot.truth.time <= end + 0.01) & np.isin(shot.truth.level, ["P1"]))
    tracks = localize(seen, shot.site, load_options(LocalizerOptions(), None, ENGINE))
    tracks = tracks.take((tracks.state != "tentative") & (tracks.level == "P1"))
    part = Part(RECORDING, f"{end - float(truth.time.min()):.0f} s", 5.0)
    found = class_figures(part, shot, seen) + stall_figures(part, shot, truth, tracks)
    for family in ("", "vehicle", "person"):
        of = truth if not family else truth.take(_of_family(truth.label, family))
        own = tracks if not family else tracks.take(_of_family(tracks.label, family))
        options = TrackingOptions(zero_distance=2 * NEAR_M)  # a match from a similarity of a half
        report = evaluate_tracking(synthetic_recording(own, of, shot.site, options), options)
        for figure in report.figures:
            if figure.part == "all" and figure.figure in ("moda", "idf1", "precision", "recall"):
                name = figure.figure + (f"_{family}" if family else "")
                found.append(replace(figure, recording=RECORDING, part=part.name, figure=name))
    return found


def class_figures(part: Part, shot: Shot, seen: Detections) -> list[Figure]:
    """How many boxes of what is well seen have the right class."""
    truth = {(round(t, 3), int(o)): str(label) for t, o, label in zip(
        shot.truth.time.tolist(), shot.truth.object.tolist(), shot.truth.label.tolist(), strict=True)}  # fmt: skip
    right, time = [], []
    for camera in np.unique(seen.camera):
        own, given = seen.take(seen.camera == camera), shot.glimpses.take(shot.glimpses.camera == camera)
        clear = (given.hidden < SHOWN) & (given.box[:, 3] - given.box[:, 1] > TALL_PX)
        given = given.take(clear)
        for moment in np.unique(own.time).tolist():
            boxes = own.take(own.time == moment)
            others = given.take(np.abs(given.time - moment) < 0.01)
            if not len(others) or not len(boxes):
                continue
            overlap = _overlaps(others.box, boxes.box)
            for row in np.flatnonzero(overlap.max(axis=1) >= BOX_OVERLAP).tolist():
                said = str(boxes.label[int(overlap[row].argmax())])
                is_ = truth[round(float(others.time[row]), 3), int(others.object[row])]
                right.append(float(said == is_))
                time.append(moment)
    values = np.array(right)
    protocol = f"boxes that overlap a true one by {BOX_OVERLAP:g} which is less than {SHOWN:.0%} hidden and over "
    protocol += f"{TALL_PX:g} px of 1080 high; n {len(values)}"
    return [part.measured(of_mean("class_accuracy", "%", protocol, values, part.blocks(np.array(time)), 100))]


def stall_figures(part: Part, shot: Shot, truth: Truth, tracks: Tracks) -> list[Figure]:
    """How often it is right whether a stall is taken, each second after the first minute."""
    start, end = float(truth.time.min()), float(truth.time.max())
    times = np.unique(truth.time)
    times = times[times >= start + LEARNT_S][::4]
    stalls = [stall for stall in shot.site.site_map.stalls if stall.level == "P1"]
    right, when, sure = [], [], []
    cars = truth.take(truth.label != "person")
    driven = tracks.take(_of_family(tracks.label, "vehicle"))
    for time in times.tolist():
        now = cars.take(np.abs(cars.time - time) < 0.01)
        known = driven.take((driven.time <= time + 0.05) & (driven.time > time - HELD_S))
        for stall in stalls:
            inside = shapely.intersects_xy(stall.polygon, now.xyz[:, 0], now.xyz[:, 1])
            taken = bool((inside & (np.abs(now.velocity).max(axis=1, initial=0) < 0.05)).any())
            passing = bool(inside.any()) and not taken
            held = bool(shapely.intersects_xy(stall.polygon, known.xy[:, 0], known.xy[:, 1]).any())
            if not passing:
                right.append(float(taken == held))
                sure.append(taken)
                when.append(time)
    values = np.array(right)
    protocol = f"{len(stalls)} stalls at each second from {LEARNT_S:g} to {end - start:.0f} s, without those into or "
    protocol += f"out of which a car drives just then; {np.mean(sure) if sure else 0:.0%} taken; n {len(values)}"
    blocks = part.blocks(np.array(when))
    return [part.measured(of_mean("stall_occupancy", "%", protocol, values, blocks, 100))] if len(values) else []


def _of_family(labels: np.ndarray, family: str) -> np.ndarray:
    return np.array([family_of(str(label)) == family for label in labels], bool)


def _overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (N, 4) and (M, 4): (N, M)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0.0), axis=2)
    area = [np.prod(box[:, 2:] - box[:, :2], axis=1) for box in (a, b)]
    return np.asarray(common / np.maximum(area[0][:, None] + area[1] - common, 1e-9))
