"""A lens out of pictures of a board: what the pictures carry is freed, what they cannot carry keeps its honest width.

Every unknown of a lens has a size that it typically has: the axis is some 2 % of the picture off its middle, k1 shifts
the picture's corner by some 20 % of its radius. An unknown that the boards tell better than half of that is freed. One
that they do not is held near what is typical, with that as its sigma: it stays in the covariance, and nobody is told
that it is known. Whether an unknown is freed does so not depend on the value that came out, and the covariance stays
honest. A focal length that the boards do not tell is refused.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.calibrate.board_adjustment import Adjusted, Prior, Sightings, State, by_unknowns
from geoloc.calibrate.board_coverage import coverage_notes, spread_of_tilts
from geoloc.calibrate.board_settling import Gates, Settled, finish, settle
from geoloc.calibrate.board_start import first_state
from geoloc.calibrate.boards import FEWEST_CORNERS, Board, BoardCorners, RefusedView
from geoloc.errors import GeometryError, InputError, unknown_name
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.columns import name_codes
from geoloc.scene.lenses import Lens

AUTO = "auto"
UNKNOWNS = {
    "radial_tangential": ("f", "aspect", "cx", "cy", "k1", "k2", "p1", "p2", "k3"),
    "fisheye": ("f", "aspect", "cx", "cy", "k1", "k2", "k3", "k4"),
}
FEWEST_VIEWS = 3
ALIKE_DEG = 10.0  # between boards' tilts; closer than that, they tell the focal length badly


@dataclass(frozen=True)
class IntrinsicsOptions:
    """What typical lenses are like, and when the boards are believed."""

    centre: float = 0.02  # sigma of cx and cy about the middle, of the longer side
    aspect: float = 0.003  # sigma of fy / fx about 1
    radial: tuple[float, ...] = (0.2, 0.1, 0.05, 0.03)  # sigma of k1, k2 ..., as share of the corner's radius
    tangential: float = 0.003  # the same of p1 and p2
    carried: float = 0.5  # an unknown is freed where the boards tell it better than this share of its typical sigma
    max_focal_sigma: float = 0.02  # of the focal length; beyond it: refused
    corner_probability: float = 0.9999  # share of honest corners that pass
    picture_rms: float = 4.0  # times the others' noise; a picture beyond it is left out

    def __post_init__(self) -> None:
        check_range(self, centre=(1e-6, 1), aspect=(1e-6, 1), tangential=(1e-6, 1), carried=(1e-3, 1))
        check_range(self, max_focal_sigma=(1e-6, 0.5), corner_probability=(0.5, 1 - 1e-9), picture_rms=(1, 100))
        if len(self.radial) != 4 or min(self.radial) <= 0:
            raise InputError(f"IntrinsicsOptions.radial is {self.radial}; it takes four positive shares")

    @property
    def gates(self) -> Gates:
        """What is left out."""
        return Gates(self.corner_probability, self.picture_rms)


@dataclass(frozen=True, eq=False)
class IntrinsicsFit:
    """A lens, and what its pictures say of it.

    `cov` (P, P) is the covariance of all of `lens.params` whatever the boards' poses; `freed` names the unknowns that
    the boards tell (see UNKNOWNS), `held` those that they do not. `residual` (N, 2) px, marked less predicted, and
    `used` (N,) are of the N rows of `corners`; those of a refused view are NaN. `cam_from_board` is of `views`.
    """

    name: str
    lens: Lens
    size: tuple[int, int]
    cov: np.ndarray
    freed: tuple[str, ...]
    held: tuple[str, ...]
    sigma_px: float  # noise of each axis of a corner
    corners: BoardCorners
    residual: np.ndarray
    used: np.ndarray
    views: tuple[str, ...]
    cam_from_board: RigidTransform
    refused: tuple[RefusedView, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def rms_px(self) -> float:
        """Root mean square length of the residuals that count."""
        return _rms(self.residual[self.used])

    @property
    def view_rms_px(self) -> dict[str, float]:
        """The same of each view that counts."""
        return {view: _rms(self.residual[self.used & (self.corners.view == view)]) for view in self.views}

    @property
    def sigma(self) -> dict[str, float]:
        """Standard deviation of each of the lens's parameters."""
        return dict(zip(self.lens.parameter_names, np.sqrt(np.diag(self.cov)).tolist(), strict=True))

    def camera(self) -> Camera:
        """The lens as a camera at the world's origin; its `calib_cov` speaks of the lens alone."""
        n = 6 + len(self.cov)
        cov = np.zeros((n, n))
        cov[6:, 6:] = self.cov
        return Camera(self.name, self.lens, self.size, calib_cov=cov, freed=self.lens.parameter_names)


