"""Cameras of the rendered garage through days: what `relocalize.drift` says of them, moved and not.

No recording is needed. Each picture is drawn by itself, at an hour, under clouds, sun or lamps of its own, with other
cars in most stalls, other people, perhaps in rain, at another exposure and sharpness; half of it is covered by
something close. Some cameras are in the roofed level, some on the open deck with its shadows, one is a fisheye.
Reference and frames are compressed as cameras do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from geoloc.evaluation.measures import Blocks, Measure, of_counts, of_mean, of_quantile
from geoloc.evaluation.report import Figure
from geoloc.metrics.detection import ratio
from geoloc.relocalize.drift import DriftCheck, check_drift
from geoloc.relocalize.motions import N_MOTION, ROTATION, TRANSLATION
from geoloc.relocalize.reference import Reference, pin_reference
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import SiteMap
from geoloc.synthetic.garage import garage
from geoloc.synthetic.rendering.garage_sets import DaySetOptions, any_day, weather
from geoloc.synthetic.rendering.moment import MomentOptions, draw_moment
from geoloc.synthetic.rendering.picture import radiance
from geoloc.synthetic.rendering.picture_sets import TruePicture
from geoloc.synthetic.rendering.scene import build_scene
from geoloc.synthetic.rendering.sensor import PictureOptions, expose
from geoloc.synthetic.rendering.viewpoints import fixed_viewpoints, moved

RECORDING = "garage_drift"
SEED = 67
DEGREE = np.pi / 180.0
SMALL = (0.005, 0.01, 0.02)  # deg: turns that are to be told from none
TURNED = (0.005, 5.0)  # deg, drawn evenly in its logarithm
ZOOMED = (5e-4, 2e-2)  # of the focal length, either way
SHIFTED = (0.01, 0.15)  # m
QUALITY = 85  # of JPEG
COVERED = 0.5
CAMERAS = ("p1-aisle-s-west", "p1-aisle-n-east", "p1-row-b", "p2-middle", "p2-northwest", "p2-southwest")
N_MOMENTS = 2
DAY = DaySetOptions()


@dataclass(frozen=True, eq=False)
class Trial:
    """Of which camera and moment a picture is, what the camera truly did, and what the check says."""

    block: int
    kind: str
    truth: np.ndarray  # (N_MOTION,)
    check: DriftCheck

    @property
    def error(self) -> np.ndarray:
        """Of rotation (rad, 3) and logarithm of the zoom."""
        return (self.check.theta - self.truth)[:4]

    @property
    def nees(self) -> float:
        """Of rotation and zoom, 4 expected."""
        return float(self.error @ np.linalg.solve(self.check.cov[:4, :4], self.error))


def run() -> list[Figure]:
    """False alarms, what is told of turns, zooms and shifts, and how far off it is, half covered and not."""
    trials: dict[str, list[Trial]] = {"half covered": [], "nothing covered": []}
    for part, trial in checked(garage().site.site_map, day_pictures()):
        trials[part].append(trial)
    return [figure for part, found in trials.items() for figure in figures(found, part)]


def day_pictures(names: Sequence[str] = CAMERAS, n_moments: int = N_MOMENTS) -> Iterator[TruePicture]:
    """A reference of each camera, then of each camera and moment pictures of all kinds, each half covered and not."""
    world, rng = garage(), np.random.default_rng(SEED)
    scene = build_scene(world.site.site_map, rng)
    first = draw_moment(scene, rng, MomentOptions(hour=11.0, clouds=0.5))
    views = {view.camera.name: view for view in fixed_viewpoints(world, DAY.size) if view.camera.name in names}
    for name in names:
        camera, level = views[name].camera, views[name].level
        image = expose(radiance(first, camera), rng, PictureOptions())
        yield TruePicture(name, _compressed(image), camera, "reference", level)
    for number in range(1, n_moments + 1):
        for name in names:
            moment = draw_moment(scene, rng, any_day(rng, DAY.hours, DAY.exchanged), first)
            hour, clouds = moment.options.hour, moment.options.clouds
            for kind in ("still", "still", *(f"turned {size:g}" for size in SMALL), "turned", "zoomed", "shifted"):
                camera = _moved(views[name].camera, kind, rng)
                light = radiance(moment, camera)
                for covered in (COVERED, 0.0):
                    image = expose(light, rng, replace(weather(rng, DAY), covered=covered))
                    what, level = f"{kind}|{covered:g}", views[name].level
                    yield TruePicture(name, _compressed(image), camera, what, level, number, hour, clouds)


def checked(site_map: SiteMap, pictures: Iterator[TruePicture]) -> Iterator[tuple[str, Trial]]:
    """Each picture but the references held against its camera's reference, and to which part it belongs."""
    pinned: dict[str, Reference] = {}
    blocks: dict[tuple[str, int], int] = {}
    for picture in pictures:
        name, grey = picture.name.partition("--")[0], np.asarray(cv2.cvtColor(picture.image, cv2.COLOR_BGR2GRAY))
        if picture.kind == "reference":
            pinned[name] = pin_reference(replace(picture.camera, name=name), grey, site_map=site_map)
            continue
        kind, _, covered = picture.kind.partition("|")
        block = blocks.setdefault((name, picture.moment), len(blocks))
        check = replace(check_drift(pinned[name], grey), alignment=None)  # without its images
        truth = true_motion(pinned[name].camera, picture.camera)
        yield "half covered" if float(covered) else "nothing covered", Trial(block, kind, truth, check)


