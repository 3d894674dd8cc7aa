"""Calibration boards: what they are, and their corners as a table.

Corners are numbered along the board's rows: number = row * across + column, the first at the board's origin, x along
a row, y to the next row, z into the board. A ChArUco board's numbers are OpenCV's.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.scene.columns import Column, Table

KINDS = ("chessboard", "charuco")
MOST_ACROSS = 200  # corners; more are a mistake
FEWEST_CORNERS = 6  # of a view; fewer hardly tell a pose from noise


@dataclass(frozen=True)
class Board:
    """A flat calibration board.

    A chessboard counts inner corners, `columns` x `rows`; a ChArUco board counts squares, as its makers do, and has
    markers of side `marker` (m) out of `dictionary`, such as "DICT_4X4_50"; `legacy` is the pattern that OpenCV
    before 4.6 drew when `rows` is even. `square` is the side of a square, m.
    """

    kind: str
    columns: int
    rows: int
    square: float
    marker: float = 0.0
    dictionary: str = ""
    legacy: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("board", self.kind, KINDS)
        fewest = 3 if self.kind == "charuco" else 2
        if not (fewest <= min(self.columns, self.rows) and max(self.columns, self.rows) <= MOST_ACROSS):
            counted = "squares" if self.kind == "charuco" else "inner corners"
            found = f"{self.columns} x {self.rows} {counted}"
            raise InputError(f"board: {found}; each side needs {fewest} to {MOST_ACROSS}")
        if not 0 < self.square < 100:
            raise InputError(f"board: squares of {self.square} m; give the side of one square in metres, such as 0.03")
        if self.kind == "charuco" and not 0 < self.marker < self.square:
            raise InputError(f"board: markers of {self.marker} m must be smaller than the squares of {self.square} m")

    @property
    def across(self) -> int:
        """Corners in a row."""
        return self.columns - 1 if self.kind == "charuco" else self.columns

    @property
    def down(self) -> int:
        """Rows of corners."""
        return self.rows - 1 if self.kind == "charuco" else self.rows

    @cached_property
    def points(self) -> np.ndarray:
        """Corners in the board's frame (K, 3) m, by number."""
        row, column = np.divmod(np.arange(self.across * self.down), self.across)
        return self.square * np.column_stack([column, row, np.zeros(len(row))])

    @property
    def is_oriented(self) -> bool:
        """Whether a corner has the same number in every picture: a chessboard can be taken for itself upside down."""
        return self.kind == "charuco"


class BoardCorners(Table):
    """One row a corner seen: by which camera, in which view, its number on the board, where (px).

    A view is one still, or one moment at which several cameras saw the board: they share its name.
    """

    camera: np.ndarray
    view: np.ndarray
    corner: np.ndarray
    pixel: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "camera": Column(str),
        "view": Column(str),
        "corner": Column(int),
        "pixel": Column(float, (2,), "px"),
    }


@dataclass(frozen=True)
class RefusedView:
    """A picture or view that does not count, and why."""

    view: str
    reason: str


@dataclass(frozen=True, eq=False)
class BoardSearch:
    """Corners found in a camera's pictures of `size` (width, height) px, and the pictures without."""

    corners: BoardCorners
    size: tuple[int, int]
    refused: tuple[RefusedView, ...]
