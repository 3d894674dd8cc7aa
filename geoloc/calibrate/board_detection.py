"""Finding calibration boards in pictures."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from geoloc.calibrate.board_checks import MAX_BEND, bend, doubt, edges, is_checkered
from geoloc.calibrate.boards import Board, BoardCorners, BoardSearch, RefusedView
from geoloc.errors import InputError, unknown_name

if TYPE_CHECKING:
    import cv2

N_SAMPLES = 3  # pictures in which a board of another size is looked for
PROBES = ((3, 3), (4, 4), (3, 4))  # inner corners from which that search starts
Progress = Callable[[str], None]


def detect_boards(
    pictures: Iterable[tuple[str, np.ndarray]], board: Board, camera: str = "", progress: Progress | None = None
) -> BoardSearch:
    """Find `board` in named pictures (H, W) or (H, W, 3) uint8 of one camera; `progress` is told each name when done.

    Pictures without the board, or too blurred, are refused by name. InputError for pictures of several sizes, and
    where no picture shows the board: if a chessboard of another size is there, that size is said.
    """
    find = _charuco_finder(board) if board.kind == "charuco" else _chessboard_finder(board)
    sizes: dict[tuple[int, int], list[str]] = {}
    tables, refused = [], []
    samples: dict[bool, list[np.ndarray]] = {True: [], False: []}  # some pictures with the board, and some without
    for view, picture in pictures:
        grey = _grey(view, picture)
        sizes.setdefault((grey.shape[1], grey.shape[0]), []).append(view)
        number, pixel, reason = find(grey)
        if reason:
            refused.append(RefusedView(view, reason))
        else:
            n = len(number)
            names = {"camera": np.full(n, camera), "view": np.full(n, view)}
            tables.append(BoardCorners(corner=number, pixel=pixel, **names))
        if len(samples[not reason]) < N_SAMPLES:
            samples[not reason].append(grey)
        if progress is not None:
            progress(view)
    size = _one_size(sizes)
    if not tables:
        raise InputError(_nothing_found(board, refused, samples[False]))
    if board.kind == "chessboard":
        _require_whole(board, samples[True] + samples[False])
    return BoardSearch(BoardCorners.concat(tables), size, tuple(refused))


Found = tuple[np.ndarray, np.ndarray, str]  # numbers (N,), pixels (N, 2), why it does not count or ""
NOTHING = np.empty(0, int), np.empty((0, 2))


def _chessboard_finder(board: Board) -> Callable[[np.ndarray], Found]:
    import cv2

    def find(grey: np.ndarray) -> Found:
        # the sector detector is twice as sharp; it misses some boards that the older one finds, and the other way round
        flags = cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY
        found, pixel = cv2.findChessboardCornersSB(grey, (board.columns, board.rows), flags=flags)
        pixel = np.asarray(pixel, float).reshape(-1, 2) if found else NOTHING[1]
        if not found or bend(board, np.arange(len(pixel)), pixel) > MAX_BEND:
            pixel = _older_detector(grey, board)
        if not len(pixel):
            return *NOTHING, f"shows no whole board of {board.columns} x {board.rows} inner corners"
        pixel = _facing(pixel, board)
        return np.arange(len(pixel)), pixel, doubt(board, np.arange(len(pixel)), pixel, grey)

    return find


def _older_detector(grey: np.ndarray, board: Board) -> np.ndarray:
    import cv2

    found, pixel = cv2.findChessboardCorners(grey, (board.columns, board.rows))
    if not found:
        return NOTHING[1]
    grid = np.asarray(pixel, float).reshape(board.rows, board.columns, 2)
    nearest = min(np.linalg.norm(np.diff(grid, axis=axis), axis=2).min() for axis in (0, 1))
    half = int(np.clip(nearest / 4, 2, 11))  # a window that reaches the next corner is drawn to it
    return _sharpened(grey, grid.reshape(-1, 2), half)


def _sharpened(grey: np.ndarray, pixel: np.ndarray, half: int) -> np.ndarray:
    """Corners (N, 2) px moved to where the gradients within `half` px of them say that they are."""
    import cv2

    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-3)
    start = pixel.reshape(-1, 1, 2).astype(np.float32)
    return np.asarray(cv2.cornerSubPix(grey, start, (half, half), (-1, -1), stop), float).reshape(-1, 2)


def _charuco_finder(board: Board) -> Callable[[np.ndarray], Found]:
    import cv2

    pattern = _charuco_board(board)
    parameters = cv2.aruco.DetectorParameters()
    parameters.detectInvertedMarker = True  # white on black is printed too
    detector = cv2.aruco.CharucoDetector(pattern, cv2.aruco.CharucoParameters(), parameters)

    def find(grey: np.ndarray) -> Found:
        pixel, number, _, markers = detector.detectBoard(grey)
        n_markers = 0 if markers is None else len(np.ravel(markers))
        if number is None or not len(np.ravel(number)):
            return *NOTHING, f"shows {n_markers} markers of {board.dictionary} and no corner of the board"
        number, pixel = np.asarray(number, int).reshape(-1), np.asarray(pixel, float).reshape(-1, 2)
        sides = np.linalg.norm(np.diff(edges(board, number, pixel), axis=1)[:, 0], axis=1)
        if len(sides):
            # as wide as the markers leave room for: more than twice as sharp as the detector's own
            room = 0.9 * 0.5 * (1 - board.marker / board.square) * float(sides.min())
            pixel = _sharpened(grey, pixel, int(np.clip(room, 2, 5)))
        return number, pixel, doubt(board, number, pixel, grey)

    return find


def _charuco_board(board: Board) -> "cv2.aruco.CharucoBoard":
    import cv2

    known = [name for name in dir(cv2.aruco) if name.startswith("DICT_")]
    if board.dictionary not in known:
        raise unknown_name("dictionary", board.dictionary, known, "ArUco markers")
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
    n_markers = board.columns * board.rows // 2
    if n_markers > len(dictionary.bytesList):
        has = f"{board.dictionary} has {len(dictionary.bytesList)}"
        raise InputError(f"board: {board.columns} x {board.rows} squares take {n_markers} markers; {has}")
    pattern = cv2.aruco.CharucoBoard((board.columns, board.rows), board.square, board.marker, dictionary)
    pattern.setLegacyPattern(board.legacy)
    return pattern


def _facing(pixel: np.ndarray, board: Board) -> np.ndarray:
    """A whole board's corners as seen from its front: detectors number some boards as if seen from behind."""
    grid = pixel.reshape(board.rows, board.columns, 2)
    along, next_row = (grid[:, -1] - grid[:, 0]).sum(axis=0), (grid[-1] - grid[0]).sum(axis=0)
    turned = along[0] * next_row[1] - along[1] * next_row[0] < 0
    return (grid[:, ::-1] if turned else grid).reshape(-1, 2)


