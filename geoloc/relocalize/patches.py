"""Small squares of a reference image, found again in a frame: each tells how far it shifted, and how surely.

A patch is fitted to the frame by least squares in one step of Lucas and Kanade (1981), inverse compositional
(Baker and Matthews 2004): the frame's values are a gain and an offset (light) on the reference's, its first
derivatives (shift), its second ones (blur, whose tensor is half their factor) and its square (another exposure bends
the tone curve, and a bent curve would move every soft edge towards its darker or its brighter side). The derivatives
are those of the reference, so the frame's noise enters linearly and no shift is pulled towards whole pixels.

The frame is sampled linearly between its pixels: at t between two of them that is exact in the mean, adds the blur
t (1 - t) and the third cumulant t (1 - t) (1 - 2 t), whose effect on the shift is known and taken out.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

SIDE = 25  # of a patch, in pixels of its level
REACH = SIDE // 2
MARGIN = REACH + 3  # a patch's centre stays this far inside its level
TERMS = 8  # value, one, d/dx, d/dy, d²/dx², d²/dxdy, d²/dy², squared value
LEAST_CONTRAST = 1.5  # grey levels: standard deviation below which a patch shows nothing
SMOOTH = 1.0  # px of a level: standard deviation of the blur that keeps what is too fine from being sampled
WHITE = 248.0  # grey levels: from here on the sensor is full, and an edge lies where the light spills to
CLIPPED = 0.1  # share of a patch's pixels that may be so
SIGMA_LEAST = 0.1  # grey levels, of noise: 8 bits, averaged over a level's pixel, round by more


@dataclass(frozen=True, eq=False)
class Patches:
    """N patches of one level of an image: `factor` image pixels make one of the level's.

    `pixels` (N, 2) px of the whole image | `values` (N, SIDE, SIDE, TERMS) float32, the regressors | `third`
    (N, SIDE, SIDE, 2) float32, the third derivatives along both axes.
    """

    factor: int
    pixels: np.ndarray
    values: np.ndarray
    third: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: np.ndarray) -> "Patches":
        """The patches that a mask or index selects."""
        return Patches(self.factor, self.pixels[rows], self.values[rows], self.third[rows])

    @cached_property
    def regressors(self) -> np.ndarray:
        """(N, K, TERMS) of the K pixels of each patch."""
        return self.values.reshape(len(self), SIDE * SIDE, TERMS)

    @cached_property
    def solver(self) -> np.ndarray:
        """Takes a patch's values (N, K) in a frame to its factors: (N, TERMS, K)."""
        weighted = self.regressors * _window()[None, :, None]
        normal = np.einsum("nki,nkj->nij", weighted, self.regressors, optimize=True).astype(float)
        scale = np.sqrt(np.einsum("nii->ni", normal)) + 1e-6
        scaled = normal / scale[:, :, None] / scale[:, None, :] + 1e-6 * np.eye(TERMS)
        inverse = np.linalg.inv(scaled) / scale[:, :, None] / scale[:, None, :]
        return np.matmul(inverse.astype(np.float32), weighted.transpose(0, 2, 1))

    @cached_property
    def noise_gain(self) -> np.ndarray:
        """Covariance (N, TERMS, TERMS) of the factors under white noise of variance 1."""
        return np.matmul(self.solver, self.solver.transpose(0, 2, 1)).astype(float)

    @cached_property
    def third_gain(self) -> np.ndarray:
        """Shift (N, 2, 2) that third cumulants of 1 along both axes would feign: axis of the shift, of the cumulant."""
        rows = self.third.reshape(len(self), SIDE * SIDE, 2)
        return np.matmul(self.solver[:, 2:4], rows).astype(float) / 6.0

    @cached_property
    def unclipped(self) -> np.ndarray:
        """Which patches (N,) are not too white for their edges to be where they seem."""
        return np.asarray((self.regressors[:, :, 0] > WHITE).mean(axis=1) <= CLIPPED)

    @cached_property
    def looks(self) -> np.ndarray:
        """Values (N, K) less their mean, of length 1: their product is a correlation."""
        return normalised(self.regressors[:, :, 0])


@dataclass(frozen=True, eq=False)
class Fit:
    """What became of N patches in a frame: in pixels of the reference's level.

    `shift` (N, 2): what lies at a patch's place in the frame is the reference's content so much further on |
    `shift_cov` (N, 2, 2) | `blur` (N, 3) xx, xy, yy of the tensor by which the frame is blurred more, px² |
    `blur_cov` (N, 3, 3) | `gain` (N,) of contrast | `noise` (N,) grey levels | `seen` (N, K) values.
    """

    shift: np.ndarray
    shift_cov: np.ndarray
    blur: np.ndarray
    blur_cov: np.ndarray
    gain: np.ndarray
    noise: np.ndarray
    seen: np.ndarray


def level_of(image: np.ndarray, factor: int) -> np.ndarray:
    """Means (H // factor, W // factor) float32 over squares of `factor` pixels, blurred by SMOOTH."""
    import cv2

    height, width = (side // factor for side in image.shape)
    cut = image[: height * factor, : width * factor]
    small = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA) if factor > 1 else cut
    return np.asarray(cv2.GaussianBlur(small.astype(np.float32), (0, 0), SMOOTH))


