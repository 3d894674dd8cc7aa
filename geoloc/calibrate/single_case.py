"""What one camera's calibration is given: its usable marks, what is known beforehand, and how it is to be done."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from geoloc.calibrate.solution import Refused
from geoloc.calibrate.usable_marks import Usable, carried_besides
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.known import Known, KnownCamera
from geoloc.scene.lenses import Fisheye, Lens, RadialTangential
from geoloc.scene.sitemap import Level

# k1 and k2 together: k2 is expected near what k1 makes likely, and held at none it would bend k1 to do its work
UNKNOWN_LENS = (("f",), ("f", "k1", "k2"), ("f", "cx", "cy", "k1", "k2"))
FISHEYE_WIDTHS, FISHEYE_LOG_SIGMA = 0.4, 0.4  # focal length of a fisheye in image widths: 78 to 215 degrees across
# between orthographic (k1 -1/6), equidistant (0) and stereographic (1/12)
FISHEYE_K1_SIGMA, FISHEYE_K2_SIGMA = 0.1, 0.03


@dataclass(frozen=True)
class SingleOptions:
    """How one camera is calibrated from its marks."""

    sigma_known: bool = False  # stated sigmas are exact, errors Gaussian; else their scale is estimated
    focal_widths: float = 1.2  # focal length expected without a lens, in image widths
    focal_log_sigma: float = 1.0  # of its logarithm
    centre_sigma: float = 0.02  # of the principal point from the image's centre, in image widths
    k1_sigma: float = 0.3
    k2_sigma: float = 0.1  # of k2 from k1 squared
    max_misfit: float = 5.0  # errors so many times the stated sigmas are refused
    max_wrong: float = 0.34  # share of wrong marks above which the rest is not believed either
    max_spread: float = 0.2  # sigma of the camera's position over its distance to the marks
    choice: int = 0  # which of two poses to take, where the marks cannot decide: 1 or 2; 0: neither

    def __post_init__(self) -> None:
        positive = (1e-6, 100.0)
        check_range(
            self, focal_widths=positive, focal_log_sigma=positive, centre_sigma=positive, k1_sigma=positive,
            k2_sigma=positive, max_misfit=(1.0, 1000.0), max_wrong=(0.0, 0.49), max_spread=positive, choice=(0, 2),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Problem:
    """One camera to be calibrated: named `name`, with stills of `size` px; a `lens` that is given is all but known.

    `priors` say, for each kind of lens that it may have, what is known of it before any mark.
    """

    name: str
    size: tuple[int, int]
    usable: Usable
    options: SingleOptions
    lens: Lens | None
    ground: Level | None
    priors: Mapping[type[Lens], CameraPrior]

    def said_besides(self, line_weight: np.ndarray) -> int:
        """How much of pose and focal length the lines that count (statements, (S,)) and a height can carry."""
        lines = self.usable.marked.lines.kept(line_weight > 0)
        return carried_besides(
            lines, self.lens is not None, any(np.isfinite(prior.plane_sigma) for prior in self.priors.values())
        )

    @property
    def frees(self) -> list[tuple[str, ...]]:
        """The lens unknowns that may be freed, the fewest first."""
        return [(), ("f",)] if self.lens is not None else list(UNKNOWN_LENS)

    def refused(self, reason: str, next_step: str) -> Refused:
        """The camera refused, for this reason."""
        return Refused(self.name, reason, next_step)


def priors_of(size: tuple[int, int], lens: Lens | None, options: SingleOptions) -> dict[type[Lens], CameraPrior]:
    """What is known of the lens before any mark, by its kind."""
    width, height = size
    sigma = options.centre_sigma * width
    if lens is None:
        focal, centre = options.focal_widths * width, ((width - 1) / 2, (height - 1) / 2)
        fisheye = CameraPrior(
            FISHEYE_WIDTHS * width, FISHEYE_LOG_SIGMA, centre, sigma,
            k1_sigma=FISHEYE_K1_SIGMA, k2_from_k1=False, k2_sigma=FISHEYE_K2_SIGMA,
        )  # fmt: skip
        usual = CameraPrior(
            focal, options.focal_log_sigma, centre, sigma, 0.0, options.k1_sigma, True, 0.0, options.k2_sigma
        )
        return {RadialTangential: usual, Fisheye: fisheye}
    params = np.concatenate([lens.params, np.zeros(2)])
    given = CameraPrior(
        float(params[:2].mean()), 0.1, (params[2], params[3]), sigma, params[4], 0.1, False, params[5], 0.1
    )
    return {type(lens): given}


def lens_prior(camera: Camera, known: Known, options: SingleOptions) -> CameraPrior:
    """What is known before any mark of a lens of the kind that `camera` turned out to have."""
    given = known.lens(camera.name)
    return priors_of(camera.size, given.lens if given is not None else None, options)[type(camera.lens)]


def standing(prior: CameraPrior, tall: KnownCamera, level: Level | None, xy: np.ndarray) -> CameraPrior:
    """The prior with the camera at its known height over its `level` at `xy` (2,) m; as it was where none is known."""
    if level is None or not np.isfinite(tall.height):
        return prior
    surface = level.under(xy)
    a, b, c = surface.plane
    sigma = float(np.hypot(tall.height_sigma, surface.sigma_z))
    return replace(prior, plane=(a, b, c + tall.height), plane_sigma=sigma)
