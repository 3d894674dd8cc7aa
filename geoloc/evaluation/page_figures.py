"""The numbers of a report's page: headlines, tables, differences, and the protocol of each."""

import math
import re
from collections.abc import Iterable

from geoloc.draw.charts import whisker
from geoloc.draw.svg import text
from geoloc.evaluation.report import Absent, Difference, Figure, Report
from geoloc.evaluation.report_text import format_interval, format_p_value, format_value

# What people ask for first, by how the figures' names begin; the first that a part has are its headlines.
HEADLINES = {
    "tracking": ("hota", "idf1", "mota", "position_error_median", "t_gospa", "id_switches", "moda"),
    "localization": (
        "recall_0.25m", "recall_0.5m", "median_position_error", "median_rotation_error", "ground_error_median",
        "refusal_rate", "recall",
    ),
    "retrieval": ("map", "cmc@1", "cmc@10", "recall@10", "minp", "ndcg"),
    "uncertainty": ("nees", "coverage_95", "coverage_50", "miscalibration", "sigma_median", "nis", "calibration_error"),
    "robustness": ("mce", "degradation", "clean"),
}  # fmt: skip
FEWEST, MOST = 4, 6
HARDLY = 2  # figures of a part that make no table of their own
LONG = 16  # figures from which on a table that stands alone is set in two halves
OPEN_GROUPS = 8  # tables; of more, only the first are unfolded
CAPITALS = re.compile(
    r"(hota|mot[ap]|mod[ap]|id[fpr]1?|gospa|ospa|cmc|nees|nis|nll|ece|ape|rpe|f[pn]|tp|id|mt|pt|ml|mrr|gps)"
)
WRITTEN = {"map": "mAP", "minp": "mINP", "ndcg": "nDCG", "ids": "IDs", "ospa2": "OSPA(2)", "tgospa": "T-GOSPA"}
HOTA_PARTS = re.compile(r"(det|ass|loc)_(a|re|pr)(?=_|$)")  # which are written DetA, AssRe and so on

Group = tuple[str, str]  # recording and part


class Notes:
    """The protocols of a report by number: printed once, and told wherever a figure refers to one."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers: dict[str, int] = {}

    def link(self, protocol: str) -> str:
        """A number that tells the protocol under the mouse and leads to its text."""
        number = self._numbers.setdefault(protocol, len(self._numbers) + 1)
        return f'<a class="note" href="#{self._prefix}{number}" data-tip="{text(protocol)}">[{number}]</a>'

    def section(self) -> str:
        """All protocols that were referred to."""
        if not self._numbers:
            return ""
        items = "".join(
            f'<li id="{self._prefix}{number}" value="{number}">{text(protocol)}</li>'
            for protocol, number in self._numbers.items()
        )
        return f'<section class="protocols"><h3>How it was measured</h3><ol>{items}</ol></section>'


def label_of(name: str, unit: str = "") -> str:
    """A figure's name as people write it: `id_switches` is ID switches, `error_m` (which is in m) Error."""
    joined = HOTA_PARTS.sub(lambda part: part[1].capitalize() + part[2].capitalize(), name.removesuffix(f"_{unit}"))
    joined = joined.replace("t_gospa", "tgospa")
    words = [_written(word) for word in joined.split("_")]
    first = words[0] if words[0].partition("@")[0] in WRITTEN.values() else words[0][:1].upper() + words[0][1:]
    return " ".join([first, *words[1:]])


def _written(word: str) -> str:
    """A word as people write it: cmc@10 is CMC@10."""
    name, at, rank = word.partition("@")
    return WRITTEN.get(name, name.upper() if CAPITALS.fullmatch(name) else name) + at + rank


def groups_of(figures: Iterable[Figure]) -> dict[Group, list[Figure]]:
    """Figures by recording and part, in the order of their first."""
    groups: dict[Group, list[Figure]] = {}
    for figure in figures:
        groups.setdefault((figure.recording, figure.part), []).append(figure)
    return groups


