"""The detector that needs no weights: what is not background, explained by bodies that stand on the ground.

Geometry is the classifier: a camera's calibration says how large everything is, so that outlines tell person, bicycle,
car, van and truck apart, merged masks fall apart into bodies, and what has an impossible size is left out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np

from geoloc.errors import InputError
from geoloc.perception.background import Background, BackgroundOptions
from geoloc.perception.contact import foot_of
from geoloc.perception.explaining import Explainer, ExplainOptions, Found
from geoloc.perception.frames import Frame
from geoloc.perception.motion_options import MotionOptions
from geoloc.perception.scaled import scaled_camera, working_size
from geoloc.perception.silhouettes import BODIES, draw_outline, image_box
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections

LEAST_PX = 20  # of a mask's parts
THREADS = 2
UPRIGHT = 1.0  # m; bodies that are shorter walk and stand, others drive and park
GHOST = 0.45  # edges of a frame beside the background's, below which something has left
STEP = 0.7  # log of the light's change at once from which masks wait a frame


@dataclass(frozen=True, eq=False)
class Standing:
    """A body and since when it stands there (Unix s), and where it stood then (2,) m."""

    found: Found
    since: float
    at: np.ndarray


class MotionDetector:
    """As `Detector`. `empty` pictures, one of a camera when nobody is there, show what stands there from the start."""

    def __init__(
        self,
        site: Site,
        options: MotionOptions | None = None,
        background: BackgroundOptions | None = None,
        explain: ExplainOptions | None = None,
        foot: bool = True,
    ) -> None:
        self.site, self.options, self.left_out = site, options or MotionOptions(), Counter[str]()
        self._background, self._explain, self._foot = background or BackgroundOptions(), explain, foot
        self._watches: dict[str, Watch] = {}
        self._pool = ThreadPoolExecutor(max_workers=THREADS)

    def show_empty(self, camera: str, picture: np.ndarray) -> None:
        """A picture of a camera when nobody was there: it is the first background."""
        self.watch(camera).show_empty(picture)

    def detect(self, frames: Sequence[Frame]) -> Detections:
        """As `Detector.detect`."""
        watches = [self.watch(frame.camera) for frame in frames]
        # cameras know nothing of each other, and most of the work is done outside of Python
        parts = list(self._pool.map(lambda pair: pair[0].see(pair[1], self._foot), zip(watches, frames, strict=True)))
        for watch in watches:
            self.left_out.update(watch.left_out)
            watch.left_out.clear()
        table = Detections.concat(parts) if parts else Detections()
        return table.replace(id=np.arange(len(table)))

    def arrays(self) -> dict[str, np.ndarray]:
        """As `Detector.arrays`."""
        return {f"{name}/{key}": value for name, w in self._watches.items() for key, value in w.arrays().items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """As `Detector.restore`."""
        for name in {key.rpartition("/")[0] for key in arrays}:
            own = {key.rpartition("/")[2]: value for key, value in arrays.items() if key.rpartition("/")[0] == name}
            self.watch(name).restore(own)

    def watch(self, name: str) -> "Watch":
        """One camera's background and bodies."""
        if name not in self._watches:
            self._watches[name] = Watch(self.site, name, self.options, self._background, self._explain)
        return self._watches[name]


