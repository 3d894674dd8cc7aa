"""Tsai's lens as OpenCV's: his radial term leads from the distorted point to the undistorted one, OpenCV's back.

Tsai (1987), IEEE Journal of Robotics and Automation 3(4), equation 5: with distorted rd in focal lengths,
ru = rd (1 + k rd²). OpenCV's rd = ru (1 + k1 s + k2 s² + k3 s³) / (1 + k4 s + k5 s² + k6 s³), s = ru², is fitted to
its inverse over the field that the image has; where k < 0 up to 95 % of the radius where Tsai's own model folds,
beyond which a pixel has no direction in it. On the views of PETS 2009 with k > -0.6 it is within 0.0004 px.
"""

import numpy as np
from scipy.optimize import least_squares

from geoloc.errors import InputError
from geoloc.scene.lenses import Lens, Pinhole, RadialTangential

N_RADII = 1000
FOLD_SHARE = 0.95
WRITE_TOLERANCE = 0.01  # px


def lens_of_tsai(
    focal: tuple[float, float], centre: tuple[float, float], k: float, size: tuple[int, int]
) -> tuple[Lens, float]:
    """Lens of focal lengths and centre (px), Tsai's `k` (per squared focal length); and the fit's worst error (px)."""
    plain = Pinhole(np.array([*focal, *centre]))
    if k == 0:
        return plain, 0.0
    corners = _corners(size)
    radius = float(np.hypot(*((corners - np.array(centre)) / np.array(focal)).T).max())
    if k < 0:
        radius = min(radius, FOLD_SHARE * float(np.sqrt(-1.0 / (3.0 * k))))
    distorted = np.linspace(radius / N_RADII, radius, N_RADII)
    true = distorted * (1.0 + k * distorted**2)
    found = _fit(true, distorted)
    k1, k2, k3, k4, k5, k6 = found.tolist()
    error = float(np.abs(_rational(found, true) - distorted).max() * max(focal))
    lens = RadialTangential(np.array([*plain.params, k1, k2, 0.0, 0.0, k3, k4, k5, k6]))
    if lens.limit < 0.999 * true[-1]:
        raise InputError(f"kappa1 of {k:.3g} per squared focal length: no lens of OpenCV is one-to-one over this image")
    return lens, error


def tsai_of_lens(lens: Lens, size: tuple[int, int], camera: str) -> float:
    """Tsai's k (per squared focal length) of a lens; refused where it misses the lens by more than 0.01 px."""
    if isinstance(lens, Pinhole):
        return 0.0
    around = np.concatenate([np.linspace(a, b, 50) for a, b in zip(*_border(size), strict=True)])
    middle = lens.params[2:4]
    pixels = np.concatenate([middle + share * (around - middle) for share in np.linspace(0.05, 1.0, 20)])
    rays = lens.unproject(pixels)
    kept = np.isfinite(rays).all(axis=1)
    if not kept.any():
        raise InputError(f"camera {camera!r}: its lens has no direction for any pixel; calibrate it again")
    distorted = (pixels[kept] - middle) / lens.params[:2]
    true = rays[kept, :2] / rays[kept, 2:]
    square = np.sum(distorted**2, axis=1, keepdims=True)
    k = float(np.sum((true - distorted) * distorted * square) / np.sum((distorted * square) ** 2))
    missed = lens.project(np.column_stack([distorted * (1.0 + k * square), np.ones(len(square))])) - pixels[kept]
    worst = float(np.nanmax(np.abs(missed))) if np.isfinite(missed).any() else np.inf
    if not worst <= WRITE_TOLERANCE:
        raise InputError(
            f"camera {camera!r}: Tsai's one radial term misses its lens ({lens.model}) by {worst:.3g} px; "
            "write it as opencv or colmap"
        )
    return k


def _rational(k: np.ndarray, radius: np.ndarray) -> np.ndarray:
    s = radius * radius
    return radius * (1.0 + s * (k[0] + s * (k[1] + s * k[2]))) / (1.0 + s * (k[3] + s * (k[4] + s * k[5])))


def _fit(true: np.ndarray, distorted: np.ndarray) -> np.ndarray:
    """k1 to k6: the linear fit of numerator against denominator, then of the distorted radius itself."""
    s = true * true
    columns = [true * s, true * s**2, true * s**3, -distorted * s, -distorted * s**2, -distorted * s**3]
    start = np.linalg.lstsq(np.column_stack(columns), distorted - true, rcond=None)[0]
    better = least_squares(lambda k: _rational(k, true) - distorted, start, x_scale="jac", xtol=1e-15, gtol=None).x
    errors = [np.abs(_rational(k, true) - distorted).max() for k in (start, better)]
    return better if errors[1] < errors[0] else start


def _corners(size: tuple[int, int]) -> np.ndarray:
    width, height = size
    return np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])


def _border(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    corners = _corners(size)
    return corners, np.roll(corners, -1, axis=0)
