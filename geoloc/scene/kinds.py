"""What is known of a class of objects before any is seen: its size and how it moves.

Labels of detectors differ; `kind_of` reads them. Sizes and motions are typical values for traffic and people,
not fitted to any recording.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Kind:
    """A class of objects. Uncertainties of what a box means on the ground go with its length.

    Detectors take a van for a truck now and then, but no car for a person: labels of one `family` agree.
    """

    family: str
    length: float  # m
    width: float  # m
    height: float  # m
    speed: float  # m/s, standard deviation of a velocity in each axis
    acceleration: float  # m/s^1.5, density of the white-noise acceleration


PERSON = Kind("person", length=0.5, width=0.5, height=1.7, speed=1.5, acceleration=0.8)
BICYCLE = Kind("cycle", length=1.8, width=0.6, height=1.7, speed=4.0, acceleration=1.5)
CAR = Kind("vehicle", length=4.5, width=1.8, height=1.5, speed=8.0, acceleration=2.0)
TRUCK = Kind("vehicle", length=8.0, width=2.5, height=3.0, speed=8.0, acceleration=2.0)
UNKNOWN = Kind("", length=1.0, width=1.0, height=1.7, speed=4.0, acceleration=1.5)

KINDS: dict[str, Kind] = {
    "person": PERSON,
    "pedestrian": PERSON,
    "bicycle": BICYCLE,
    "motorcycle": BICYCLE,
    "car": CAR,
    "vehicle": CAR,
    "van": CAR,
    "truck": TRUCK,
    "bus": TRUCK,
}
GENERIC = frozenset({"", "object", "unknown", "moving object", "foreground", "blob", "motion"})  # any class


def kind_of(label: str) -> Kind:
    """The kind of a detector's label; one of middling size for a label that is not known."""
    return KINDS.get(label.strip().lower(), UNKNOWN)


def family_of(label: str) -> str:
    """The family of a label; a label that is not known is one of its own, and one for anything has none."""
    name = label.strip().lower()
    return "" if name in GENERIC else kind_of(name).family or name


def kind_column(labels: np.ndarray, attribute: str) -> np.ndarray:
    """One attribute of the kinds of `labels` (N,) str or object: (N,) float."""
    if not len(labels):
        return np.zeros(0)
    if (labels == labels[0]).all():  # a site watched for one class: the common case, and the fast one
        return np.full(len(labels), getattr(kind_of(labels[0]), attribute), dtype=float)
    names, row = np.unique(labels.astype(np.str_), return_inverse=True)
    return np.array([getattr(kind_of(name), attribute) for name in names.tolist()], dtype=float)[row]
