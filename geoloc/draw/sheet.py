"""How a plan view divides its sheet: header, panels, legend below or beside them, note. All in inches."""

from dataclasses import dataclass

from geoloc.draw.extent import Box
from geoloc.draw.style import SUBTITLE_PT

SIDE, HEADER, GAP, PANEL_TITLE, TICKS, NOTE = 0.42, 0.92, 0.34, 0.30, 0.26, 0.48
BESIDE = 2.35  # width of a legend beside the panels
LEGEND_PT = SUBTITLE_PT - 1
LEGEND_LINE = 1.68 * LEGEND_PT / 72
MIN_WIDTH = 7.8


@dataclass(frozen=True)
class Sheet:
    """`n` panels of `size` inches in `columns`; the legend lists `names`, `beside` the panels or below."""

    n: int
    columns: int
    size: tuple[float, float]
    beside: bool
    names: tuple[str, ...] = ()

    @property
    def width(self) -> float:
        """Of the figure."""
        return max(MIN_WIDTH, self._map_width + 2 * SIDE + (BESIDE if self.beside else 0.0))

    @property
    def height(self) -> float:
        """Of the figure."""
        legend = self.legend_rows * LEGEND_LINE
        if self.beside:
            return HEADER + max(self._map_height, legend) + NOTE
        return HEADER + self._map_height + NOTE + legend + 0.22

    @property
    def legend_columns(self) -> int:
        """Entries side by side; all are as wide as the longest name."""
        if self.beside:
            return 1
        widest = LEGEND_PT / 72 * (0.56 * max(map(len, self.names), default=1) + 4.6)
        return max(1, int((self.width - 2 * SIDE) / widest))

    @property
    def legend_rows(self) -> int:
        """Lines of the legend."""
        return -(-len(self.names) // self.legend_columns)

    @property
    def legend_corner(self) -> tuple[float, float]:
        """Upper left corner of the legend, from the figure's upper left corner."""
        if self.beside:
            return SIDE + self._map_width + 0.3, HEADER + self._title
        return SIDE, HEADER + self._map_height + 0.22

    def panel(self, i: int) -> tuple[float, float, float, float]:
        """Left, bottom, width and height of panel `i`, as shares of the figure."""
        row, column = divmod(i, self.columns)
        left = self._indent + column * (self.size[0] + GAP)
        top = HEADER + row * self._step + self._title
        bottom = self.height - top - self.size[1]
        return left / self.width, bottom / self.height, self.size[0] / self.width, self.size[1] / self.height

    @property
    def right(self) -> float:
        """Right edge of the panels or of the legend beside them, from the figure's left."""
        return self.width - SIDE if self.beside else self._indent + self._map_width

    @property
    def _indent(self) -> float:
        return SIDE if self.beside else (self.width - self._map_width) / 2

    @property
    def _title(self) -> float:
        return PANEL_TITLE if self.n > 1 else 0.0

    @property
    def _step(self) -> float:
        return self._title + self.size[1] + TICKS

    @property
    def _map_width(self) -> float:
        return self.columns * (self.size[0] + GAP) - GAP

    @property
    def _map_height(self) -> float:
        return -(-self.n // self.columns) * self._step


def divide(n: int, box: Box, largest: tuple[float, float]) -> tuple[Sheet, float]:
    """Sheet for `n` panels that show `box` (m), and its scale (inches per metre), the largest that fits.

    `largest` is the greatest width of the figure and the greatest height of the panels together, inches.
    """
    width, height = box[2:] - box[:2]

    def scale(columns: int) -> float:
        rows = -(-n // columns)
        room = largest[0] - 2 * SIDE - (columns - 1) * GAP
        return float(min(room / columns / width, largest[1] / rows / height))

    columns = max(range(1, n + 1), key=scale)
    size = (float(width) * scale(columns), float(height) * scale(columns))
    beside = columns * (size[0] + GAP) - GAP + 2 * SIDE + BESIDE <= largest[0]
    return Sheet(n, columns, size, beside), scale(columns)
