"""Whether corners that were found are those of a board: flat, checkered, sharp."""

import numpy as np

from geoloc.calibrate.boards import FEWEST_CORNERS, Board

MAX_BEND = 0.08  # of the corners' extent: rms to a homography, beyond which it is no board; strong lenses bend 5 %
MAX_BLUR = 0.35  # of a square: an edge that rises over more is too blurred to have corners
LEAST_CONTRAST = 0.25  # of the median corner's, that every corner of a chessboard has


def doubt(board: Board, number: np.ndarray, pixel: np.ndarray, grey: np.ndarray) -> str:
    """Why these corners do not count, or ""."""
    if len(number) < FEWEST_CORNERS:
        return f"shows {len(number)} corners; {FEWEST_CORNERS} are the fewest"
    if not ((pixel > -1) & (pixel < np.array(grey.shape[::-1]))).all():
        return "some of its corners are found off the picture"
    spread = np.linalg.svd(board.points[number, :2] - board.points[number, :2].mean(axis=0), compute_uv=False)
    if spread[1] < 0.5 * board.square:
        return f"its {len(number)} corners lie on one line of the board"
    off = bend(board, number, pixel)
    if off > MAX_BEND:
        return f"its corners are not those of a flat board: {100 * off:.0f} % of their extent off one"
    if board.kind == "charuco":  # whose markers cannot be read where it is too blurred
        return ""
    if not is_checkered(pixel.reshape(board.rows, board.columns, 2), grey):
        return "dark and bright do not alternate around its corners: it is not the board, or partly hidden"
    blur, square = edge_rise(board, number, pixel, grey)
    if blur > MAX_BLUR * square:
        return f"blurred: its edges rise over {blur:.0f} px, its squares are {square:.0f} px; hold it still, in focus"
    return ""


def bend(board: Board, number: np.ndarray, pixel: np.ndarray) -> float:
    """Root mean square distance to the best homography, as a share of the corners' extent."""
    import cv2

    matrix, _ = cv2.findHomography(board.points[number, :2], pixel)
    if matrix is None:
        return np.inf
    mapped = cv2.perspectiveTransform(board.points[None, number, :2], matrix)[0]
    off = np.sqrt(((mapped - pixel) ** 2).sum(axis=1).mean())
    return float(off / max(np.ptp(pixel, axis=0).max(), 1e-9))


def edge_rise(board: Board, number: np.ndarray, pixel: np.ndarray, grey: np.ndarray) -> tuple[float, float]:
    """Width (px) over which a chessboard's edges rise from dark to bright, and that of a square.

    Medians over the edges of a row's neighbours: across the middle of each, from 10 to 90 % of the step.
    """
    ends = edges(board, number, pixel)
    side = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    if not len(side):
        return 0.0, 0.0
    normal = (ends[:, 1] - ends[:, 0])[:, ::-1] * [-1.0, 1.0] / side[:, None]
    reach = np.linspace(-0.4, 0.4, 41)[None, :, None] * side[:, None, None]
    profile = _brightness(grey, ends.mean(axis=1)[:, None] + reach * normal[:, None])
    profile = np.where((profile[:, -1] < profile[:, 0])[:, None], profile[:, ::-1], profile)
    low, high = profile.min(axis=1, keepdims=True), profile.max(axis=1, keepdims=True)
    share = (profile - low) / np.maximum(high - low, 1.0)
    rising = ((share > 0.1) & (share < 0.9)).sum(axis=1) * 0.02 * side
    return float(np.median(rising)), float(np.median(side))


def edges(board: Board, number: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Ends (E, 2, 2) px of the squares' sides between corners that were found."""
    where = dict(zip(number.tolist(), pixel, strict=True))
    pairs = [(k, k + 1) for k in where if k + 1 in where and (k + 1) % board.across]
    pairs += [(k, k + board.across) for k in where if k + board.across in where]
    return np.array([[where[a], where[b]] for a, b in pairs]).reshape(-1, 2, 2)


def _brightness(grey: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Grey values (...,) at pixels (..., 2), between pixels linearly."""
    from scipy.ndimage import map_coordinates

    return map_coordinates(grey.astype(np.float32), [at[..., 1], at[..., 0]], order=1, mode="nearest")


def is_checkered(grid: np.ndarray, grey: np.ndarray) -> bool:
    """Whether dark and bright alternate around every corner of a grid (R, C, 2) px."""
    along, down = np.gradient(grid, axis=1), np.gradient(grid, axis=0)
    at = [grid + 0.25 * (a * along + b * down) for a, b in ((1, 1), (-1, -1), (1, -1), (-1, 1))]
    bright = _brightness(grey, np.stack(at))
    even = (np.indices(grid.shape[:2]).sum(axis=0) % 2 == 0)[None]
    first, second = np.where(even, bright[:2], bright[2:]), np.where(even, bright[2:], bright[:2])
    brighter, darker = (first, second) if np.median(first - second) > 0 else (second, first)
    # of all four quarters: on the board's rim three of them are bright
    contrast = brighter.min(axis=0) - darker.max(axis=0)
    return bool((contrast > LEAST_CONTRAST * np.median(contrast)).all() and np.median(contrast) > 0)
