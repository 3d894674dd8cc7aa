"""What happens to cameras and to the packets that they send. Sites stay as they were believed to be."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from geoloc.evaluation.robustness.hazard import Case, Hazard
from geoloc.scene.camera import Camera
from geoloc.scene.tables import Detections

LOST_FROM = 0.5  # of the recording: cameras work until then, so that their tracks are there to be lost
IN_VIEW = 0.5  # share of a box's height and width that must stay in the image


def turn_one(case: Case, degrees: float, rng: np.random.Generator) -> Case:
    """One camera with boxes has turned by `degrees` about an axis drawn uniformly; the site does not know."""
    names = np.unique(case.detections.camera)
    return _turned(case, rng.permutation(names)[:1], degrees, rng)


def turn_all(case: Case, degrees: float, rng: np.random.Generator) -> Case:
    """Every camera has turned by `degrees`, each about its own axis; the site does not know."""
    return _turned(case, np.unique(case.detections.camera), degrees, rng)


def lose_cameras(case: Case, share: float, rng: np.random.Generator) -> Case:
    """From the middle of the recording on a `share` of its cameras, at least one, is silent; one always stays."""
    names = rng.permutation(np.unique(case.detections.camera))
    lost = names[: int(np.clip(np.rint(share * len(names)), 1, max(len(names) - 1, 0)))]
    time = case.detections.time
    start = np.quantile(np.unique(time), LOST_FROM) if len(time) else 0.0
    return case.take(~(np.isin(case.detections.camera, lost) & (time >= start)))


def offset_clocks(case: Case, most_s: float, rng: np.random.Generator) -> Case:
    """Each camera's clock is ahead by a constant drawn uniformly from [-most_s, most_s]."""
    offset = most_s * rng.uniform(-1.0, 1.0, len(np.unique(case.detections.camera)))
    return case.with_columns(time=case.detections.time + offset[case.camera])


def drift_clocks(case: Case, most_ms_per_s: float, rng: np.random.Generator) -> Case:
    """Each camera's clock, right at the start, gains a rate drawn uniformly from [-most, most] ms/s."""
    rate = 1e-3 * most_ms_per_s * rng.uniform(-1.0, 1.0, len(np.unique(case.detections.camera)))
    time = case.detections.time
    return case.with_columns(time=time + rate[case.camera] * (time - time.min(initial=np.inf)))


def cut_frame_rate(case: Case, every: float, rng: np.random.Generator) -> Case:
    """Of each camera only every n-th frame comes; each camera starts its count at a frame of its own."""
    phase = rng.random(len(np.unique(case.detections.camera)))
    start = np.floor(phase * every).astype(int)
    frame, camera = case.frame, case.camera
    first = np.full(len(phase), len(frame))
    np.minimum.at(first, camera, frame)
    return case.take((frame - first[camera] + start[camera]) % int(every) == 0)


def delay_packets(case: Case, mean_s: float, rng: np.random.Generator) -> Case:
    """Each camera frame arrives whole, after a delay drawn from an exponential distribution of this mean."""
    frame = case.frame
    delay = mean_s * rng.standard_exponential(int(frame.max(initial=-1)) + 1)
    return replace(case, delay=case.delay + delay[frame])


def turned_boxes(camera: Camera, detections: Detections, turn: Rotation) -> tuple[Detections, np.ndarray]:
    """`detections` of `camera` as they are after its axes were turned by `turn`, and which are still in view.

    The middles of a box's edges are seen along turned rays; the new box bounds them, so that a roll moves the
    foot off the object as it does in truth. What comes newly into view is not known and does not appear.
    """
    left, top, right, bottom = detections.box.T
    u, v = 0.5 * (left + right), 0.5 * (top + bottom)
    middles = np.stack([np.stack(pair, axis=-1) for pair in ((left, v), (u, top), (right, v), (u, bottom))])
    moved = _turn_pixels(camera, middles.reshape(-1, 2), turn).reshape(4, -1, 2)
    box = np.column_stack([moved.min(axis=0), moved.max(axis=0)])
    limit = np.tile(np.array(camera.size) - 0.5, 2)
    cut = np.clip(box, -0.5, limit)
    area, whole = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (cut, box))
    foot = _turn_pixels(camera, detections.foot, turn)
    return detections.replace(box=cut, foot=foot), area >= IN_VIEW * np.maximum(whole, 1e-9)


def _turned(case: Case, names: np.ndarray, degrees: float, rng: np.random.Generator) -> Case:
    parts, delays = [], []
    for name in np.unique(case.detections.camera):
        rows = np.flatnonzero(case.detections.camera == name)
        axis = rng.normal(size=3)
        part = case.detections.take(rows)
        if name in names and case.site.camera_rows(part.camera[:1])[0] >= 0:
            turn = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis))
            part, seen = turned_boxes(case.site.camera(str(name)), part, turn)
            part, rows = part.take(seen), rows[seen]
        parts.append(part)
        delays.append(case.delay[rows])
    return replace(case, detections=Detections.concat(parts), delay=np.concatenate([case.delay[:0], *delays]))


def _turn_pixels(camera: Camera, pixels: np.ndarray, turn: Rotation) -> np.ndarray:
    """Pixels (N, 2) of what was at `pixels` before; NaN stays, and stands for what leaves the lens's field."""
    camera.require_pose("cannot be turned")
    out = np.full(pixels.shape, np.nan)
    known = np.isfinite(pixels).all(axis=1)
    rays_cam = camera.lens.unproject(pixels[known])
    out[known] = camera.lens.project(turn.apply(rays_cam))
    return out


CAMERA_HAZARDS: dict[str, Hazard[Case]] = {
    hazard.name: hazard
    for hazard in (
        Hazard("camera_turned", "one camera has turned", "deg", (0.1, 0.25, 0.5, 1.0, 2.0), turn_one),
        Hazard("cameras_turned", "every camera has turned", "deg", (0.1, 0.25, 0.5, 1.0, 2.0), turn_all),
        Hazard("camera_lost", "cameras fall silent halfway", "of cameras", (0.15, 0.3, 0.45, 0.6, 0.75), lose_cameras),
        Hazard("clock_offset", "clocks disagree by up to", "s", (0.05, 0.1, 0.25, 0.5, 1.0), offset_clocks),
        Hazard("clock_drift", "clocks gain or lose up to", "ms/s", (1.0, 2.5, 5.0, 10.0, 20.0), drift_clocks),
        Hazard("frame_rate", "one frame comes of every", "frames", (2.0, 3.0, 4.0, 6.0, 10.0), cut_frame_rate),
        Hazard("packets_late", "frames come late, in disorder", "s, mean", (0.05, 0.1, 0.25, 0.5, 1.0), delay_packets),
    )
}
