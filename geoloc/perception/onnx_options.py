"""Options of networks from files."""

from dataclasses import dataclass

from geoloc.options import check_range


@dataclass(frozen=True)
class OnnxOptions:
    """Which network, and what of its answers is taken."""

    weights: str = ""  # path of the .onnx file
    family: str = ""  # of FAMILIES; empty: by the shape of its answers
    classes: tuple[str, ...] = ()  # names of its classes in order; empty: what the file says, else COCO's
    take: tuple[str, ...] = ("person", "bicycle", "motorcycle", "car", "van", "bus", "truck")  # classes that are kept
    least_score: float = 0.3
    overlap: float = 0.6  # of two boxes of one class from which the weaker is left out
    side_px: int = 640  # of its input, where the file leaves it open
    tiles: bool = False  # look at far ground in tiles, so that objects have one scale
    px_per_m: float = 24.0  # that objects shall have in tiles

    def __post_init__(self) -> None:
        check_range(self, least_score=(0, 1), overlap=(0, 1), side_px=(32, 8192), px_per_m=(0.1, 1000))
