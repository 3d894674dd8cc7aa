"""MEVA's stills as fixed cameras that turn, zoom, shake or are covered: what `relocalize.drift` says of it.

A pure rotation is an exact map of the image through its lens. Reference and frame are both resampled from the still
(so no frame lies on the reference's own pixels), get noise of their own, and are compressed; the frame gets another
exposure, another tone curve, blur, noise, and half of it is covered with pieces of another camera's picture.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from geoloc.evaluation.measures import Blocks, of_mean, of_quantile
from geoloc.evaluation.report import Figure
from geoloc.files import read_json
from geoloc.io.camera_parts import lens_from_matrix
from geoloc.relocalize.drift import DriftCheck, check_drift
from geoloc.relocalize.reference import Reference, pin_reference
from geoloc.scene.camera import Camera

DEGREE = np.pi / 180.0
DRAWS = 6  # frames of each camera and size
SMALLEST = 0.01  # deg: what is asked to be told from none
MOUNT_DEG = 0.02  # of the reference's own turn, so that its pixels are not the still's
COVERED = 0.5


@dataclass(frozen=True, eq=False)
class Draw:
    """One frame: of which camera, how it was turned (rotation vector, rad) and zoomed (logarithm), and the answer."""

    camera: int
    kind: str
    turn: np.ndarray
    zoom: float
    check: DriftCheck
    seconds: float

    @property
    def error(self) -> np.ndarray:
        """Of rotation (rad, 3) and logarithm of the zoom."""
        found = Rotation.from_rotvec(self.check.theta[:3]) * Rotation.from_rotvec(self.turn).inv()
        return np.append(found.as_rotvec(), self.check.theta[3] - self.zoom)

    @property
    def nees(self) -> float:
        """Of the four numbers, 4 expected."""
        return float(self.error @ np.linalg.solve(self.check.cov[:4, :4], self.error))


def run(folder: Path) -> list[Figure]:
    """Full size under all disturbances together with half of the frame covered, and half size without any."""
    stills = _stills(folder)
    figures = []
    for part, scale, disturbed in (("full size, half covered", 1, True), ("half size, clean", 2, False)):
        draws = list(_draws(_scaled(stills, scale), disturbed))
        figures += _figures(part, draws, len(stills))
    return [*figures, *_confused(stills)]


def _figures(part: str, draws: list[Draw], n_cameras: int) -> list[Figure]:
    of = {kind: [draw for draw in draws if draw.kind == kind] for kind in ("still", "smallest", "moved")}
    how = "reference and frame resampled, noise of their own"
    how_sure = f"{n_cameras} cameras"

    def mean(name: str, unit: str, said: str, kind: str, values: list[float]) -> Figure:
        return of_mean(name, unit, f"{said}; {how}", np.array(values), _blocks(of[kind], n_cameras), 1).figure(
            "meva_drift", part, how_sure
        )

    moved = [draw for draw in of["moved"] if draw.check.known]
    error = np.array([np.linalg.norm(draw.error[:3]) / DEGREE for draw in moved])
    said = f"rotation off after re-registration, turned by 0.005 to 5 deg; {how}"
    median = of_quantile("rotation_error", "deg", said, error, _blocks(moved, n_cameras), 0.5)
    alarms = [100.0 * (draw.check.state == "moved") for draw in of["still"]]
    told = [100.0 * (draw.check.state == "moved") for draw in of["smallest"]]
    lost = [100.0 * (not draw.check.known) for draw in of["moved"]]
    known = [draw for draw in draws if draw.check.known]
    values = np.array([draw.nees for draw in known])
    nees = of_mean("nees_motion", "", f"4 expected; {how}", values, _blocks(known, n_cameras), 1)
    spent = np.array([1e3 * draw.seconds for draw in draws])
    said = "processor's time of one check, longer than 95 % of them"
    time_ms = of_quantile("check_p95", "ms", said, spent, _blocks(draws, n_cameras), 0.95)
    return [
        mean("false_alarms", "%", "moved, of frames that did not; at a stated 1 %", "still", alarms),
        mean("told_at_0.01_deg", "%", f"moved, of frames turned by {SMALLEST} deg", "smallest", told),
        mean("lost", "%", "frames that do not tell, of those turned", "moved", lost),
        *(measure.figure("meva_drift", part, how_sure) for measure in (median, nees, time_ms)),
    ]


def _confused(stills: list[tuple[Camera, np.ndarray]]) -> list[Figure]:
    """Each camera's picture, cut to size, held against every other's reference."""
    wrong = []
    references = [pin_reference(camera, image) for camera, image in stills]
    for i, reference in enumerate(references):
        for j, (_, image) in enumerate(stills):
            if i != j:
                wrong.append(check_drift(reference, _cut(image, reference.camera.size)).known)
    n = len(stills)
    blocks = Blocks(np.repeat(np.arange(n), n - 1), n)
    said = "pictures of another camera that are taken for the camera's own"
    measure = of_mean("confused", "%", said, 100.0 * np.array(wrong, float), blocks, 1)
    return [measure.figure("meva_drift", "all pairs", f"{n} cameras")]


def _blocks(draws: list[Draw], n_cameras: int) -> Blocks:
    return Blocks(np.array([draw.camera for draw in draws], dtype=int), n_cameras)


def _draws(stills: list[tuple[Camera, np.ndarray]], disturbed: bool) -> Iterator[Draw]:
    rng = np.random.default_rng(8)
    for index, (camera, image) in enumerate(stills):
        others = [other for i, (_, other) in enumerate(stills) if i != index]
        for _ in range(DRAWS):
            mount = rng.normal(0.0, MOUNT_DEG * DEGREE, 3)
            reference = pin_reference(camera, _taken(turned(camera, image, mount, 0.0), 2.0, rng))
            for kind in ("still", "smallest", "moved"):
                turn, zoom = _motion(kind, rng)
                whole = (Rotation.from_rotvec(turn) * Rotation.from_rotvec(mount)).as_rotvec()
                frame = turned(camera, image, whole, zoom)
                frame = _disturbed(frame, others, rng) if disturbed else _taken(frame, 2.0, rng)
                yield _answer(index, kind, turn, zoom, reference, frame)


def _answer(index: int, kind: str, turn: np.ndarray, zoom: float, reference: Reference, frame: np.ndarray) -> Draw:
    start = time.process_time()
    check = check_drift(reference, frame)
    spent = time.process_time() - start
    return Draw(index, kind, turn, zoom, replace(check, alignment=None), spent)  # without its images


def _motion(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    if kind == "moved":
        angle = 10.0 ** rng.uniform(np.log10(0.005), np.log10(5.0))
        return angle * DEGREE * axis, float(rng.uniform(-0.05, 0.05) * (rng.random() < 0.5))
    return (SMALLEST if kind == "smallest" else 0.0) * DEGREE * axis, 0.0


def turned(camera: Camera, image: np.ndarray, turn: np.ndarray, zoom: float) -> np.ndarray:
    """The image (H, W) float32 that the camera takes after a turn and zoom; 0 where the still does not reach."""
    import cv2

    width, height = camera.size
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    centre = camera.lens.params[2:4]
    rays = camera.lens.unproject(centre + (pixels - centre) * np.exp(-zoom))
    source = camera.lens.project(rays @ Rotation.from_rotvec(turn).as_matrix())
    source = np.nan_to_num(source, nan=-1e4).reshape(height, width, 2).astype(np.float32)
    x, y = np.ascontiguousarray(source[..., 0]), np.ascontiguousarray(source[..., 1])
    out = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return np.where(inside, out, 0.0)


def _disturbed(frame: np.ndarray, others: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """All disturbances at once, half of the frame covered."""
    import cv2

    bent = 255.0 * np.clip(frame / 255.0, 0.0, 1.0) ** rng.uniform(0.7, 1.5)
    exposed = rng.uniform(0.5, 1.2) * bent + rng.uniform(-10.0, 20.0)
    blurred = np.asarray(cv2.GaussianBlur(exposed, (0, 0), rng.uniform(0.1, 2.0)))
    covered, hidden = blurred.copy(), np.zeros(frame.shape, bool)
    height, width = frame.shape
    while hidden.mean() < COVERED:
        other = others[int(rng.integers(len(others)))]
        size = rng.integers([height // 10, width // 10], [height // 3, width // 3])
        at = rng.integers(-size // 2, [height, width] - size // 2)
        low, high = np.maximum(at, 0), np.minimum(at + size, [height, width])
        high = np.minimum(high, low + np.array(other.shape))
        rows, columns = slice(low[0], high[0]), slice(low[1], high[1])
        covered[rows, columns] = other[: high[0] - low[0], : high[1] - low[1]]
        hidden[rows, columns] = True
    return _taken(covered, rng.uniform(2.0, 10.0), rng)


def _taken(light: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """What a camera makes of it: noise (grey levels), eight bits, JPEG."""
    import cv2

    values = np.clip(np.rint(light + rng.normal(0.0, noise, light.shape)), 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", values, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


def _stills(folder: Path) -> list[tuple[Camera, np.ndarray]]:
    """Cameras with a still, by the older models where there are any (they were fitted to these stills' marks)."""
    import cv2

    calibration = folder / "calibration"
    models = {}
    for name in ("cameras_new.json", "cameras_old.json"):
        for model in reversed(read_json(calibration / name)["cameras"]):
            models[model["camera"]] = model
    found = []
    for path in sorted((calibration / "frames").glob("*.jpg")):
        model = models[path.stem]
        lens = lens_from_matrix(model["K"], model["distortion"], f"camera {path.stem}")
        image = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        found.append((Camera(path.stem, lens, (model["width"], model["height"])), image))
    return found


def _scaled(stills: list[tuple[Camera, np.ndarray]], factor: int) -> list[tuple[Camera, np.ndarray]]:
    """Everything `factor` times smaller: means over squares, which leave less noise of the still's own."""
    import cv2

    if factor == 1:
        return stills
    out = []
    for camera, image in stills:
        size = camera.size[0] // factor, camera.size[1] // factor
        params = np.array(camera.lens.params)
        params[:2] /= factor
        params[2:4] = (params[2:4] + 0.5) / factor - 0.5
        lens = type(camera.lens)(params)  # type: ignore[call-arg]
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        out.append((Camera(camera.name, lens, size), small))
    return out


def _cut(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image in another one's size: cut off or mirrored on at its lower edge."""
    more = max(size[1] - len(image), 0)
    return np.pad(image, ((0, more), (0, 0)), mode="symmetric")[: size[1], : size[0]]
