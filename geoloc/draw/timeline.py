"""Stretches of time on lanes, the dearer the darker."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.draw.svg import short, text
from geoloc.draw.words import time_text

LANE, FOOT = 20, 22  # px: a lane's bar, the times below all
N_COLOURS = 7
NARROWEST = 0.8  # per cent of the width
N_TICKS = 4


@dataclass(frozen=True)
class Stretch:
    """From `start` to `end` s on a lane; `cost` decides the colour, `says` is told under the mouse."""

    lane: str
    start: float
    end: float
    cost: float
    says: str


def timeline(stretches: Sequence[Stretch]) -> str:
    """The stretches over one axis of time, each lane by its name, as wide as there is room."""
    lanes = list(dict.fromkeys(s.lane for s in stretches))
    low, high = min(s.start for s in stretches), max(s.end for s in stretches)
    span = high - low if high > low else 1.0
    dearest = max(max(s.cost for s in stretches), 1e-12)
    parts = []
    for lane in lanes:
        own = sorted((s for s in stretches if s.lane == lane), key=lambda s: s.cost)
        bars = "".join(_bar(s, low, span, dearest) for s in own)
        paper = f'<rect class="lane-paper" width="100%" height="{LANE}" rx="4"/>'
        parts.append(f'<div>{text(lane)}</div><svg height="{LANE}">{paper}{bars}</svg>')
    return f'<div class="timeline">{"".join(parts)}<svg height="{FOOT}">{axis_of_times(low, span)}</svg></div>'


def _bar(s: Stretch, low: float, span: float, dearest: float) -> str:
    width = max(100 * (s.end - s.start) / span, NARROWEST)
    left = min(100 * (s.start - low) / span, 100 - width)
    colour = 1 + round((N_COLOURS - 2) * float(np.clip(s.cost / dearest, 0, 1)))
    return (
        f'<rect class="h{colour}" x="{left:.2f}%" width="{width:.2f}%" height="{LANE}" rx="3" '
        f'data-tip="{text(s.says)}"/>'
    )


def axis_of_times(low: float, span: float) -> str:
    """Ticks and times (s) below lanes that are as wide as there is room."""
    parts = []
    for i in range(N_TICKS + 1):
        share = 100 * i / N_TICKS
        anchor = "start" if i == 0 else "end" if i == N_TICKS else "middle"
        hidden = ' class="between"' if i % 2 else ""
        parts.append(f'<line class="tick" x1="{short(share)}%" x2="{short(share)}%" y1="0" y2="5"/>')
        says = text(time_text(low + span * i / N_TICKS))
        parts.append(f'<text{hidden} x="{short(share)}%" y="18" text-anchor="{anchor}">{says}</text>')
    return "".join(parts)
