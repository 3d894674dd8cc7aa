"""What the answers of networks mean: one function a family, from arrays to boxes in the input's pixels.

All coordinates count from the input's corner. Families: YOLO of v5's layout (centre, size, object, classes), of v8's
(centre, size, classes along the second axis; with mask coefficients, keypoints or an angle), of v10's (corners, score,
class), RT-DETR (shares of the input and scores), and SSD (boxes and scores, or the seven numbers of Caffe's layer).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from geoloc.errors import InputError

Arrays = Sequence[np.ndarray]  # of one picture: without the axis of pictures


def _no_points(n: int) -> np.ndarray:
    return np.zeros((n, 0, 3))


@dataclass(frozen=True, eq=False)
class Answer:
    """N boxes (N, 4) px, left, top, right, bottom, with class and score.

    `points` (N, K, 3) are keypoints with their scores, `angle` (N,) rad of oriented boxes (NaN: upright), whose middle
    and size are `turned` (N, 4); `coefficients` (N, M) weigh the prototypes (M, h, w) into masks.
    """

    box: np.ndarray
    score: np.ndarray
    kind: np.ndarray
    points: np.ndarray
    angle: np.ndarray
    turned: np.ndarray
    coefficients: np.ndarray
    prototypes: np.ndarray = field(default_factory=lambda: np.zeros((0, 1, 1), np.float32))

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: np.ndarray) -> "Answer":
        """Some of the boxes."""
        places = self.box[rows], self.score[rows], self.kind[rows], self.points[rows], self.angle[rows]
        return Answer(*places, self.turned[rows], self.coefficients[rows], self.prototypes)


def _answer(box: np.ndarray, score: np.ndarray, kind: np.ndarray, **more: np.ndarray) -> Answer:
    n = len(score)
    own: dict[str, np.ndarray] = {
        "points": _no_points(n),
        "angle": np.full(n, np.nan),
        "turned": np.zeros((n, 4)),
        "coefficients": np.zeros((n, 0), np.float32),
        "prototypes": np.zeros((0, 1, 1), np.float32),
    } | more
    edges, sure, which = np.asarray(box, float).reshape(n, 4), np.asarray(score, float), np.asarray(kind, int)
    return Answer(
        edges, sure, which, own["points"], own["angle"], own["turned"], own["coefficients"], own["prototypes"]
    )


@dataclass(frozen=True)
class Asked:
    """What a decoder must know: the input's (width, height) px, how many classes, least score, and what its task is."""

    side: tuple[int, int]
    n_classes: int
    least: float
    task: str = ""  # detect, segment, pose or obb; empty: by the number of columns


def yolo5(arrays: Arrays, asked: Asked) -> Answer:
    """(A, 5 + C): centre, size, score of an object, scores of its classes."""
    rows = arrays[0]
    score = rows[:, 4:5] * rows[:, 5 : 5 + asked.n_classes]
    kind = score.argmax(axis=1)
    best = score[np.arange(len(rows)), kind]
    kept = best >= asked.least
    masks = rows[kept, 5 + asked.n_classes :]
    more = {"coefficients": masks, "prototypes": arrays[1]} if masks.shape[1] and len(arrays) > 1 else {}
    return _answer(_corners(rows[kept, :4]), best[kept], kind[kept], **more)


def yolo8(arrays: Arrays, asked: Asked) -> Answer:
    """(4 + C + extra, A): centre, size, scores of classes, then mask coefficients, keypoints or an angle."""
    # most columns are of nothing: they are left out before anything is turned
    kept = arrays[0][4 : 4 + asked.n_classes].max(axis=0) >= asked.least
    rows = arrays[0][:, kept].T
    scores, extra = rows[:, 4 : 4 + asked.n_classes], rows[:, 4 + asked.n_classes :]
    kind = scores.argmax(axis=1)
    best = scores[np.arange(len(rows)), kind]
    box, task = rows[:, :4], asked.task
    more: dict[str, np.ndarray] = {}
    corners = _corners(box)
    if not task:
        task = _task_of(extra.shape[1], len(arrays))
    if task == "segment" and len(arrays) > 1:
        more = {"coefficients": extra, "prototypes": arrays[1]}
    elif task == "pose":
        more = {"points": extra.reshape(len(extra), -1, 3).astype(float)}
    elif task == "obb":
        angle = extra[:, 0].astype(float)
        more, corners = {"angle": angle, "turned": box.astype(float)}, _around(box, angle)
    return _answer(corners, best, kind, **more)


def yolo10(arrays: Arrays, asked: Asked) -> Answer:
    """(N, 6): corners, score, class; nothing overlaps any more."""
    rows = arrays[0]
    rows = rows[rows[:, 4] >= asked.least]
    return _answer(rows[:, :4], rows[:, 4], rows[:, 5])


