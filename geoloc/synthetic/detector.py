"""One camera's images of a world, and what a detector makes of them."""

from dataclasses import dataclass

import numpy as np

from geoloc.geometry.vectors import unit_rows
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.occlusion import Occlusion
from geoloc.scene.tables import Detections
from geoloc.synthetic.shapes import INNER, body_points, covered, may_see, project_bodies
from geoloc.synthetic.truth import Glimpses, Truth

SCORE_SPREAD = 18.0  # of the Beta distribution of scores: larger is tighter
FALSE_SCORE = (1.6, 5.0)  # Beta parameters of false alarms' scores: 0.24 on average
LEAST_PX = 2.0  # narrower or lower boxes are not reported


@dataclass(frozen=True)
class SensorOptions:
    """How good cameras and detector are."""

    foot_sigma_px: float = 3.0  # standard deviation of the box's bottom centre in u and in v
    size_sigma: float = 0.03  # of width and height, relative
    jitter_growth: float = 1.5  # both grow by 1 + this × the hidden share
    p_miss: float = 0.05  # probability of missing an object that is wholly visible and large
    hidden_from: float = 0.3  # hidden share from which misses become more probable
    hidden_to: float = 0.85  # hidden share from which nothing is detected
    min_height_px: float = 24.0  # lower boxes are never detected; misses are more probable up to twice this
    false_alarms: float = 0.2  # mean number a frame
    clock_sigma: float = 0.01  # s, standard deviation of the cameras' clock offsets
    calibration_error: float = 1.0  # true cameras and floors deviate by this × what calib_cov and sigma_z state
    embedding_size: int = 0  # appearance vector of each box; 0: none
    embedding_sigma: float = 0.5  # noise on it, relative to the vector's length

    def __post_init__(self) -> None:
        check_range(self, foot_sigma_px=(0, 1000), size_sigma=(0, 1), jitter_growth=(0, 100), p_miss=(0, 1))
        check_range(self, hidden_from=(0, 1), hidden_to=(self.hidden_from, 1), min_height_px=(1, 10_000))
        check_range(self, false_alarms=(0, 1000), clock_sigma=(0, 60), calibration_error=(0, 100))
        check_range(self, embedding_size=(0, 65536), embedding_sigma=(0, 100))


@dataclass(frozen=True, eq=False)
class View:
    """What one camera's images held: rows sorted by time, then object."""

    row: np.ndarray  # (R,) of the truth
    box: np.ndarray  # (R, 4) px, not cut
    hidden: np.ndarray  # (R,)


@dataclass(frozen=True, eq=False)
class Report:
    """What a detector reports of one camera, and the truth behind it; the stamps are true times still."""

    detections: Detections
    object: np.ndarray  # (N,) true object of each detection; -1: a false alarm
    glimpses: Glimpses  # their `detection` is the row of `detections`


@dataclass(frozen=True, eq=False)
class Poses:
    """Where objects stand, each pose once: what rests is looked at once."""

    truth: Truth  # first row of each pose
    of_row: np.ndarray  # (N,) pose of each row of the whole truth

    @classmethod
    def of(cls, truth: Truth) -> "Poses":
        """The different poses of a truth."""
        order = np.lexsort((truth.time, truth.object))
        state = np.column_stack([truth.object, truth.xyz, truth.heading])[order]
        new = np.append(np.ones(min(len(state), 1), bool), (np.diff(state, axis=0) != 0).any(axis=1))
        of_row = np.empty(len(truth), dtype=np.intp)
        of_row[order] = np.cumsum(new) - 1
        return cls(truth.take(order[new]), of_row)


def look(camera: Camera, truth: Truth, poses: Poses, occlusion: Occlusion, min_height_px: float) -> View:
    """Every row of the truth of which this camera's images hold at least something."""
    standing = poses.truth
    near = may_see(camera, standing, min_height_px)
    box = np.full((len(standing), 4), np.nan)
    box[near] = project_bodies(camera, standing.take(near))
    height, width = camera.size[1], camera.size[0]
    with np.errstate(invalid="ignore"):
        on_image = (box[:, 2] > 0) & (box[:, 3] > 0) & (box[:, 0] < width - 1) & (box[:, 1] < height - 1)
        seen = np.flatnonzero(on_image & (box[:, 3] - box[:, 1] >= min_height_px))
    inner = body_points(standing.take(seen), INNER).reshape(-1, 3)
    pixels = camera.project(inner)
    clear = camera.inside(pixels)
    clear[clear] = ~occlusion(camera.centre_world, inner[clear])
    clear, pixels = clear.reshape(-1, len(INNER)), pixels.reshape(-1, len(INNER), 2)
    bare = clear.any(axis=1)
    seen, clear, pixels = seen[bare], clear[bare], pixels[bare]
    slot = np.full(len(standing), -1)
    slot[seen] = np.arange(len(seen))
    row = np.flatnonzero(slot[poses.of_row] >= 0)
    row = row[np.lexsort((truth.object[row], truth.time[row]))]
    at = slot[poses.of_row[row]]
    depth = np.linalg.norm(standing.xyz[seen] - camera.centre_world, axis=1)[at]
    frame = np.unique(truth.time[row], return_inverse=True)[1]
    behind = covered(frame, box[seen][at], depth, pixels[at])
    hidden = 1.0 - (clear[at] & ~behind).mean(axis=1)
    some = hidden < 1
    return View(row[some], box[seen][at[some]], hidden[some])