def headlines(report: Report) -> list[Figure]:
    """The most telling figures: of the part that has most of those that are asked for, then what else there is."""
    wanted = HEADLINES.get(report.family, ())
    groups = list(groups_of(report.figures).values())
    best = max(groups, key=lambda group: len(_picked(group, wanted)), default=[])
    picked = _picked(best, wanted)
    others = [figure for group in (best, *groups) for figure in group]
    for figure in others:
        if len(picked) < FEWEST and figure not in picked:
            picked.append(figure)
    return picked[:MOST]


def domain_of(figure: Figure, report: Report) -> tuple[float, float]:
    """The range on which a figure is drawn: the same for all parts; shares are drawn on all that they can be."""
    same = [f for f in report.figures if (f.figure, f.unit) == (figure.figure, figure.unit)]
    values = [v for f in same for v in (f.value, f.low, f.high) if math.isfinite(v)]
    low, high = min(0.0, *values), max(0.0, *values)
    if figure.unit == "%":
        return low, max(100.0, high)
    if figure.unit == "" and low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, 1.05 * high


def headline_section(report: Report, notes: Notes) -> str:
    """Cards with value, interval and protocol."""
    shown = headlines(report)
    if not shown:
        return ""
    parts = list(groups_of(shown))
    cards = "".join(_headline(figure, report, notes, len(parts) > 1) for figure in shown)
    where = _where(report, parts[0]) if len(parts) == 1 else ""
    return f'<section><h3>Headlines <small>{where}</small></h3><div class="stats">{cards}</div></section>'


def figure_section(report: Report, notes: Notes) -> str:
    """All figures: a table for each part, and one for all parts that have hardly a figure."""
    groups = groups_of(report.figures)
    small = [group for group, figures in groups.items() if len(figures) <= HARDLY]
    large = {group: figures for group, figures in groups.items() if len(small) < 2 or group not in small}
    tables = []
    for i, (group, figures) in enumerate(large.items()):
        unfolded, where = len(large) <= OPEN_GROUPS or i < FEWEST, _where(report, group)
        half = (len(figures) + 1) // 2 if len(groups) == 1 and len(figures) > LONG else len(figures)
        tables.append(_table(where, figures[:half], report, notes, unfolded, named=False))
        if figures[half:]:
            tables.append(_table(f"{where}, continued", figures[half:], report, notes, unfolded, named=False))
    if len(small) > 1:
        rest = [figure for group in small for figure in groups[group]]
        tables.append(_table(f"{len(small)} parts", rest, report, notes, unfolded=True, named=True))
    return f'<section><h3>All figures</h3><div class="tables">{"".join(tables)}</div></section>' if tables else ""


def difference_section(report: Report, notes: Notes) -> str:
    """This run against another, with the interval of each difference around nothing."""
    if not report.differences:
        return ""
    rows = "".join(_difference(d, report, notes) for d in report.differences)
    return (
        '<section><h3>Against the other run <small>paired on the same blocks; a hollow dot could be chance</small></h3>'
        '<div class="card wide"><table class="differences"><thead><tr><th>part</th><th>figure</th>'
        '<th class="number">this</th><th class="number">other</th><th class="number">difference</th>'
        f'<th>95 % interval</th><th class="number">p</th><th>how</th></tr></thead><tbody>{rows}</tbody></table></div>'
        "</section>"
    )


def absent_section(report: Report) -> str:
    """What could not be stated, and why."""
    if not report.absent:
        return ""
    items = "".join(_absent(absent) for absent in report.absent)
    return f'<section><h3>Not stated</h3><div class="card wide"><dl class="absent">{items}</dl></div></section>'


