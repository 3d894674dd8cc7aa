"""Has a fixed camera moved? One frame against what the camera saw when its calibration was true.

Start reading at `check_drift`. What a frame says is a `DriftCheck`: the state in one word, everything else that is so
(it may have moved, in the dark, half covered), the motion with its covariance, and by what chance an unmoved camera
would look so: that chance comes from the residuals of the very frame, so no threshold in pixels is set anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from geoloc.errors import InputError
from geoloc.options import check_range
from geoloc.relocalize.alignment import MOST_SHARE, Alignment, View, align, look
from geoloc.relocalize.appearance import Appearance, appearance_of, blur_of, hidden_by, shaken_by
from geoloc.relocalize.motion_fit import Motion, fit_motion
from geoloc.relocalize.motions import CROP, KINDS, N_MOTION, ROTATION, TRANSLATION, advance
from geoloc.relocalize.reference import Level, Reference

STATES = {
    "unchanged": "the camera looks where it looked",
    "shaken": "it looks where it looked, and shook while it looked",
    "moved": "it turned, zoomed or was shifted",
    "blocked": "something hides the scene",
    "blurred": "too blurred to say where it looks",
    "dark": "too dark to say where it looks",
    "overexposed": "too bright to say where it looks",
    "another scene": "a sharp picture of something else",
}
MOVED_BY = "rotation and zoom"
SETTLED = 0.05  # sigma: a step shorter than this changes nothing
MOST_LOOKS = 4
WORTH_A_LOOK = 0.3  # chance: what the first step says of a larger motion is vague
EXPLAINED = 0.5  # share of the misfit's variance that a crop or translation takes away if it is what happened
MOST_BLUR = 0.7  # px of a level: more added blur than this is past what its second derivatives describe


@dataclass(frozen=True)
class DriftOptions:
    """How sure a check is to be."""

    false_alarms: float = 0.01  # chance that a camera that did not move is said to have
    false_scenes: float = 1e-8  # chance that a picture of anything else is taken for the camera's
    blocked_share: float = 0.5  # of the landmarks hidden: from here on "blocked" is among the conditions
    translation: bool = True  # look for a shift of the camera too, where the reference knows the ground

    def __post_init__(self) -> None:
        check_range(self, false_alarms=(1e-12, 0.5), false_scenes=(1e-100, 0.1), blocked_share=(0, 1))


@dataclass(frozen=True, eq=False)
class DriftCheck:
    """What one frame of a camera says. `state` is of `STATES`; `conditions` are those that hold besides.

    `theta` (N_MOTION,) is the motion since the reference as `relocalize.motions` numbers it, `cov` (N_MOTION,
    N_MOTION) its covariance (rows of what was not `freed` are 0); NaN and empty where the frame does not tell.
    `chance`: that an unmoved camera looks so (NaN: unknown) | `log10_doubt`: of the chance that this is not its scene |
    `found` share of the landmarks in view that are there | `shift_px` median over the image of how far it moved |
    `blur_px` (2,) standard deviations of the blur that was added, larger and lesser axis | `mean`, `black`, `white`
    of the picture: grey level, shares of pixels that are too dark or too bright | `reason` in words.
    """

    camera: str
    reference: str
    state: str
    conditions: tuple[str, ...]
    theta: np.ndarray
    cov: np.ndarray
    freed: tuple[int, ...]
    chance: float
    log10_doubt: float
    found: float
    shift_px: float
    blur_px: np.ndarray
    mean: float
    black: float
    white: float
    reason: str
    alignment: Alignment | None = field(default=None, repr=False)

    @property
    def known(self) -> bool:
        """Whether the frame tells where the camera looks."""
        return bool(self.freed)

    @property
    def rotation(self) -> np.ndarray:
        """Rotation vector (3,) rad of `exp(xi) * cam_from_world`."""
        return np.asarray(self.theta[ROTATION])

    @property
    def angle(self) -> float:
        """How far it turned, rad."""
        return float(np.linalg.norm(self.rotation))

    @property
    def angle_sigma(self) -> float:
        """Largest standard deviation of the rotation over all axes, rad."""
        return float(np.sqrt(np.linalg.eigvalsh(self.cov[ROTATION, ROTATION])[-1])) if self.known else float("nan")

    @property
    def zoom(self) -> float:
        """Focal length over that of the reference."""
        return float(np.exp(self.theta[3]))

    @property
    def translation(self) -> np.ndarray:
        """Translation (3,) m of `exp(xi) * cam_from_world`; 0 where none was found or looked for."""
        return np.asarray(self.theta[TRANSLATION])


def check_drift(
    references: Reference | Sequence[Reference], image: np.ndarray, options: DriftOptions | None = None
) -> DriftCheck:
    """Whether a camera's `image`, grey values (H, W) uint8, shows what its pinned reference shows, from the same pose.

    Of several references of one camera (day and night) that which is believed most is used. An image of another size
    and the same shape is resized, and says so among the conditions; of another shape it is refused (InputError).
    """
    options = options or DriftOptions()
    several = [references] if isinstance(references, Reference) else list(references)
    if not several or len({reference.camera.name for reference in several}) != 1:
        raise InputError("check_drift: give one or more references of one camera")
    image, notes = _as_calibrated(several[0], image)
    looks = appearance_of(image)
    sure = float(np.log10(options.false_scenes))
    reference, alignment = _most_believed(several, image, sure)
    motion = _settled(reference, alignment) if alignment.doubt < sure else None
    if motion is None:
        return _unknown(reference, alignment, looks, notes)
    return _known(reference, alignment, looks, notes, motion, options)


def _most_believed(references: list[Reference], image: np.ndarray, sure: float) -> tuple[Reference, Alignment]:
    found = []
    for reference in references:
        found.append((reference, align(reference, image, sure)))
        if found[-1][1].doubt < sure and found[-1][1].share > MOST_SHARE:
            break
    return min(found, key=lambda each: each[1].rank)


def learn_landmarks(reference: Reference, check: DriftCheck, memory: float = 200.0) -> Reference:
    """The reference with what a check tells about which of its landmarks are stable.

    Those that the frame shows count as found, those in view that it does not as missed; of `memory` frames the
    oldest fade. A frame that does not tell where the camera looks, or is covered, teaches nothing.
    """
    if not check.known or check.alignment is None or "blocked" in check.conditions:
        return reference
    views = {id(view.level.patches): view for view in check.alignment.views}
    levels = []
    for level in reference.levels:
        view = views.get(id(level.patches))
        if view is not None:
            seen, lost = view.found, view.visible & ~view.found
            fade = np.minimum(1.0, memory / np.maximum(level.found + level.missed + 1.0, 1.0))
            level = replace(level, found=fade * (level.found + seen), missed=fade * (level.missed + lost))
        levels.append(level)
    return reference.learned(tuple(levels))


def _as_calibrated(reference: Reference, image: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """The image in its camera's size."""
    import cv2

    camera, image = reference.camera, np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 2 or not image.size:
        raise InputError(f"camera {camera.name!r}: {image.dtype} of shape {image.shape}; give grey values (H, W) uint8")
    size = image.shape[1], image.shape[0]
    if size == tuple(camera.size):
        return image, ()
    scale = camera.size[0] / size[0]
    if abs(size[1] * scale - camera.size[1]) > max(1.0, scale):
        stated = f"{camera.size[0]} x {camera.size[1]}"
        raise InputError(
            f"camera {camera.name!r}: image of {size[0]} x {size[1]} px, calibrated at {stated}: another shape, not "
            "another size; set the stream back, or calibrate it as it is"
        )
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, tuple(camera.size), interpolation=how)), ("resized",)