def detect(
    camera: Camera,
    truth: Truth,
    view: View,
    looks: dict[int, np.ndarray],
    options: SensorOptions,
    stream: np.random.Generator,
) -> Report:
    """Boxes of what the detector finds in `view`, with its errors, and false alarms."""
    seen = truth.take(view.row)
    large, bare = _quality(view, options)
    chance = (1.0 - options.p_miss) * large * bare
    draw, noise = stream.random(len(seen)), stream.standard_normal((len(seen), 4))
    box = _cut(camera, _jitter(view, noise, options))
    tall_enough = (box[:, 2:] - box[:, :2] >= LEAST_PX).all(axis=1)
    found = (draw < chance) & tall_enough
    mean = 0.4 + 0.52 * (1.0 - view.hidden) * (0.5 + 0.5 * large)
    score = stream.beta(SCORE_SPREAD * mean, SCORE_SPREAD * (1.0 - mean))
    hits = np.flatnonzero(found)
    false = _false_alarms(camera, truth, options, stream)
    detections = Detections.concat(
        [
            Detections(
                time=seen.time[hits],
                camera=np.full(len(hits), camera.name),
                box=box[hits],
                label=seen.label[hits],
                score=score[hits],
                embedding=_embed(seen.object[hits], looks, options, stream),
            ),
            false.replace(embedding=_embed(np.full(len(false), -1), looks, options, stream)),
        ]
    )
    glimpses = Glimpses(
        time=seen.time,
        camera=np.full(len(seen), camera.name),
        object=seen.object,
        box=_cut(camera, view.box),
        hidden=view.hidden,
        chance=chance,
        detection=np.where(found, np.cumsum(found) - 1, -1),
    )
    return Report(detections, np.append(seen.object[hits], np.full(len(false), -1)), glimpses)


def appearance(truth: Truth, size: int, seed: int) -> dict[int, np.ndarray]:
    """What each object looks like: a random unit vector of `size` for each id, whoever else is there."""
    objects = np.unique(truth.object).tolist()
    vectors = [np.random.default_rng([seed, number]).standard_normal(size) for number in objects]
    return dict(zip(objects, unit_rows(np.array(vectors).reshape(len(objects), size)), strict=True))


def _quality(view: View, options: SensorOptions) -> tuple[np.ndarray, np.ndarray]:
    """By how much size and hiding lower the chance of a detection: two factors (R,), 1 where they do not."""
    large = np.clip((view.box[:, 3] - view.box[:, 1]) / options.min_height_px - 1.0, 0.0, 1.0)
    span = max(options.hidden_to - options.hidden_from, 1e-9)
    return large, np.clip((options.hidden_to - view.hidden) / span, 0.0, 1.0)


def _jitter(view: View, noise: np.ndarray, options: SensorOptions) -> np.ndarray:
    """Boxes whose bottom centre and size are off; what is half hidden is off by more."""
    worse = 1.0 + options.jitter_growth * view.hidden
    foot = np.column_stack([view.box[:, [0, 2]].mean(axis=1), view.box[:, 3]])
    foot = foot + options.foot_sigma_px * worse[:, None] * noise[:, :2]
    size = (view.box[:, 2:] - view.box[:, :2]) * np.exp(options.size_sigma * worse[:, None] * noise[:, 2:])
    half = size[:, 0] / 2
    return np.column_stack([foot[:, 0] - half, foot[:, 1] - size[:, 1], foot[:, 0] + half, foot[:, 1]])


def _cut(camera: Camera, box: np.ndarray) -> np.ndarray:
    """Boxes cut at the border of the image."""
    return np.clip(box, -0.5, np.tile(camera.size, 2) - 0.5)


def _false_alarms(camera: Camera, truth: Truth, options: SensorOptions, stream: np.random.Generator) -> Detections:
    """Boxes of nothing, anywhere on the image, mostly of low score."""
    times, labels = np.unique(truth.time), np.unique(truth.label)
    time = np.repeat(times, stream.poisson(options.false_alarms, len(times)))
    n = len(time)
    height = np.exp(stream.uniform(np.log(30.0), np.log(250.0), n))
    label = labels[stream.integers(0, max(len(labels), 1), n)] if len(labels) else np.full(0, "")
    half = 0.5 * height * np.where(label == "person", 0.4, 1.5)
    middle, bottom = (
        stream.uniform(0, camera.size[0], n),
        stream.uniform(height, np.maximum(camera.size[1], height)),
    )
    box = _cut(camera, np.column_stack([middle - half, bottom - height, middle + half, bottom]))
    score = stream.beta(*FALSE_SCORE, n)
    return Detections(time=time, camera=np.full(n, camera.name), box=box, label=label, score=score)


def _embed(
    objects: np.ndarray, looks: dict[int, np.ndarray], options: SensorOptions, stream: np.random.Generator
) -> np.ndarray:
    """Unit vectors (N, D) near those of the objects; false alarms (-1) look like nothing else."""
    size = options.embedding_size
    blank = np.zeros(size)
    vectors = np.array([looks.get(i, blank) for i in objects.tolist()]).reshape(len(objects), size)
    noise = stream.standard_normal(vectors.shape) / np.sqrt(max(size, 1))
    sigma = np.where(objects < 0, 1.0, options.embedding_sigma)[:, None]
    vectors = vectors + sigma * noise
    return unit_rows(vectors)
