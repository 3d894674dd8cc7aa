"""Detectors by name: what sees objects in frames of a site's cameras.

    detector = find_detector("motion", site, DetectOptions())
    for frames in in_step(sources, 0.05): table = detector.detect(frames)
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from geoloc.errors import unknown_name
from geoloc.options import check_range
from geoloc.perception.background import BackgroundOptions
from geoloc.perception.explaining import ExplainOptions
from geoloc.perception.frames import Frame
from geoloc.perception.motion_options import MotionOptions
from geoloc.perception.onnx_options import OnnxOptions
from geoloc.perception.people_options import PeopleOptions
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections


@dataclass(frozen=True)
class DetectOptions:
    """Options of all detectors, and of how frames are taken."""

    rate: float = 5.0  # Hz at most, of each camera; 0: every frame
    window_s: float = 0.05  # frames of different cameras so close belong together
    foot: bool = True  # say where objects touch the ground, where it is known better than by their boxes
    motion: MotionOptions = field(default_factory=MotionOptions)
    background: BackgroundOptions = field(default_factory=BackgroundOptions)
    explain: ExplainOptions = field(default_factory=ExplainOptions)
    people: PeopleOptions = field(default_factory=PeopleOptions)
    onnx: OnnxOptions = field(default_factory=OnnxOptions)

    def __post_init__(self) -> None:
        check_range(self, rate=(0, 1000), window_s=(0, 60))


class Detector(Protocol):
    """What `DETECTORS` makes; frames of one camera come in order of time."""

    left_out: Counter[str]  # what was seen and not taken for an object, by reason

    def detect(self, frames: Sequence[Frame]) -> Detections:
        """What the frames show, at most one of each camera; ids count from 0."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that it learned."""

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from where `arrays` were taken."""


def _motion(site: Site, options: DetectOptions) -> Detector:
    from geoloc.perception.motion_detector import MotionDetector

    return MotionDetector(site, options.motion, options.background, options.explain, options.foot)


def _people(site: Site, options: DetectOptions) -> Detector:
    from geoloc.perception.people_detector import PeopleDetector

    return PeopleDetector(site, options.people)


def _onnx(site: Site, options: DetectOptions) -> Detector:
    from geoloc.perception.onnx_detector import OnnxDetector

    return OnnxDetector(site, options.onnx, options.foot)


DETECTORS: dict[str, Callable[[Site, DetectOptions], Detector]] = {
    "motion": _motion,
    "people": _people,
    "onnx": _onnx,
}


def find_detector(name: str, site: Site, options: DetectOptions | None = None) -> Detector:
    """The detector of this name for a site; UnknownNameError with the known ones otherwise."""
    if name not in DETECTORS:
        raise unknown_name("detector", name, DETECTORS)
    return DETECTORS[name](site, options or DetectOptions())