def rt_detr(arrays: Arrays, asked: Asked) -> Answer:
    """(N, 4 + C) or (N, 4) and (N, C): centre and size as shares, scores or what a sigmoid makes such."""
    if len(arrays) > 1:
        first, second = arrays[:2]
        box, score = (first, second) if first.shape[1] == 4 else (second, first)
    else:
        box, score = arrays[0][:, :4], arrays[0][:, 4:]
    if score.size and (score.min() < 0 or score.max() > 1):
        score = 1.0 / (1.0 + np.exp(-score.astype(float)))
    kind = score.argmax(axis=1)
    best = score[np.arange(len(score)), kind]
    kept = best >= asked.least
    return _answer(_corners(box[kept] * np.tile(asked.side, 2)), best[kept], kind[kept])


def ssd(arrays: Arrays, asked: Asked) -> Answer:
    """(N, 7): picture, class, score, corners as shares; or corners (N, 4) and scores (N, C) with background first."""
    if len(arrays) == 1:
        rows = arrays[0].reshape(-1, 7)
        rows = rows[(rows[:, 2] >= asked.least) & (rows[:, 0] >= 0)]
        return _answer(rows[:, 3:] * np.tile(asked.side, 2), rows[:, 2], rows[:, 1])
    box, score = next(a for a in arrays if a.shape[-1] == 4), next(a for a in arrays if a.shape[-1] != 4)
    if score.size and (score.min() < -1e-6 or score.max() > 1 + 1e-6):
        score = np.exp(score - score.max(axis=1, keepdims=True))
        score = score / score.sum(axis=1, keepdims=True)
    score = score[:, 1:]
    kind = score.argmax(axis=1)
    best = score[np.arange(len(score)), kind]
    kept = best >= asked.least
    return _answer(box[kept] * np.tile(asked.side, 2), best[kept], kind[kept] + 1)


FAMILIES: dict[str, Callable[[Arrays, Asked], Answer]] = {
    "yolo5": yolo5,
    "yolo8": yolo8,
    "yolo10": yolo10,
    "rt-detr": rt_detr,
    "ssd": ssd,
}
DISJOINT = ("yolo10", "rt-detr")  # families that say everything once


def family_of(shapes: Sequence[Sequence[int]], n_classes: int, path: object) -> str:
    """The family whose answers have these shapes, each with the axis of pictures; InputError where it is none."""
    first = list(shapes[0])
    if len(first) == 4 and first[-1] == 7:
        return "ssd"
    if len(shapes) >= 2 and {len(shape) for shape in shapes[:2]} == {3} and 4 in (shapes[0][2], shapes[1][2]):
        scores = shapes[1] if shapes[0][2] == 4 else shapes[0]
        return "ssd" if scores[1] > 1000 else "rt-detr"  # an SSD has thousands of boxes, a transformer hundreds
    if len(first) == 3:
        if first[2] == 6 and first[1] <= 1000:
            return "yolo10"
        if first[1] < first[2] and first[1] >= 4 + n_classes:
            return "yolo8"
        if first[2] == 5 + n_classes or (first[2] > 5 + n_classes and first[1] > 1000):
            return "yolo5"
        if first[2] == 4 + n_classes:
            return "rt-detr"
    told = " and ".join("x".join(str(side) for side in shape) for shape in shapes)
    raise InputError(
        f"{path}: its answers are {told}, which is no layout of {', '.join(FAMILIES)} with {n_classes} classes; "
        "give --set onnx.family=NAME and onnx.classes, or export the network as one of these"
    )


def without_overlaps(box: np.ndarray, score: np.ndarray, kind: np.ndarray, overlap: float) -> np.ndarray:
    """Rows (M,) of boxes (N, 4) that are left, strongest first: of one class none covers another by `overlap`."""
    order = np.argsort(-score, kind="stable")
    box = box + (kind * 1e5)[:, None]  # classes apart
    area = np.prod(np.maximum(box[:, 2:] - box[:, :2], 0.0), axis=1)
    kept: list[int] = []
    while len(order):
        first, order = int(order[0]), order[1:]
        kept.append(first)
        low, high = np.maximum(box[first, :2], box[order, :2]), np.minimum(box[first, 2:], box[order, 2:])
        common = np.prod(np.maximum(high - low, 0.0), axis=1)
        order = order[common <= overlap * np.maximum(area[first] + area[order] - common, 1e-9)]
    return np.array(kept, int)


def _task_of(extra: int, n_arrays: int) -> str:
    if extra and n_arrays > 1:
        return "segment"
    if extra == 1:
        return "obb"
    return "pose" if extra and extra % 3 == 0 else ""


def _corners(box: np.ndarray) -> np.ndarray:
    box = np.asarray(box, float)
    return np.concatenate([box[:, :2] - box[:, 2:4] / 2, box[:, :2] + box[:, 2:4] / 2], axis=1)


def _around(box: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """The upright boxes about turned ones: middle, width along `angle`, height."""
    box = np.asarray(box, float)
    cos, sin = np.abs(np.cos(angle)), np.abs(np.sin(angle))
    half = 0.5 * np.column_stack([box[:, 2] * cos + box[:, 3] * sin, box[:, 2] * sin + box[:, 3] * cos])
    return np.concatenate([box[:, :2] - half, box[:, :2] + half], axis=1)
