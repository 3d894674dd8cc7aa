"""Options of the detector that needs no weights."""

from dataclasses import dataclass

from geoloc.options import check_range


@dataclass(frozen=True)
class MotionOptions:
    """At what scale frames are worked on, and when bodies are believed."""

    most_px: int = 640  # width of the pictures that are worked on, at most
    least_px: int = 400
    px_per_m: float = 18.0  # that a person far away must have, at most of the cameras' ground
    stands_s: float = 1.2  # after which a body that does not move is kept where it is
    stands_m: float = 0.25  # that it may seem to move meanwhile
    lately_s: float = 3.0  # in which what stands becomes background to what passes before it
    person_stands_s: float = 25.0  # longer nobody stands without moving: it is part of the scene
    close_px: int = 7  # gaps in a mask up to this are closed
    sigma_px: float = 2.0  # of an outline's edge, px of the pictures that are worked on
    sigma_size: float = 0.08  # of a body's length: how well its outline tells the middle of its footprint

    def __post_init__(self) -> None:
        check_range(self, most_px=(64, 8192), least_px=(64, self.most_px), px_per_m=(0.1, 1000), stands_s=(0, 3600))
        check_range(self, stands_m=(0, 100), close_px=(1, 99), sigma_px=(0.01, 100), sigma_size=(0, 10))