def calibrate_intrinsics(
    corners: BoardCorners,
    board: Board,
    size: tuple[int, int],
    model: str = "radial_tangential",
    free: tuple[str, ...] | str = AUTO,
    options: IntrinsicsOptions | None = None,
) -> IntrinsicsFit:
    """Calibrate the lens of one camera, whose pictures are `size` (width, height) px, from corners of `board`.

    `free` names the unknowns (of UNKNOWNS) to free, all others being taken as known exactly; by default the boards
    decide. Views and corners that do not fit are left out and named. GeometryError, with the next step, where the
    boards cannot tell the focal length or an unknown that `free` names.
    """
    options = options or IntrinsicsOptions()
    check_model(model, free)
    check_corners(corners, board, size)
    views, view = name_codes(corners.view)
    name = str(corners.camera[0])
    seen = Sightings(np.zeros(len(view), int), view, board.points[corners.corner], corners.pixel)
    few = np.bincount(view, minlength=len(views)) < FEWEST_CORNERS
    _require_views(name, int((~few).sum()), len(views))
    state = first_state(name, model, size, seen, ~few[view], lambda at: typical_priors(at, options))
    settled = settle(state, seen, ~few[view], lambda at: typical_priors(at, options), options.gates)
    _require_views(name, len(np.unique(view[settled.used])), len(views))
    require_focal(settled, 0, seen, options)
    freed = [freed_unknowns(settled.adjusted, 0, free, options)]
    settled = finish(settled, seen, lambda at: final_priors(at, freed, free, options))
    _require_told(settled, free, options)
    reasons = {views[v]: f"fewer than {FEWEST_CORNERS} corners" for v in np.flatnonzero(few)}
    reasons |= {views[v]: reason for (_, v), reason in settled.left_out.items()}
    return _fit(settled, freed[0], corners, (views, view), reasons)


def lens_cov(adjusted: Adjusted, index: int) -> np.ndarray:
    """Covariance (P, P) of a camera's lens parameters; zero for what is held exactly."""
    free = adjusted.free[index]
    own = adjusted.columns[index][-int(free.sum()) :]
    by_free = by_unknowns(adjusted.state.cameras[index].lens)[:, free]
    return np.asarray(by_free @ adjusted.cov[np.ix_(own, own)] @ by_free.T)


def typical_prior(lens: Lens, size: tuple[int, int], options: IntrinsicsOptions) -> Prior:
    """What typical lenses of this model and focal length are like; nothing is known of f."""
    radius = 0.5 * np.hypot(*size) / lens.params[0]  # of the picture's corner; fisheye: its angle
    radial = np.array(options.radial) / radius ** (2.0 * np.arange(1, 5))
    tangential = [options.tangential / radius] * 2
    bend = radial if lens.model == "fisheye" else np.array([*radial[:2], *tangential, radial[2]])
    centre = options.centre * max(size)
    sigma = np.array([np.inf, options.aspect, centre, centre, *bend])
    middle = [(size[0] - 1) / 2, (size[1] - 1) / 2]
    return Prior(np.array([lens.params[0], 1.0, *middle, *np.zeros(len(bend))]), sigma)