def _headline(f: Figure, report: Report, notes: Notes, several: bool) -> str:
    where = f"<small>{_where(report, (f.recording, f.part))}</small> " if several else ""
    label = text(label_of(f.figure, f.unit))
    return (
        f'<div class="stat"><span class="name">{label} {where}{notes.link(f.protocol)}</span>'
        f'<span class="value">{format_value(f.value)}<small> {text(f.unit)}</small></span>'
        f"{whisker(f.value, f.low, f.high, domain_of(f, report))}"
        f'<span class="range">{_interval(f)}</span><span class="how">{text(f.protocol)}</span></div>'
    )


def _picked(group: list[Figure], wanted: tuple[str, ...]) -> list[Figure]:
    found: list[Figure] = []
    for start in wanted:
        fits = [f for f in group if f.figure.startswith(start) and f not in found]
        exact = [f for f in fits if f.figure == start]
        found += (exact or fits)[:1]
    return found


def _table(
    title: str, figures: Iterable[Figure], report: Report, notes: Notes, unfolded: bool, named: bool
) -> str:
    """A part's figures under its name; rows say their own part where the table is of several (`named`)."""
    rows = "".join(_row(figure, report, notes, named) for figure in figures)
    return (
        f'<details class="card"{" open" if unfolded else ""}><summary>{title}</summary>'
        '<table class="figures"><thead><tr><th>figure</th><th class="number">value</th><th>95 % interval</th>'
        "<th>how</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></details>"
    )


def _row(figure: Figure, report: Report, notes: Notes, named: bool) -> str:
    drawn = whisker(figure.value, figure.low, figure.high, domain_of(figure, report))
    where = f" <small>{_where(report, (figure.recording, figure.part))}</small>" if named else ""
    says = f"{figure.figure}: {format_value(figure.value)} {figure.unit}".strip()
    return (
        f'<tr><th scope="row" data-tip="{text(says)}">{text(label_of(figure.figure, figure.unit))}{where}</th>'
        f'<td class="number"><b>{format_value(figure.value)}</b> <small>{text(figure.unit)}</small></td>'
        f'<td class="spread">{drawn}<small>{_interval(figure)}</small></td><td>{notes.link(figure.protocol)}</td></tr>'
    )


def _difference(d: Difference, report: Report, notes: Notes) -> str:
    reach = _reach(d, report)
    sign = "+" if d.difference > 0 else ""
    p_value = format_p_value(d.p_value)
    interval = format_interval(d)
    return (
        f'<tr><td data-label="part">{text(d.part)}</td><th scope="row">{text(label_of(d.figure, d.unit))}</th>'
        f'<td class="number" data-label="this">{format_value(d.value)} <small>{text(d.unit)}</small></td>'
        f'<td class="number" data-label="other">{format_value(d.against)}</td>'
        f'<td class="number" data-label="difference"><b>{sign}{format_value(d.difference)}</b></td>'
        f'<td class="spread">{whisker(d.difference, d.low, d.high, (-reach, reach), mark=0.0)}'
        f'<small>{interval}</small></td><td class="number" data-label="p">{p_value}</td>'
        f'<td data-label="how">{notes.link(d.protocol)}</td></tr>'
    )


def _reach(d: Difference, report: Report) -> float:
    """How far from nothing the axis of a difference goes: alike for all in per cent, else for all of a name."""
    same = [o for o in report.differences if o.unit == d.unit and (d.unit == "%" or o.figure == d.figure)]
    ends = [abs(v) for o in same for v in (o.low, o.high, o.difference) if math.isfinite(v)]
    return max(ends, default=0.0) or 1.0


def _absent(absent: Absent) -> str:
    where = f" <small>{text(absent.part)}</small>" if absent.part else ""
    return f"<dt>{text(label_of(absent.figure))}{where}</dt><dd>{text(absent.reason)}</dd>"


def _interval(figure: Figure) -> str:
    return format_interval(figure) or "no interval"


def _where(report: Report, group: Group) -> str:
    """The part, with the recording where a report is of several."""
    recording, part = group
    several = len({figure.recording for figure in report.figures}) > 1
    return " · ".join(text(word) for word in ((recording, part) if several else (part or recording,)) if word)
