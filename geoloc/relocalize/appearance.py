"""What a frame looks like apart from where it looks: too dark, too bright, blurred, shaken, hidden."""

from dataclasses import dataclass

import numpy as np

from geoloc.relocalize.alignment import View
from geoloc.relocalize.reference import Reference, contrast_of

BLACK, WHITE = 16, 250  # grey levels: video's black, and where sensors saturate
MOST = 0.5  # share of the pixels from which on a frame is called dark or overexposed
SHAKEN_PX = 1.5  # standard deviation along a line that a shake adds over that across it
SHAKEN_SIGMA = 4.0
FLAT = 0.25  # of the reference's contrast: less is nothing to see
MOST_FLAT = 0.5  # share of the cells that showed something, from which on a picture in which they are flat is covered
CELLS = (8, 6)  # along a picture's width and height
HINT = -4.0  # log10 of a chance: a few landmarks may still be there


@dataclass(frozen=True)
class Appearance:
    """Mean grey level, shares of pixels that are black or white, contrast from fine to coarse, and in each cell."""

    mean: float
    black: float
    white: float
    contrast: np.ndarray
    cells: np.ndarray

    @property
    def named(self) -> dict[str, bool]:
        """Which conditions hold."""
        return {"dark": self.black > MOST, "overexposed": self.white > MOST}


@dataclass(frozen=True, eq=False)
class Blur:
    """The blur that a frame has besides the reference's: its tensor (2, 2) px², what that is worth (3, 3), its axes.

    `sigma_px` (2,) standard deviations along its longer and its shorter axis; 0 where the frame is sharper.
    """

    tensor: np.ndarray
    cov: np.ndarray
    sigma_px: np.ndarray


def appearance_of(image: np.ndarray) -> Appearance:
    """Of grey values (H, W) uint8."""
    thin = image[::4, ::4]
    return Appearance(
        mean=float(thin.mean()),
        black=float((thin <= BLACK).mean()),
        white=float((thin >= WHITE).mean()),
        contrast=contrast_of(image),
        cells=contrast_in_cells(image),
    )


def contrast_in_cells(image: np.ndarray) -> np.ndarray:
    """Mean slopes (CELLS) of a picture shrunk to a half, grey levels a pixel, in each cell of a grid."""
    import cv2

    columns, rows = CELLS
    width, height = (max(side // 2 // n, 2) * n for side, n in zip(image.shape[::-1], CELLS, strict=True))
    small = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    slope = np.abs(np.diff(small, axis=1, append=small[:, -1:])) + np.abs(np.diff(small, axis=0, append=small[-1:]))
    return slope.reshape(rows, height // rows, columns, width // columns).mean(axis=(1, 3))


def blur_of(view: View) -> Blur:
    """The blur on which the patches that were found agree: their median, which half of them cannot bend."""
    rows = np.flatnonzero(view.found)
    factor = view.level.patches.factor
    if len(rows) < 3:
        return Blur(np.zeros((2, 2)), np.eye(3), np.zeros(2))
    each = factor**2 * view.fit.blur[rows]
    middle = np.median(each, axis=0)
    spread = 1.4826 * np.median(np.abs(each - middle), axis=0)
    tensor = np.array([[middle[0], middle[1]], [middle[1], middle[2]]])
    values = np.linalg.eigvalsh(tensor)[::-1]
    return Blur(tensor, np.diag(1.57 * spread**2 / len(rows)), np.sqrt(np.maximum(values, 0.0)))


def shaken_by(blur: Blur) -> bool:
    """Whether a frame is blurred along one line: more than along the other, beyond doubt."""
    values = np.linalg.eigvalsh(blur.tensor)
    sigma = np.sqrt(blur.cov[0, 0] + blur.cov[2, 2])
    return bool(values[1] - values[0] > max(SHAKEN_PX**2, SHAKEN_SIGMA * sigma))


def hidden_by(looks: Appearance, reference: Reference, doubt: float) -> tuple[str, str]:
    """State and reason of a frame in which the scene was not found."""
    share = looks.contrast / np.maximum(reference.contrast, 1e-6)
    if looks.named["dark"]:
        return "dark", f"{100 * looks.black:.0f} % of the picture is black"
    if looks.named["overexposed"]:
        return "overexposed", f"{100 * looks.white:.0f} % of the picture is white"
    if share.max() < FLAT:
        return "blocked", f"nothing to see: at most {100 * share.max():.0f} % of the contrast that was there"
    before = contrast_in_cells(reference.image)
    shows = before > np.median(before) / 2
    flat = float((looks.cells[shows] < FLAT * before[shows]).mean()) if shows.any() else 0.0
    # fog flattens everything, a thing close by leaves what is beside it
    if flat > MOST_FLAT and (looks.cells[shows] > 0.5 * before[shows]).any():
        return "blocked", f"{100 * flat:.0f} % of what showed something is flat"
    if share[0] < FLAT and share[-1] > 2.0 * share[0]:
        return "blurred", f"fine contrast is {100 * share[0]:.0f} % of what it was, coarse {100 * share[-1]:.0f} %"
    if doubt < HINT:
        return "blocked", f"too few landmarks are left to say where it looks (chance 10^{doubt:.1f})"
    return "another scene", "a clear picture with none of the camera's landmarks at a common place"
