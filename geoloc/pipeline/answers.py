"""What questions about a site are answered with, each with where it comes from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Provenance:
    """Where an answer comes from.

    `cameras` had a point of the object around that time (of one that was out of sight: when it was seen last);
    `calibration` is the fingerprint of the cameras that positions were made with; `seen` (s) is the time of the last
    point, `age` (s) how long before that was; `revision` how often the object's past had been corrected.
    """

    cameras: tuple[str, ...]
    calibration: str
    seen: float
    age: float
    revision: int


@dataclass(frozen=True)
class Place:
    """Where an object was at a time.

    `xy` in m, `z` in m, `cov` is the position's covariance in m² (xx, xy, yy), noise and bias together, `sigma` (m)
    its worst standard deviation. `life` is that of the tracks, or what became of it: out_of_sight or gone; the
    position is the last one known then. `score` is the probability that it was there. `asked` is the number asked
    for, and `told` says how the object came to have the number `object`.
    """

    object: int
    asked: int
    time: float
    level: str
    xy: tuple[float, float]
    z: float
    cov: tuple[float, float, float]
    sigma: float
    label: str
    life: str
    score: float
    told: tuple[str, ...]
    provenance: Provenance


@dataclass(frozen=True)
class Stay:
    """An object's stay in a stall, zone or level, from `start` to `end` (s).

    `from_before` and `goes_on`: it was there when the time asked for began, or ended. `depth` (m) is how far inside
    it came, to be held against `sigma` (m): a stay less deep than a sigma or two may have been none. `life` is what
    the object was for most of it.
    """

    object: int
    place: str
    start: float
    end: float
    from_before: bool
    goes_on: bool
    depth: float
    sigma: float
    life: str
    label: str
    also: tuple[int, ...]  # numbers that it had before it was known to be `object`
    provenance: Provenance


@dataclass(frozen=True)
class Phase:
    """A stretch of time, from `start` to `end` (s), in which an object went by a number and was the same, say parked.

    `life` is that of the tracks, or out_of_sight while it was lost and had not come back yet.
    """

    object: int
    start: float
    end: float
    life: str
    label: str


@dataclass(frozen=True)
class StallState:
    """A stall: who is in it now, and who was. `cameras` are those that can see it; without any it is a guess."""

    name: str
    level: str
    time: float
    object: int  # 0: nobody
    cameras: tuple[str, ...]
    history: tuple[Stay, ...]


@dataclass(frozen=True)
class PlaceCount:
    """Which objects stand or move in a stall or zone."""

    name: str
    kind: str
    level: str
    objects: tuple[int, ...]
    watched: bool  # whether any camera sees its middle


@dataclass(frozen=True)
class Occupancy:
    """Who is where at a time. `unsure` are stalls that no camera sees, taken or not."""

    time: float
    places: tuple[PlaceCount, ...]
    stalls: int
    taken: int
    unsure: int
    levels: tuple[tuple[str, int], ...]  # and the number of objects on each
