"""OpenCV's people detector (oriented gradients, Dalal and Triggs 2005), held to what is possible on the map."""

from collections import Counter
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from geoloc.perception.frames import Frame
from geoloc.perception.onnx_outputs import without_overlaps
from geoloc.perception.people_options import PeopleOptions
from geoloc.perception.scaled import person_heights, scaled_camera
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections

MARGIN = 0.08, 0.045  # of a window's width and height around a person on each side, as the detector was taught
LARGEST = 2560  # px: a picture is not enlarged beyond this


class PeopleDetector:
    """As `Detector`; each frame by itself, so that single stills will do."""

    def __init__(self, site: Site, options: PeopleOptions | None = None) -> None:
        self.site, self.options, self.left_out = site, options or PeopleOptions(), Counter[str]()
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.array(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))
        self._scale: dict[tuple[str, tuple[int, int]], float] = {}

    def detect(self, frames: Sequence[Frame]) -> Detections:
        """As `Detector.detect`."""
        parts = [self._table(frame) for frame in frames]
        table = Detections.concat(parts) if parts else Detections()
        return table.replace(id=np.arange(len(table)))

    def arrays(self) -> dict[str, np.ndarray]:
        """As `Detector.arrays`: it learns nothing."""
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """As `Detector.restore`."""

    def _table(self, frame: Frame) -> Detections:
        size = frame.image.shape[1], frame.image.shape[0]
        camera = scaled_camera(self.site.camera(frame.camera), size)
        scale = self._scale_of(camera, size)
        image = frame.image if scale == 1.0 else cv2.resize(frame.image, None, fx=scale, fy=scale)
        stride = (self.options.stride_px,) * 2
        found, margin = self._hog.detectMultiScale(
            image, winStride=stride, padding=(16, 16), scale=self.options.grow, groupThreshold=0
        )
        box, score = np.asarray(found, float).reshape(-1, 4), np.asarray(margin, float).reshape(-1)
        low, high = box[:, :2] + box[:, 2:] * MARGIN, box[:, :2] + box[:, 2:] * (1 - np.array(MARGIN))
        box = np.concatenate([low, high], axis=1) / scale - 0.5
        kept = self._possible(camera, box) & (score >= self.options.least_score)
        box, score = box[kept], score[kept]
        n = len(box)
        rows = without_overlaps(box, score, np.zeros(n, int), self.options.overlap)
        whole = self.site.camera(frame.camera).size[0] / size[0]
        return Detections(
            id=np.arange(len(rows)),
            time=np.full(len(rows), frame.time),
            camera=np.full(len(rows), frame.camera),
            box=(box[rows] + 0.5) * whole - 0.5,
            label=np.full(len(rows), "person"),
            score=1.0 / (1.0 + np.exp(-2.0 * score[rows])),
        )

    def _scale_of(self, camera: Camera, size: tuple[int, int]) -> float:
        """How much larger the picture must be for people, most of them, to fill a window."""
        if (camera.name, size) not in self._scale:
            tall = np.zeros(0) if camera.is_homography else person_heights(self.site, camera)
            usual = float(np.quantile(tall, 0.3)) if len(tall) else self.options.tall_px
            most = max(LARGEST / max(size), 1.0)
            self._scale[camera.name, size] = float(np.clip(self.options.tall_px / max(usual, 1.0), 0.25, most))
        return self._scale[camera.name, size]

    def _possible(self, camera: Camera, box: np.ndarray) -> np.ndarray:
        """Boxes (N,) bool that are as high on the map as people are."""
        if camera.is_homography or not len(box):
            return np.ones(len(box), bool)
        foot = np.column_stack([box[:, [0, 2]].mean(axis=1), box[:, 3]])
        rays, centre = camera.unproject(foot), camera.centre_world
        least, most = self.options.height_m
        possible = np.zeros(len(box), bool)
        for level in self.site.site_map.levels:
            for surface in level.surfaces:
                a, b, c = surface.plane
                with np.errstate(divide="ignore", invalid="ignore"):
                    down = rays[:, 2] - rays[:, 0] * a - rays[:, 1] * b
                    far = (a * centre[0] + b * centre[1] + c - centre[2]) / down
                place = centre + far[:, None] * rays
                rows = np.flatnonzero((far > 0) & np.isfinite(place).all(axis=1))
                rows = rows[surface.holds(place[rows, :2])]
                top = camera.project(place[rows] + [0.0, 0.0, 1.0])
                high = (box[rows, 3] - box[rows, 1]) / np.maximum(np.linalg.norm(top - foot[rows], axis=1), 1e-6)
                possible[rows] |= (high >= least) & (high <= most)
        self.left_out["as high on the map as no person is"] += int((~possible).sum())
        return possible