def to_level(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Pixels of the image as pixels of its level."""
    return (pixels + 0.5) / factor - 0.5


def from_level(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Pixels of a level as pixels of the image."""
    return (pixels + 0.5) * factor - 0.5


def pick_patches(level: np.ndarray, factor: int, most: int, wanted: np.ndarray) -> Patches:
    """The most telling patch of each cell of a grid of about `most` cells, where `wanted` (H, W) bool is true.

    What tells is the lesser eigenvalue of the structure tensor (Shi and Tomasi 1994).
    """
    import cv2

    height, width = level.shape
    if min(height, width) <= 2 * MARGIN + 1:
        none = np.zeros((0, SIDE, SIDE, TERMS), np.float32)
        return Patches(factor, np.zeros((0, 2)), none, none[..., :2])
    strength = cv2.cornerMinEigenVal(level, SIDE // 2 * 2 - 5)
    allowed = np.zeros(level.shape, bool)
    allowed[MARGIN:-MARGIN, MARGIN:-MARGIN] = True
    strength = np.where(allowed & wanted, strength, 0.0)
    side = max(SIDE // 2, int(np.sqrt(height * width / most)))
    found = []
    for top in range(MARGIN, height - MARGIN, side):
        for left in range(MARGIN, width - MARGIN, side):
            cell = strength[top : top + side, left : left + side]
            row, column = divmod(int(cell.argmax()), cell.shape[1])
            if cell[row, column] > 0:
                found.append((left + column, top + row))
    corners = np.array(found, dtype=int).reshape(-1, 2)
    values = _cut(level, corners)
    telling = values[..., 0].std(axis=(1, 2)) > LEAST_CONTRAST
    pixels = from_level(corners[telling].astype(float), factor)
    return Patches(factor, pixels, values[telling, ..., :TERMS], values[telling, ..., TERMS:])


def sample(level: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values (N, K) float32 of a level at its pixels `places` (N, K, 2) float32; NaN outside."""
    import cv2

    if not places.size:  # OpenCV refuses an empty map
        return np.zeros(places.shape[:2], np.float32)
    nothing = cast(np.ndarray, None)  # OpenCV's word for both coordinates in one array; its types do not know
    return np.asarray(
        cv2.remap(level, places, nothing, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=float("nan"))
    )


def fit_patches(patches: Patches, seen: np.ndarray, places: np.ndarray) -> Fit:
    """How far each patch is from its `seen` (N, K) values at `places` (N, K, 2) of the frame's level; NaN outside."""
    factors = np.matmul(patches.solver, seen[:, :, None])[:, :, 0].astype(float)
    rest = seen - np.matmul(patches.regressors, factors.astype(np.float32)[:, :, None])[:, :, 0]
    window = _window()
    variance = (rest * rest) @ window / (window.sum() - TERMS * window.mean())
    variance = np.maximum(variance.astype(float), SIGMA_LEAST**2)
    gain = factors[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        cov = patches.noise_gain * (variance / gain**2)[:, None, None]
        shift, blur = factors[:, 2:4] / gain[:, None], factors[:, 4:7] / gain[:, None]
    at = places[:, ::9] % 1.0
    variance_px = (at * (1.0 - at)).mean(axis=1)
    cumulant = (at * (1.0 - at) * (1.0 - 2.0 * at)).mean(axis=1)
    shift = shift - np.einsum("nij,nj->ni", patches.third_gain, cumulant)
    blur_cov = cov[:, 4:7, 4:7]
    unit = np.array([2.0, 1.0, 2.0])  # the factors are half the tensor's, twice the mixed one's half
    blur = blur * unit - np.stack([variance_px[:, 0], np.zeros(len(patches)), variance_px[:, 1]], axis=-1)
    return Fit(shift, cov[:, 2:4, 2:4], blur, blur_cov * np.outer(unit, unit), gain, np.sqrt(variance), seen)


def normalised(values: np.ndarray) -> np.ndarray:
    """Rows (N, K) less their window-weighted mean, of length 1 under the window; 0 where they are flat."""
    window = _window()
    centred = values - (values @ window / window.sum())[:, None]
    centred = centred * np.sqrt(window)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(length > 1e-3, centred / np.maximum(length, 1e-3), 0.0).astype(np.float32)


def _cut(level: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Regressors and third derivatives (N, SIDE, SIDE, TERMS + 2) float32 around whole pixels `corners` (N, 2)."""
    import cv2

    def slope(of: np.ndarray, dx: int, dy: int) -> np.ndarray:
        # five points: the derivative of a cubic through them, which is what the frame is sampled by
        kernel = np.array([1.0, -8.0, 0.0, 8.0, -1.0], np.float32) / 12.0
        one = np.ones(1, np.float32)
        return np.asarray(cv2.sepFilter2D(of, cv2.CV_32F, kernel if dx else one, kernel if dy else one))

    by_x, by_y = slope(level, 1, 0), slope(level, 0, 1)
    by_xx, by_yy = slope(by_x, 1, 0), slope(by_y, 0, 1)
    planes = [level, np.ones_like(level), by_x, by_y, by_xx, slope(by_x, 0, 1), by_yy, np.zeros_like(level)]
    planes += [slope(by_xx, 1, 0), slope(by_yy, 0, 1)]
    stack = np.stack(planes, axis=-1)
    offset = np.arange(-REACH, REACH + 1)
    rows = corners[:, 1, None, None] + offset[None, :, None]
    columns = corners[:, 0, None, None] + offset[None, None, :]
    values = stack[rows, columns]
    # the square about the patch's own mean is nearly orthogonal to its value: the gain stays the contrast's
    middle = values[..., :1].mean(axis=(1, 2), keepdims=True)
    values[..., TERMS - 1] = ((values[..., :1] - middle) ** 2)[..., 0] / 128.0
    return values


def _window() -> np.ndarray:
    """Weights (K,) of a patch's pixels: the middle counts most, so that a square's edge is nowhere felt."""
    return _WINDOW


_AT = np.arange(-REACH, REACH + 1) / (0.6 * REACH)
_WINDOW = np.exp(-0.5 * (_AT[:, None] ** 2 + _AT[None, :] ** 2)).ravel().astype(np.float32)
