"""Options of the writers of tracks."""

from dataclasses import dataclass

from geoloc.options import check_range


@dataclass(frozen=True)
class WriteOptions:
    """How tracks are written."""

    probability: float = 0.95  # that the written ellipse holds the object
    fps: float = 0.0  # frames per second of the MOT form
    start: float = 0.0  # s; time of frame 1 of the MOT form

    def __post_init__(self) -> None:
        check_range(self, probability=(1e-9, 1 - 1e-9), fps=(0.0, 1e6), start=(-1e12, 1e12))