def typical_priors(state: State, options: IntrinsicsOptions) -> list[Prior]:
    """What is known of every camera's lens before the boards speak."""
    return [typical_prior(camera.lens, camera.size, options) for camera in state.cameras]


def freed_unknowns(
    adjusted: Adjusted, index: int, free: tuple[str, ...] | str, options: IntrinsicsOptions
) -> np.ndarray:
    """Which unknowns of a camera's lens are freed (P,) bool, after an adjustment with typical priors."""
    camera = adjusted.state.cameras[index]
    if free != AUTO:
        return np.isin(UNKNOWNS[camera.lens.model], free)
    sigma = np.sqrt(np.diag(adjusted.cov))[adjusted.columns[index][-len(camera.lens.params) :]]
    return np.asarray(sigma < options.carried * typical_prior(camera.lens, camera.size, options).sigma)


def final_priors(
    state: State, freed: list[np.ndarray], free: tuple[str, ...] | str, options: IntrinsicsOptions
) -> list[Prior]:
    """Nothing is known of what is freed; the rest is as is typical, or exact where the caller says what to free."""
    priors = []
    for prior, own in zip(typical_priors(state, options), freed, strict=True):
        held = prior.sigma if free == AUTO else np.zeros(len(own))
        priors.append(Prior(prior.mean, np.where(own, np.inf, held)))
    return priors


def require_focal(settled: Settled, index: int, seen: Sightings, options: IntrinsicsOptions) -> None:
    """GeometryError, with the next step, unless the boards tell a camera's focal length."""
    adjusted = settled.adjusted
    camera = adjusted.state.cameras[index]
    at = adjusted.columns[index][6 * (index > 0)]
    share = float(np.sqrt(adjusted.cov[at, at]) / camera.lens.params[0])
    if share <= options.max_focal_sigma:
        return
    views = np.unique(seen.view[settled.used & (seen.camera == index)])
    tilts = spread_of_tilts(adjusted.state.world_from_board[views])
    why = f"the {len(views)} boards are all tilted alike, within {tilts:.0f}°" if tilts < ALIKE_DEG else (
        f"the {len(views)} boards are small, far off, or too few"
    )  # fmt: skip
    raise GeometryError(
        f"camera {camera.name!r}: the focal length is not determined (sigma {100 * share:.1f} % of "
        f"{camera.lens.params[0]:.0f} px): {why}; add pictures close up with the board tilted 30° to 45° to the left, "
        "right, up and down"
    )


def check_model(model: str, free: tuple[str, ...] | str) -> None:
    """Refuse a model or unknowns that are not there."""
    if model not in UNKNOWNS:
        raise unknown_name("lens model", model, UNKNOWNS, "a calibration from boards")
    if free == AUTO:
        return
    for unknown in (free,) if isinstance(free, str) else free:
        if unknown not in UNKNOWNS[model]:
            raise unknown_name("unknown", unknown, UNKNOWNS[model], f"lens {model}")
    if "f" not in free:
        raise InputError(f"free is {free}; it must name f, for nothing but the boards tells the focal length")


def check_corners(corners: BoardCorners, board: Board, size: tuple[int, int]) -> None:
    """Refuse corners that are not of this board, or not of one picture size."""
    if not len(corners):
        raise InputError("there are no corners of boards to calibrate from")
    cameras = np.unique(corners.camera)
    if len(cameras) > 1:
        raise InputError(f"corners of the cameras {', '.join(cameras)}; calibrate one at a time, or all as a rig")
    check_numbers(corners, board)
    outside = ~((corners.pixel > -1) & (corners.pixel < np.array(size))).all(axis=1)
    if outside.any():
        u, v = corners.pixel[outside][0]
        where = f"view {str(corners.view[outside][0])!r}: a corner at ({u:.1f}, {v:.1f}) px"
        raise InputError(f"{where} is off the picture of {size[0]} x {size[1]} px; is the size right?")