def true_motion(before: Camera, after: Camera) -> np.ndarray:
    """The motion (N_MOTION,) between two poses and zooms of one camera."""
    theta = np.zeros(N_MOTION)
    move = after.cam_from_world * before.cam_from_world.inv()
    theta[ROTATION], theta[TRANSLATION] = move.rotation.as_rotvec(), move.translation
    theta[3] = np.log(after.lens.params[0] / before.lens.params[0])
    return theta


def figures(trials: Sequence[Trial], part: str) -> list[Figure]:
    """All figures of one part."""
    said = "rendered days: light, shadow, rain, exchanged cars, against one reference each"
    kind = np.array([trial.kind for trial in trials])
    known = np.array([trial.check.known for trial in trials])
    alarm = np.array([trial.check.state == "moved" for trial in trials])
    as_shift = alarm & np.array([TRANSLATION.start in trial.check.freed for trial in trials])
    turned = np.char.startswith(kind, "turned")
    shares = {
        "frames_that_tell": (known, known | True, "of all frames"),
        "false_alarms": (alarm, (kind == "still") & known, "said to have moved, of cameras that did not; 1 % stated"),
        **{f"told_at_{size:g}_deg": (alarm, (kind == f"turned {size:g}") & known, "of turns") for size in SMALL},
        "zooms_told": (alarm, (kind == "zoomed") & known, f"of zooms by {ZOOMED[0]:.2%} to {ZOOMED[1]:.0%}"),
        "shifts_told": (alarm, (kind == "shifted") & known, "of shifts by 1 to 15 cm, said to have moved"),
        "shifts_told_as_shifts": (as_shift, (kind == "shifted") & alarm, "of shifts that are said to have moved"),
        "turns_told_as_shifts": (as_shift, turned & alarm, "of turns that are said to have moved"),
    }
    block = np.array([trial.block for trial in trials])
    n, every = int(block.max()) + 1, Blocks(block, int(block.max()) + 1)
    measures: list[Measure] = [
        of_counts(name, "%", f"{said}; {says}", np.column_stack([yes & of, of]), every, _share, 100)
        for name, (yes, of, says) in shares.items()
        if of.any()
    ]
    angle = np.array([np.linalg.norm(trial.error[ROTATION]) / DEGREE for trial in trials])
    still, tried = np.flatnonzero((kind == "still") & known), np.flatnonzero((kind == "turned") & known)
    says = f"{said}; rotation found of cameras that did not turn, more than 99 % of them"
    measures.append(of_quantile("rotation_of_none_p99", "deg", says, angle[still], every.take(still), 0.99))
    says = f"{said}; rotation off after re-registration, turned by {TURNED[0]:g} to {TURNED[1]:g} deg"
    measures.append(of_quantile("rotation_error", "deg", says, angle[tried], every.take(tried), 0.5))
    shift = np.flatnonzero((kind == "shifted") & as_shift)
    if len(shift):
        off = np.array([np.linalg.norm((t.check.theta - t.truth)[TRANSLATION]) for t in trials])
        says = f"{said}; translation off, of shifts told as such"
        measures.append(of_quantile("shift_error", "m", says, off[shift], every.take(shift), 0.5))
    rows = np.flatnonzero(known & (kind != "shifted"))
    honest = np.array([trials[i].nees for i in rows.tolist()])
    measures.append(of_mean("nees_motion", "", f"{said}; 4 expected", honest, every.take(rows)))
    return [measure.figure(RECORDING, part, f"bootstrap over {n} cameras' moments") for measure in measures]


def _moved(camera: Camera, kind: str, rng: np.random.Generator) -> Camera:
    xi, zoom = np.zeros(6), 1.0
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    if kind == "shifted":
        xi[3:] = _between(rng, SHIFTED) * axis
    elif kind == "zoomed":
        zoom = float(np.exp(_between(rng, ZOOMED) * rng.choice([-1, 1])))
    elif kind != "still":
        xi[:3] = DEGREE * (float(kind.split()[1]) if " " in kind else _between(rng, TURNED)) * axis
    return moved(camera, xi, zoom)


def _between(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(limits))))


def _compressed(image: np.ndarray) -> np.ndarray:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def _share(counts: np.ndarray) -> np.ndarray:
    return ratio(counts[..., 0], counts[..., 1])
