"""What a search of a gallery answers: objects with probabilities, why each, and how likely it is none of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Reason:
    """One signal for or against a match: its log-likelihood ratio, for above 0, and in words."""

    signal: str
    log_ratio: float
    said: str


@dataclass(frozen=True)
class Match:
    """An object that a query may show, with the view that is most alike.

    `object` is -1 where its identity was not decided: it is a camera's `track` then. `probability` is that the query
    shows this object. `view` is the id of the view, `camera`, `time` (s), `level`, `xy` (m) and `sigma` (m) where it
    was seen; NaN and empty where that is not known. `reasons` add up to the log-likelihood ratio.
    """

    site: str
    object: int
    track: int
    probability: float
    cosine: float
    view: int
    camera: str
    time: float
    level: str
    xy: tuple[float, float]
    sigma: float
    label: str
    color: str
    n_views: int
    reasons: tuple[Reason, ...]

    @property
    def log_ratio(self) -> float:
        """How much likelier all that is known is of this object than of another, in nats."""
        return float(sum(reason.log_ratio for reason in self.reasons))

    @property
    def name(self) -> str:
        """What to call it."""
        return f"object {self.object}" if self.object >= 0 else f"track {self.track} of {self.camera}"

    def __str__(self) -> str:
        what = " ".join(word for word in (self.color, self.label) if word)
        who = f"{self.probability:6.1%}  {self.name}" + (f", {what}" if what else "")
        return f"{who}: {'; '.join(reason.said for reason in self.reasons)}"


@dataclass(frozen=True)
class Matches:
    """The best objects for one query, likeliest first.

    `not_here` is the probability that the query shows none of the objects that were searched, `unlisted` that it is
    one of them which is not listed. `n_objects` were searched, about. `likeness` says how looks were judged.
    """

    matches: tuple[Match, ...]
    not_here: float
    unlisted: float
    n_objects: int
    likeness: str

    def __len__(self) -> int:
        return len(self.matches)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    def __getitem__(self, rank: int) -> Match:
        return self.matches[rank]

    @property
    def best(self) -> Match | None:
        """The likeliest object; None where it is likelier that the query shows none of them."""
        if not self.matches or self.matches[0].probability < self.not_here:
            return None
        return self.matches[0]

    @property
    def probabilities(self) -> np.ndarray:
        """Of the matches: (M,)."""
        return np.array([match.probability for match in self.matches], float)

    def __str__(self) -> str:
        none = f"{self.not_here:6.1%}  not here"
        lines = [str(match) for match in self.matches]
        place = 0 if self.best is None else len(lines)
        lines.insert(place, none)
        return "\n".join(lines)