def _grey(view: str, picture: np.ndarray) -> np.ndarray:
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or 0 in picture.shape:
        raise InputError(f"picture {view!r}: {picture.dtype} {picture.shape}; it must be (H, W) or (H, W, 3) uint8")
    # whichever order the channels have: print is grey
    return picture if picture.ndim == 2 else (picture[..., :3].sum(axis=2, dtype=np.uint16) // 3).astype(np.uint8)


def _one_size(sizes: dict[tuple[int, int], list[str]]) -> tuple[int, int]:
    if not sizes:
        raise InputError("there are no pictures to look for boards in")
    if len(sizes) > 1:
        found = ", ".join(f"{w}x{h} ({len(names)}, such as {names[0]!r})" for (w, h), names in sizes.items())
        raise InputError(f"pictures of several sizes: {found}; a lens belongs to one: leave the others out")
    return next(iter(sizes))


def _nothing_found(board: Board, refused: list[RefusedView], samples: list[np.ndarray]) -> str:
    counted = "squares" if board.kind == "charuco" else "inner corners"
    first = f"the first: {refused[0].view!r} {refused[0].reason}"
    what = f"no board of {board.columns} x {board.rows} {counted} in {len(refused)} pictures"
    if board.kind == "charuco":
        return f"{what}, {first}; check size and dictionary, or try legacy"
    sizes = [size for grey in samples for start in PROBES if (size := _size_there(grey, start))]
    best = max(sizes, key=lambda size: (sizes.count(size) > 1, size[0] * size[1]), default=(0, 0))
    if best[0] * best[1] > 9 and set(best) != {board.columns, board.rows}:
        return f"{what}; there seems to be one of {best[0]} x {best[1]} inner corners: give that, or show it whole"
    return f"{what}, {first}; count the corners where four squares meet"


def _require_whole(board: Board, samples: list[np.ndarray]) -> None:
    """Refuse a size that is only a part of the board in the pictures."""
    asked = (min(board.columns, board.rows), max(board.columns, board.rows))
    sizes = [_size_there(grey, (board.columns, board.rows)) for grey in samples]
    larger = [size for size in sizes if size and size[0] * size[1] > asked[0] * asked[1]]
    for size in larger:
        if larger.count(size) >= 2:
            found = f"{larger.count(size)} of {len(samples)} pictures looked at show {size[0]} x {size[1]}"
            raise InputError(f"board of {asked[0]} x {asked[1]} inner corners: {found}; is the board that one?")


def _size_there(grey: np.ndarray, at_least: tuple[int, int]) -> tuple[int, int] | None:
    """Inner corners, the shorter side first, of a chessboard that is at least so large."""
    import cv2

    flags = cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_LARGER
    found, pixel, kinds = cv2.findChessboardCornersSBWithMeta(grey, at_least, flags)
    if not found:
        return None
    # the search may run on over the board's rim: a row or column there is not checkered
    grid = np.asarray(pixel, float).reshape(*kinds.shape[:2], 2)
    parts = [grid, grid[1:], grid[:-1], grid[:, 1:], grid[:, :-1]]
    good = [part.shape[:2] for part in parts if min(part.shape[:2]) > 1 and is_checkered(part, grey)]
    return (min(good[0]), max(good[0])) if good else None
