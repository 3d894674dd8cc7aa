"""What a hazard is, and the recording that it befalls."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np

from geoloc.errors import InputError
from geoloc.scene.columns import name_codes
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections

N_STRENGTHS = 5  # as ImageNet-C

T = TypeVar("T")


@dataclass(frozen=True)
class Hazard(Generic[T]):
    """One thing that goes wrong at a site, at five strengths.

    `apply(case, strength, rng)` gives the case with the hazard in it and leaves the given one as it is. The same
    state of `rng` at two strengths means the same accident, only worse: the same camera, the same directions.
    GeometryError where the case cannot have the hazard at all.
    """

    name: str
    what: str  # does the hazard do
    unit: str  # of the strengths
    strengths: tuple[float, float, float, float, float]
    apply: Callable[[T, float, np.random.Generator], T]


@dataclass(frozen=True, eq=False)
class Case:
    """A recording as a system under test gets it: nothing of it is truth.

    `delay` (N,) s is how long after its time stamp each detection reaches the system.
    """

    name: str
    site: Site
    detections: Detections
    delay: np.ndarray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        if not len(self.delay):
            object.__setattr__(self, "delay", np.zeros(len(self.detections)))
        if len(self.delay) != len(self.detections) or not (self.delay >= 0).all():
            n = len(self.detections)
            raise InputError(f"case {self.name!r}: {len(self.delay)} delays for {n} detections; give one >= 0 s each")

    def take(self, rows: np.ndarray) -> "Case":
        """The case with the detections that an index or a mask selects."""
        return replace(self, detections=self.detections.take(rows), delay=self.delay[rows])

    def with_columns(self, **columns: np.ndarray) -> "Case":
        """The case with columns of its detections replaced."""
        return replace(self, detections=self.detections.replace(**columns))

    @property
    def frame(self) -> np.ndarray:
        """Number of the camera frame of each detection (N,), from 0 in order of camera, then time."""
        keys = np.stack([self.camera, np.unique(self.detections.time, return_inverse=True)[1]])
        return np.unique(keys, axis=1, return_inverse=True)[1].ravel()

    @property
    def camera(self) -> np.ndarray:
        """Number of the camera of each detection (N,), from 0 among those of the recording by name."""
        return name_codes(self.detections.camera)[1]
