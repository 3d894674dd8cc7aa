"""Any ONNX detector of the families of `onnx_outputs`, batched over cameras and tiles."""

from collections import Counter
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.perception.frames import Frame
from geoloc.perception.letterbox import Letterbox
from geoloc.perception.mask_contact import keypoint_foot, mask_foot
from geoloc.perception.onnx_network import coco_names, open_network
from geoloc.perception.onnx_options import OnnxOptions
from geoloc.perception.onnx_outputs import DISJOINT, FAMILIES, Answer, Asked, family_of, without_overlaps
from geoloc.perception.scaled import scaled_camera
from geoloc.perception.tiles import choose_tiles
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections

MOST = 300  # boxes of a picture
BATCH = 8  # pictures at once of a network that takes any number
EDGE_PX = 2.0  # of a tile: a box that ends there is cut off


class OnnxDetector:
    """As `Detector`."""

    def __init__(self, site: Site, options: OnnxOptions, foot: bool = True) -> None:
        self.site, self.options, self.left_out, self._foot = site, options, Counter[str](), foot
        self.network = open_network(options.weights)
        self.names = options.classes or self.network.names or coco_names()
        self.side = self.network.side if all(self.network.side) else (options.side_px, options.side_px)
        if options.family and options.family not in FAMILIES:
            raise unknown_name("family of networks", options.family, FAMILIES)
        self.family = options.family
        self._tiles: dict[tuple[str, tuple[int, int]], list[tuple[int, int, int, int]]] = {}

    def detect(self, frames: Sequence[Frame]) -> Detections:
        """As `Detector.detect`."""
        looks = [(k, Letterbox.of(part, self.side)) for k, frame in enumerate(frames) for part in self._parts(frame)]
        answers: list[list[tuple[Letterbox, Answer]]] = [[] for _ in frames]
        for (k, box), answer in zip(looks, self._answers(frames, looks), strict=True):
            answers[k].append((box, answer))
        parts = [self._table(frame, own) for frame, own in zip(frames, answers, strict=True)]
        table = Detections.concat(parts) if parts else Detections()
        return table.replace(id=np.arange(len(table)))

    def arrays(self) -> dict[str, np.ndarray]:
        """As `Detector.arrays`: it learns nothing."""
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """As `Detector.restore`."""

    def _parts(self, frame: Frame) -> list[tuple[int, int, int, int]]:
        size = frame.image.shape[1], frame.image.shape[0]
        if (frame.camera, size) not in self._tiles:
            camera = scaled_camera(self.site.camera(frame.camera), size)
            whole = [(0, 0, *size)]
            tiled = self.options.tiles and not camera.is_homography
            found = choose_tiles(self.site, camera, self.side, self.options.px_per_m) if tiled else whole
            self._tiles[frame.camera, size] = found
        return self._tiles[frame.camera, size]

    def _answers(self, frames: Sequence[Frame], looks: Sequence[tuple[int, Letterbox]]) -> list[Answer]:
        batch, answers = self.network.batch or BATCH, []
        for start in range(0, len(looks), batch):
            now = looks[start : start + batch]
            n = batch if self.network.batch else len(now)
            pixels = np.zeros((n, 3, self.side[1], self.side[0]), np.float32)
            for row, (k, box) in enumerate(now):
                box.put(frames[k].image, pixels[row])
            arrays = self.network.run(pixels)
            answers += [self._decoded(arrays, row, n) for row in range(len(now))]
        return answers

    def _decoded(self, arrays: Sequence[np.ndarray], row: int, n: int) -> Answer:
        if not self.family:
            self.family = family_of([a.shape for a in arrays], len(self.names), self.options.weights)
        asked = Asked(self.side, len(self.names), self.options.least_score, self.network.task)
        if self.family == "ssd" and len(arrays) == 1:
            rows = arrays[0].reshape(-1, 7)
            own = [rows[rows[:, 0] == row]]
        else:
            own = [a[row] if len(a) == n else a for a in arrays]
        try:
            answer = FAMILIES[self.family](own, asked)
        except (IndexError, ValueError) as error:
            shapes = ", ".join(str(a.shape) for a in arrays)
            said = f"{self.options.weights}: answers {shapes} are not of family {self.family!r} with "
            raise InputError(f"{said}{len(self.names)} classes ({error}); set onnx.family or onnx.classes") from error
        if not np.isfinite(answer.box).all():
            raise InputError(f"{self.options.weights}: gives boxes that are not finite; export it anew as float32")
        return answer

    def _table(self, frame: Frame, looks: Sequence[tuple[Letterbox, Answer]]) -> Detections:
        size = frame.image.shape[1], frame.image.shape[0]
        camera = self.site.camera(frame.camera)
        scale = camera.size[0] / size[0]
        boxes, scores, kinds, feet = [], [], [], []
        for number, (letter, answer) in enumerate(looks):
            answer = answer.take(self._usable(answer, letter, size, tile=number > 0))
            own = letter.back(answer.box.reshape(-1, 2, 2)).reshape(-1, 4)
            boxes.append(np.clip(own, -0.5, np.tile(np.array(size) - 0.5, 2)))
            scores.append(answer.score)
            kinds.append(answer.kind)
            feet.append(self._feet(answer, letter, own, scaled_camera(camera, size)))
        if not sum(len(part) for part in boxes):
            return Detections()
        box, score, kind = np.concatenate(boxes), np.concatenate(scores), np.concatenate(kinds)
        foot, cov = (np.concatenate([part[i] for part in feet]) for i in (0, 1))
        rows = np.arange(len(box))
        if self.family not in DISJOINT or len(looks) > 1:
            rows = without_overlaps(box, score, kind, self.options.overlap)[:MOST]
        return Detections(
            id=np.arange(len(rows)),
            time=np.full(len(rows), frame.time),
            camera=np.full(len(rows), frame.camera),
            box=(box[rows] + 0.5) * scale - 0.5,
            label=np.array([self.names[k] for k in kind[rows].tolist()]),
            score=np.clip(score[rows], 0.0, 1.0),
            foot=(foot[rows] + 0.5) * scale - 0.5,
            foot_cov=cov[rows] * scale**2,
        )

    def _usable(self, answer: Answer, letter: Letterbox, size: tuple[int, int], tile: bool) -> np.ndarray:
        """Rows of classes that are asked for, without those that a tile's edge inside the picture cuts off."""
        n = len(self.names)
        if (answer.kind >= n).any() or (answer.kind < 0).any():
            said = f"{self.options.weights}: gives class {int(answer.kind.max())}, {n} are named"
            raise InputError(f"{said}; give all names, in order: --set onnx.classes='[\"person\", ...]'")
        taken = np.array([self.names[k] in self.options.take or not self.options.take for k in answer.kind], bool)
        self.left_out["of a class that is not asked for"] += int((~taken).sum())
        if tile:
            low, high = np.array(letter.low), np.array(letter.low) + np.array(letter.size) / np.array(letter.scale)
            own = letter.back(answer.box.reshape(-1, 2, 2)).reshape(-1, 4) + 0.5
            cut = ((own[:, :2] < low + EDGE_PX) & (low > 0)).any(axis=1)
            cut |= ((own[:, 2:] > high - EDGE_PX) & (high < size)).any(axis=1)
            taken &= ~cut
        return np.flatnonzero(taken)

    def _feet(
        self, answer: Answer, letter: Letterbox, box: np.ndarray, camera: Camera
    ) -> tuple[np.ndarray, np.ndarray]:
        """Feet (N, 2) and covariances (N, 2, 2) where masks or keypoints tell them; NaN elsewhere."""
        feet, covs = np.full((len(answer), 2), np.nan), np.full((len(answer), 2, 2), np.nan)
        if not self._foot or camera.is_homography:
            return feet, covs
        for row in range(len(answer)):
            label = self.names[int(answer.kind[row])]
            known = None
            if answer.points.shape[1]:
                points = answer.points[row].copy()
                points[:, :2] = letter.back(points[:, :2])
                known = keypoint_foot(points, box[row], label)
            elif answer.coefficients.shape[1] and len(answer.prototypes):
                mask = _mask(answer, row, letter, box[row], self.side, camera.size)
                known = mask_foot(self.site, camera, mask, label)
            if known is not None:
                feet[row], covs[row] = known
        return feet, covs


def _mask(
    answer: Answer, row: int, letter: Letterbox, box: np.ndarray, side: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """The mask (H, W) uint8 0 or 255 of one box, in the picture, inside its box."""
    raw = np.tensordot(answer.coefficients[row], answer.prototypes, 1).astype(np.float32)
    x0, y0 = np.maximum(np.floor(box[:2] + 0.5), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(box[2:] + 0.5), size).astype(int)
    mask = np.zeros(size[::-1], np.uint8)
    if x1 <= x0 or y1 <= y0:
        return mask
    u, v = np.meshgrid(np.arange(x0, x1), np.arange(y0, y1))
    at = [
        ((place - low + 0.5) * scale + offset) * own / whole - 0.5
        for place, low, scale, offset, own, whole in zip(
            (u, v), letter.low, letter.scale, letter.offset, raw.shape[::-1], side, strict=True
        )
    ]
    value = cv2.remap(raw, at[0].astype(np.float32), at[1].astype(np.float32), cv2.INTER_LINEAR)
    mask[y0:y1, x0:x1] = np.where(value > 0, 255, 0)
    return mask
