"""What `geoloc search` tells: objects with reasons, where each is and has been, as text and as JSON."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from geoloc.cli.ask import place_in_words

if TYPE_CHECKING:
    from geoloc.pipeline.whereabouts import Stretch, Whereabouts
    from geoloc.retrieval.matches import Matches

LIKELY = 0.05  # probability from which on it is told in words where an object is


def plain_answer(matches: "Matches", found: "tuple[Whereabouts, ...]") -> dict[str, Any]:
    """An answer for machines."""
    return {
        "not_here": matches.not_here,
        "unlisted": matches.unlisted,
        "objects_searched": matches.n_objects,
        "likeness": matches.likeness,
        "matches": [_without_nan(asdict(match)) for match in matches],
        "whereabouts": [_without_nan(asdict(each)) for each in found],
    }


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: null."""
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def told_answer(matches: "Matches", found: "tuple[Whereabouts, ...]") -> str:
    """An answer in words."""
    lines = [str(matches), f"{matches.n_objects:,} objects searched; likeness {matches.likeness}"]
    for each in (one for one in found if one.probability >= LIKELY):
        lines.append("")
        if each.now is None:
            lines.append(f"{each.matches[0].name}: {each.why}")
            continue
        lines += [*each.now.told, f"now, {each.probability:.1%}: {place_in_words(each.now)}"]
        lines += [f"  {_stretch(stretch)}" for stretch in each.been]
    return "\n".join(lines)


def _stretch(stretch: "Stretch") -> str:
    from geoloc.pipeline.queries import clock

    (x0, y0), (x1, y1) = stretch.first.xy, stretch.last.xy
    where = f"{stretch.first.level} x {x0:.1f} y {y0:.1f}"
    if (x1 - x0) ** 2 + (y1 - y0) ** 2 > 1.0 or stretch.first.level != stretch.last.level:
        where += f" to {stretch.last.level} x {x1:.1f} y {y1:.1f}"
    return f"{clock(stretch.start)} to {clock(stretch.end)}: {stretch.life}, {where} m"
