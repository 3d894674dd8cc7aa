"""A line, or the bearing of a group of lines, that contradicts all else: which one it is, in words."""

import numpy as np

from geoloc.estimators.seen_lines import HORIZON, PLUMB, SeenLines

NAMES = {PLUMB: "the plumb line", HORIZON: "the horizon"}


def in_degrees(angle: float, digits: int) -> str:
    """An angle (rad) for people."""
    return f"{np.degrees(angle):.{digits}f} deg"


def wrong_line(lines: SeenLines, statement: int, directions: tuple[str, ...]) -> str:
    """A sentence on a statement of the lines that was left out; `directions` are the names of their groups."""
    if statement >= len(lines):
        group = statement - len(lines)
        stated = in_degrees(float(lines.bearing[group]), 1)
        return f"the lines of {directions[group]!r} do not run at the stated bearing of {stated}, which was left out"
    group = int(lines.group[statement])
    what = NAMES[group] if group < 0 else f"the line of {directions[group]!r}"
    (u, v), (s, t) = lines.start[statement], lines.end[statement]
    return f"{what} from ({u:.0f}, {v:.0f}) to ({s:.0f}, {t:.0f}) px contradicts all else, and was left out"
