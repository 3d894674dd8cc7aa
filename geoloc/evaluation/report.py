"""Figures of an evaluation, each with its interval and protocol: as a table to read and as JSON."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from geoloc.errors import InputError
from geoloc.evaluation.text_table import aligned

HEADER = ("recording", "part", "figure", "value", "95 % interval", "unit", "how")


@dataclass(frozen=True)
class Figure:
    """One measured number of a part of a recording, and how it was measured.

    `low` and `high` bound its 95 % interval, NaN where there is none. A bare `figure` name is the asked
    figure; variants and peers carry a suffix (`moda_offline`, `moda_peer`).
    """

    recording: str
    part: str
    figure: str
    value: float
    low: float
    high: float
    unit: str
    protocol: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise InputError(
                f"figure {self.figure!r} of {self.recording} {self.part}: {self.value} is no number; "
                "leave it out and say why"
            )


def to_json(figures: Iterable[Figure]) -> str:
    """A list of objects with the fields of Figure; an absent bound is null."""
    rows = [asdict(figure) for figure in figures]
    for row in rows:
        row |= {bound: None for bound in ("low", "high") if math.isnan(row[bound])}
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)


def to_table(figures: Sequence[Figure]) -> str:
    """The figures as aligned lines under a header, for a terminal; protocols follow as numbered notes."""
    protocols = list(dict.fromkeys(figure.protocol for figure in figures))
    rows = [_cells(figure, f"[{protocols.index(figure.protocol) + 1}]") for figure in figures]
    notes = [f"[{i}] {protocol}" for i, protocol in enumerate(protocols, 1)]
    return "\n".join([aligned(HEADER, rows), *([""] if notes else []), *notes])


def format_value(value: float) -> str:
    """Four significant digits, never an exponent for what people read as a plain number."""
    if not math.isfinite(value):
        return ""
    if value == 0 or value == int(value):
        return f"{value:.0f}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 6)}f}"


def _cells(figure: Figure, note: str) -> tuple[str, ...]:
    low, high = format_value(figure.low), format_value(figure.high)
    interval = f"{low} to {high}" if low and high else ""
    value = format_value(figure.value)
    return figure.recording, figure.part, figure.figure, value, interval, figure.unit, note

