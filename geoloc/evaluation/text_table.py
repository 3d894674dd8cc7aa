"""Tables for people: aligned columns of text."""

import re
from collections.abc import Sequence


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines with a head, columns aligned: to the right where every cell but the head is a number or a dash."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(_is_number(cell) for cell in column[1:]) and len(column) > 1 for column in columns]
    lines = []
    for row in (head, tuple("-" * width for width in widths), *rows):
        cells = zip(row, widths, right, strict=True)
        lines.append("  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in cells).rstrip())
    return "\n".join(lines)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[-+]?[\d,]*\.?\d+( %)?|-|nan|", cell) is not None