def _settled(reference: Reference, alignment: Alignment) -> tuple[Motion, View] | None:
    """Motion with covariance by the finest level that is not too blurred for it, and that view; None if none can."""
    first, *coarser = alignment.views[:-3:-1]
    fits = blur_of(first).sigma_px[0] <= MOST_BLUR * first.level.patches.factor
    for view in (first, *coarser) if fits else (*coarser, first):
        motion = _fit(reference, view, KINDS[MOVED_BY])
        if motion is not None:
            return _repeated(reference, motion, view)
    return None


def _repeated(reference: Reference, motion: Motion, view: View) -> tuple[Motion, View]:
    """The motion looked at again where it leads to, until it stays: then its `theta` is the whole motion."""
    for _ in range(MOST_LOOKS):
        rows = list(motion.freed)
        length2 = float(motion.theta[rows] @ np.linalg.solve(motion.cov[np.ix_(rows, rows)], motion.theta[rows]))
        theta = advance(view.theta, motion.theta)
        if length2 < SETTLED**2:
            break
        view = replace(look(view.level, view.picture, theta, judge=False), others=view.others)
        again = _fit(reference, view, motion.freed)
        if again is None:
            break
        motion = again
    return replace(motion, theta=advance(view.theta, motion.theta)), view


def _fit(reference: Reference, view: View, freed: tuple[int, ...]) -> Motion | None:
    rows = np.flatnonzero(view.found & _steady(view.level))
    middles = view.level.middles.take(rows)
    place = (view.level.patches.pixels[rows] + 0.5) / np.array(reference.camera.size)
    return fit_motion(view.offset[rows], view.cov[rows], middles.jacobian(view.theta), place, freed)


def _steady(level: Level) -> np.ndarray:
    """Landmarks (N,) that have not proved to come and go; most of them, whatever happened."""
    stability = level.stability
    return np.asarray(stability >= min(0.3, float(np.median(stability, axis=0)) if len(level) else 0.3))


