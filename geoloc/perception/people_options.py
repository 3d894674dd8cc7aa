"""Options of OpenCV's people detector."""

from dataclasses import dataclass

from geoloc.options import check_range


@dataclass(frozen=True)
class PeopleOptions:
    """How people are sought."""

    least_score: float = 0.35  # of the support vector machine's margin
    stride_px: int = 8  # between windows
    grow: float = 1.08  # from one scale to the next
    tall_px: float = 110.0  # height of a person in the pictures that are searched, at least; small ones are enlarged
    overlap: float = 0.45  # of two boxes from which they are one person
    height_m: tuple[float, float] = (1.3, 2.2)  # that a box must have on the ground

    def __post_init__(self) -> None:
        check_range(self, least_score=(-10, 10), stride_px=(1, 64), grow=(1.01, 2), tall_px=(96, 1000), overlap=(0, 1))