def check_numbers(corners: BoardCorners, board: Board) -> None:
    """Refuse numbers that the board does not have."""
    n = len(board.points)
    wrong = (corners.corner < 0) | (corners.corner >= n)
    if wrong.any():
        number, view = corners.corner[wrong][0], str(corners.view[wrong][0])
        raise InputError(f"view {view!r}: corner {number}; the board of {board.across} x {board.down} has 0 to {n - 1}")


def _require_views(camera: str, n_good: int, n: int) -> None:
    if n_good < FEWEST_VIEWS:
        raise GeometryError(
            f"camera {camera!r}: {n_good} of {n} pictures show a board that counts; {FEWEST_VIEWS} are the fewest, "
            "10 to 20 are good: all over the picture, tilted 30° to 45° to all sides"
        )


def _require_told(settled: Settled, free: tuple[str, ...] | str, options: IntrinsicsOptions) -> None:
    """What the caller wants freed must be told at all."""
    if free == AUTO:
        return
    camera = settled.adjusted.state.cameras[0]
    freed = settled.adjusted.free[0]
    sigma = np.sqrt(np.diag(settled.adjusted.cov))
    typical = np.where(freed, typical_prior(camera.lens, camera.size, options).sigma, np.inf)[freed]
    names = np.array(UNKNOWNS[camera.lens.model])[freed]
    for name, found, usual in zip(names, sigma, typical, strict=True):
        if name != "f" and found > usual:
            more = "it varies less among lenses: do not free it, or show the board nearer to the picture's edges"
            raise GeometryError(f"camera {camera.name!r}: the boards do not tell {name} (sigma {found:.2g}); {more}")


def _fit(
    settled: Settled, freed: np.ndarray, corners: BoardCorners, names: tuple[list[str], np.ndarray],
    reasons: dict[str, str],
) -> IntrinsicsFit:  # fmt: skip
    adjusted, used = settled.adjusted, settled.used
    views, view = names
    kept = np.unique(view[used])
    camera = adjusted.state.cameras[0]
    all_names = np.array(UNKNOWNS[camera.lens.model])
    counts = np.isin(view, kept)[:, None]
    fit = IntrinsicsFit(
        name=camera.name,
        lens=camera.lens,
        size=camera.size,
        cov=lens_cov(adjusted, 0),
        freed=tuple(all_names[freed].tolist()),
        held=tuple(all_names[~freed].tolist()),
        sigma_px=float(settled.sigma_px[0]),
        corners=corners,
        residual=np.where(counts, adjusted.residual, np.nan),
        used=used,
        views=tuple(views[v] for v in kept),
        cam_from_board=adjusted.state.world_from_board[kept],
        refused=tuple(RefusedView(view, reason) for view, reason in reasons.items()),
    )
    return replace(fit, notes=_notes(fit))


def _notes(fit: IntrinsicsFit) -> tuple[str, ...]:
    notes = []
    if fit.held:
        notes.append(f"the boards do not tell {', '.join(fit.held)}: held as is typical of lenses, with that width")
    wrong = int((~fit.used & np.isfinite(fit.residual[:, 0])).sum())
    if wrong:
        notes.append(f"{wrong} single corners of {len(fit.used)} do not fit and are left out")
    pixel = fit.corners.pixel[fit.used]
    return (*notes, *coverage_notes(pixel, fit.lens, fit.cov, fit.size), *_tilt_notes(fit))


def _tilt_notes(fit: IntrinsicsFit) -> list[str]:
    tilts = spread_of_tilts(fit.cam_from_board)
    if tilts >= 2 * ALIKE_DEG:
        return []
    return [f"the boards' tilts differ by {tilts:.0f}° at most: tilt some by 30° to 45° for a sharper focal length"]


def _rms(residual: np.ndarray) -> float:
    return float(np.sqrt((residual**2).sum(axis=1).mean()))