def _known(
    reference: Reference,
    alignment: Alignment,
    looks: Appearance,
    notes: tuple[str, ...],
    settled: tuple[Motion, View],
    options: DriftOptions,
) -> DriftCheck:
    """The check of a frame that tells where its camera looks."""
    motion, view = settled
    chance = motion.chance(motion.freed)
    moved = chance < options.false_alarms
    if moved:
        motion, view = _further(reference, motion, view, options)
    blur = blur_of(view)
    shaken, blurred = shaken_by(blur), blur.sigma_px[1] > BLURRED_PX
    hidden = 1.0 - alignment.left > options.blocked_share
    named = {"shaken": shaken, "blurred": blurred, "blocked": hidden, **looks.named}
    conditions = tuple(name for name, holds in named.items() if holds)
    state = "moved" if moved else "shaken" if shaken else "unchanged"
    shift = _shift_px(reference, motion.theta)
    words = _motion_words(motion, shift) if moved else f"looks where it did; by chance {chance:.2g}"
    return DriftCheck(
        camera=reference.camera.name,
        reference=reference.name,
        state=state,
        conditions=(*(name for name in conditions if name != state), *notes),
        theta=motion.theta,
        cov=motion.cov,
        freed=motion.freed,
        chance=chance,
        log10_doubt=alignment.doubt,
        found=alignment.left,
        shift_px=shift,
        blur_px=blur.sigma_px,
        mean=looks.mean,
        black=looks.black,
        white=looks.white,
        reason=words,
        alignment=alignment,
    )


def _further(reference: Reference, motion: Motion, view: View, options: DriftOptions) -> tuple[Motion, View]:
    """The motion with a crop or a translation too, where the frame says clearly that there is one."""
    trials = [("rotation, zoom and crop", CROP)]
    if options.translation and view.level.middles.inverse.any():
        trials.append(("rotation, zoom and translation", TRANSLATION))
    found = []
    for kind, extra in trials:
        more = _fit(reference, view, KINDS[kind])
        if more is None:
            continue
        columns = tuple(range(extra.start, extra.stop))
        if more.chance(columns) > WORTH_A_LOOK:
            continue
        settled = _repeated(reference, more, view)
        # each kind is one more question that chance may answer yes to; and what is significant by many patches alone,
        # but smaller than their misfit, may be what they have in common: a shadow's edge, cars on another row
        told = settled[0].chance(columns) * len(trials) < options.false_alarms
        if told and _misfit2(settled[0]) < (1.0 - EXPLAINED) * _misfit2(motion):
            found.append(settled)
    return min(found, key=lambda each: _misfit2(each[0]), default=(motion, view))


def _misfit2(motion: Motion) -> float:
    """Mean square (px²) of what a motion leaves, noise and smooth misfit."""
    return motion.sigma_px**2 + motion.field_px**2


def _unknown(
    reference: Reference, alignment: Alignment, looks: Appearance, notes: tuple[str, ...]
) -> DriftCheck:
    """The check of a frame that does not tell where its camera looks: why."""
    state, reason = hidden_by(looks, reference, alignment.doubt)
    nothing = np.full(N_MOTION, np.nan)
    return DriftCheck(
        camera=reference.camera.name,
        reference=reference.name,
        state=state,
        conditions=(*(name for name, holds in looks.named.items() if holds and name != state), *notes),
        theta=nothing,
        cov=np.full((N_MOTION, N_MOTION), np.nan),
        freed=(),
        chance=float("nan"),
        log10_doubt=alignment.doubt,
        found=alignment.left,
        shift_px=float("nan"),
        blur_px=np.full(2, np.nan),
        mean=looks.mean,
        black=looks.black,
        white=looks.white,
        reason=reason,
    )


def _shift_px(reference: Reference, theta: np.ndarray) -> float:
    middles = reference.levels[-1].middles
    still = middles.moved(np.zeros(N_MOTION))
    return float(np.nanmedian(np.linalg.norm(middles.moved(theta) - still, axis=1))) if len(still) else float("nan")


def _motion_words(motion: Motion, shift: float) -> str:
    kind = next(name for name, freed in KINDS.items() if freed == motion.freed)
    angle = float(np.linalg.norm(motion.theta[ROTATION]))
    words = [f"{kind}: turned {1e3 * angle:.3f} mrad, {shift:.2f} px"]
    if abs(motion.theta[3]) > 2.0 * np.sqrt(motion.cov[3, 3]):
        words.append(f"zoomed x{np.exp(motion.theta[3]):.5f}")
    if 6 in motion.freed:
        words.append(f"shifted {100 * float(np.linalg.norm(motion.theta[TRANSLATION])):.1f} cm")
    return ", ".join(words)


BLURRED_PX = 1.5  # standard deviation of added blur from which on a frame is called blurred