class Watch:
    """One camera's background and the bodies before it."""

    def __init__(
        self,
        site: Site,
        name: str,
        options: MotionOptions,
        background: BackgroundOptions,
        explain: ExplainOptions | None,
    ) -> None:
        self.options, self.left_out = options, Counter[str]()
        self.full = site.camera(name)
        self.full.require_pose("has no sizes, so moving things cannot be told apart")
        size = working_size(site, self.full, options.px_per_m, options.least_px, options.most_px)
        self.camera = scaled_camera(self.full, size)
        self.background = Background(background)
        # what has stood for a while is background to what passes before it
        self.lately = Background(replace(background, memory_s=options.lately_s, start_s=0.0))
        self.explainer = Explainer(site, self.camera, explain)
        self._first: list[np.ndarray] = []  # frames until there is a background
        self._begun = np.nan
        self._standing: list[Standing] = []
        self.mask = np.zeros(size[::-1], np.uint8)

    @property
    def bodies(self) -> list[Found]:
        """Those of the last frame."""
        return [one.found for one in self._standing]

    def show_empty(self, picture: np.ndarray) -> None:
        """Take a picture for the background."""
        self.background.start(self._small(picture))

    def see(self, frame: Frame, foot: bool) -> Detections:
        """What a frame shows, as detections."""
        return self.table(frame, self.look(frame), foot)

    def look(self, frame: Frame) -> list[Found]:
        """The bodies that a frame shows."""
        small = self._small(frame.image)
        if not self.background.known and not self._begin(small, frame.time):
            return []
        reached = self.explainer.reached
        self.mask = self._cleaned(np.where(reached, self.background.compare(small, frame.time).moving, np.uint8(0)))
        if not self.lately.known:
            self.lately.start(small)
        changed = self.lately.compare(small, frame.time).moving
        changed = self._cleaned(cv2.bitwise_and(np.where(reached, changed, np.uint8(0)), self.mask))
        steady = [s.found for s in self._standing if frame.time - s.since >= self.options.stands_s]
        people = [one for one in steady if one.body.length < UPRIGHT]
        moving = self.explainer.explain(changed, people)
        rest = np.where(self._covered(moving, 1), np.uint8(0), self.mask)
        # whoever walks comes in by moving; what is left beside parked cars is a part of them
        parked = self.explainer.explain(rest, [one for one in steady if one.body.length >= UPRIGHT], self.mask, True)
        found = [one for one in (*moving, *parked) if not self._has_left(small, one)]
        self._remember(found, frame.time)
        found = self._without_fixtures(small, frame.time)
        kept = self._covered(found)
        stands = [s.found for s in self._standing if frame.time - s.since >= self.options.stands_s]
        goes = [one for one in found if one.body.length < UPRIGHT or not any(one is other for other in stands)]
        self.lately.learn(small, frame.time, self._covered(goes))
        if cv2.countNonZero(np.where(kept, np.uint8(0), self.mask)) > 4 * LEAST_PX:
            self.left_out["no body of any class has such a size there"] += 1
        self.background.learn(small, frame.time, kept, self.mask > 0)
        return found

    def table(self, frame: Frame, found: Sequence[Found], foot: bool) -> Detections:
        """Bodies as detections, in pixels of the site's camera."""
        if not found:
            return Detections()
        scale = self.full.size[0] / self.camera.size[0]
        boxes = np.array([[*one.pixels.min(axis=0), *one.pixels.max(axis=0)] for one in found])
        boxes = np.clip(boxes, -0.5, np.tile(np.array(self.camera.size) - 0.5, 2))
        boxes = (boxes + 0.5) * scale - 0.5
        columns = {
            "id": np.arange(len(found)),
            "time": np.full(len(found), frame.time),
            "camera": np.full(len(found), frame.camera),
            "box": boxes,
            "label": np.array([one.body.label for one in found]),
            "score": np.array([min(one.fit, 1.0) for one in found]),
        }
        if foot:
            edge, share = self.options.sigma_px * scale, self.options.sigma_size
            hidden = [1.0 - one.visible for one in found]
            known = [
                foot_of(self.full, one.body, one.xyz, one.heading, edge, share, gone)
                for one, gone in zip(found, hidden, strict=True)
            ]
            columns |= {"foot": np.array([k[0] for k in known]), "foot_cov": np.array([k[1] for k in known])}
        return Detections(**columns)

    def arrays(self) -> dict[str, np.ndarray]:
        """What it learned."""
        rows = [
            [list(BODIES).index(s.found.body.label), *s.found.xyz, s.found.heading, s.found.level, s.since, *s.at]
            for s in self._standing
        ]
        first = np.array(self._first) if self._first else np.zeros((0, 1, 1, 3), np.uint8)
        own = {"standing": np.array(rows, float).reshape(-1, 9), "first": first, "begun": np.array([self._begun])}
        lately = {f"lately_{key}": value for key, value in self.lately.arrays().items()}
        return own | self.background.arrays() | lately

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what `arrays` said."""
        self.background.restore(arrays)
        self.lately.restore({key.removeprefix("lately_"): v for key, v in arrays.items() if key.startswith("lately_")})
        self._begun, self._first = float(arrays["begun"][0]), list(arrays["first"])
        self._standing = []
        for kind, x, y, z, heading, level, since, *stood in arrays["standing"].tolist():
            body = list(BODIES.values())[int(kind)]
            found = Found(body, np.array([x, y, z]), heading, int(level), np.zeros((0, 2)), 1.0, 1.0)
            self._standing.append(Standing(found, since, np.array(stood)))

    def _small(self, image: np.ndarray) -> np.ndarray:
        if image.ndim != 3 or image.shape[2] != 3:
            raise InputError(f"camera {self.full.name!r}: a frame of shape {image.shape}; it must be (H, W, 3) BGR")
        size = image.shape[1], image.shape[0]
        if size == self.camera.size:
            return image
        scaled_camera(self.full, size)  # refuses another shape
        shrinks = size[0] > self.camera.size[0]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, self.camera.size, interpolation=how))

    def _begin(self, small: np.ndarray, time: float) -> bool:
        """Whether the first seconds' frames have made a background."""
        self._begun = time if np.isnan(self._begun) else self._begun
        self._first.append(small)
        if time - self._begun < self.background.options.start_s:
            return False
        self.background.start(np.median(np.array(self._first[-25:]), axis=0).astype(np.uint8))
        self._first = []
        return True

    def _cleaned(self, moving: np.ndarray) -> np.ndarray:
        """A mask without specks, gaps and holes."""
        mask = cv2.morphologyEx(moving, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        side = self.options.close_px
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
        parts, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        whole = np.zeros_like(mask)
        cv2.drawContours(whole, [part for part in parts if cv2.contourArea(part) > LEAST_PX], -1, 255, -1)
        return whole

    def _has_left(self, small: np.ndarray, one: Found) -> bool:
        """Whether the outline is that of something in the background which is gone: the frame has no edges there."""
        x0, y0, x1, y1 = image_box(one.pixels, self.camera.size)
        if x1 - x0 < 4 or y1 - y0 < 4:
            return False
        inside = draw_outline(one.pixels, (x0, y0), (x1 - x0, y1 - y0)) > 0
        window = slice(y0, y1), slice(x0, x1)
        now, before = (_edges(image[window]) for image in (small.astype(np.float32), self.background.under_light()))
        if now[inside].mean() > GHOST * before[inside].mean():
            return False
        self.background.renew(small, self._where(window, inside & (self.mask[window] > 0)))
        self.left_out["something that was part of the background has left"] += 1
        return True

    def _without_fixtures(self, small: np.ndarray, time: float) -> list[Found]:
        """The bodies that are there, without people who stand longer than anybody does: those are things."""
        longest, kept = self.options.person_stands_s, []
        for one in self._standing:
            if one.found.body.length >= UPRIGHT or time - one.since <= longest:
                kept.append(one)
                continue
            x0, y0, x1, y1 = image_box(one.found.pixels, self.camera.size)
            own = draw_outline(one.found.pixels, (x0, y0), (x1 - x0, y1 - y0)) > 0
            self.background.renew(small, self._where((slice(y0, y1), slice(x0, x1)), own))
            self.left_out["stands longer than people do"] += 1
        self._standing = kept
        return [one.found for one in kept]

    def _where(self, window: tuple[slice, slice], inside: np.ndarray) -> np.ndarray:
        where = np.zeros(self.mask.shape, bool)
        where[window] = inside
        return where

    def _covered(self, found: Sequence[Found], wider: int = 4) -> np.ndarray:
        """Pixels (H, W) bool before which bodies stand: their outlines, `wider` px than they are."""
        kept = np.zeros(self.mask.shape, np.uint8)
        for one in found:
            x0, y0, x1, y1 = image_box(one.pixels, self.camera.size)
            if x1 > x0 and y1 > y0:
                kept[y0:y1, x0:x1] |= draw_outline(one.pixels, (x0, y0), (x1 - x0, y1 - y0))
        return np.asarray(cv2.dilate(kept, np.ones((2 * wider + 1,) * 2, np.uint8)) > 0)

    def _remember(self, found: Sequence[Found], time: float) -> None:
        before, self._standing = self._standing, []
        for one in found:
            same = [
                s for s in before
                if s.found.body is one.body and np.linalg.norm(s.at - one.xyz[:2]) <= self.options.stands_m
            ]  # fmt: skip
            old = min(same, key=lambda s: s.since, default=None)
            self._standing.append(Standing(one, old.since, old.at) if old else Standing(one, time, one.xyz[:2]))


def _edges(image: np.ndarray) -> np.ndarray:
    grey = image.mean(axis=2)
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
