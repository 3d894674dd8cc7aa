"""Words on pictures and pages: times, lengths of time, numbers, names."""

import numpy as np

from geoloc.scene.columns import LATEST_TIME

UNIX_TIMES = (1e8, LATEST_TIME)  # s; times outside are seconds of a recording without a date


def is_unix(time: float) -> bool:
    """Whether a time can be meant as a date."""
    return UNIX_TIMES[0] <= time < UNIX_TIMES[1]


def time_text(time: float, with_date: bool = False) -> str:
    """A time as UTC, or as seconds where it is not a Unix time."""
    if not is_unix(time):
        return f"{time:.1f} s"
    moment = np.datetime64(round(time * 1000), "ms").astype("datetime64[s]").item()
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if with_date else f"{moment:%H:%M:%S}"


def duration_text(seconds: float) -> str:
    """A length of time in the unit that suits it."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def counted(n: int, thing: str) -> str:
    """A number and a noun in the right form, such as 2 tracks."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def one_line(text: str, longest: int = 60) -> str:
    """`text` without line breaks and control characters, cut to `longest` characters."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"
