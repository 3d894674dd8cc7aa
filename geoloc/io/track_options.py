"""Options of the writers of tracks."""

from dataclasses import dataclass

from geoloc.options import check_range


@dataclass(frozen=True)
class WriteOptions:
    """How tracks are written."""

    probability: float = 0.95  # that the written ellipse holds the object
    track: int = -1  # only the track of this number; -1: all
    fps: float = 0.0  # frames per second of the MOT form
    start: float = 0.0  # s; time of frame 1 of the MOT form
    stall_s: float = 5.0  # a stall whose object was seen at most so long before the end is taken, of APDS and NGSI-LD

    def __post_init__(self) -> None:
        check_range(
            self, probability=(1e-9, 1 - 1e-9), fps=(0.0, 1e6), start=(-1e12, 1e12), stall_s=(0.0, 1e9)
        )
