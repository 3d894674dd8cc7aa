"""A detector's network from a file, by onnxruntime where it is installed, else by OpenCV."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from geoloc.errors import InputError
from geoloc.features.networks import onnx_session

COCO = (  # the 80 classes in the order that most published networks use; _ is a blank
    "person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign parking_meter "
    "bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee "
    "skis snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle "
    "wine_glass cup fork knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake "
    "chair couch potted_plant bed dining_table toilet tv laptop mouse remote keyboard cell_phone microwave oven "
    "toaster sink refrigerator book clock vase scissors teddy_bear hair_drier toothbrush "
)


class Runtime(Protocol):
    """A network that is ready to run."""

    @property
    def side(self) -> tuple[int, int]:
        """(width, height) px of its input; 0: any."""

    @property
    def batch(self) -> int:
        """Pictures that it must be given at once; 0: any number."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of its classes, where the file says them."""

    @property
    def task(self) -> str:
        """What it was made for, where the file says it."""

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Its answers to pictures (N, 3, H, W) float32 RGB 0 to 1."""


@dataclass(frozen=True, eq=False)
class OrtNetwork:
    """By onnxruntime."""

    session: object
    side: tuple[int, int]
    batch: int
    names: tuple[str, ...]
    task: str

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """As `Runtime.run`."""
        session = self.session
        name = session.get_inputs()[0].name  # type: ignore[attr-defined]
        return [np.asarray(array) for array in session.run(None, {name: pixels})]  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class CvNetwork:
    """By OpenCV's own reader of ONNX; one picture at a time."""

    net: object
    side: tuple[int, int] = (0, 0)
    batch: int = 1
    names: tuple[str, ...] = ()
    task: str = ""

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """As `Runtime.run`."""
        self.net.setInput(np.ascontiguousarray(pixels))  # type: ignore[attr-defined]
        names = self.net.getUnconnectedOutLayersNames()  # type: ignore[attr-defined]
        try:
            return [np.asarray(array) for array in self.net.forward(names)]  # type: ignore[attr-defined]
        except cv2.error as error:
            side = f"{pixels.shape[3]}x{pixels.shape[2]}"
            said = f"the network cannot be run by OpenCV on pictures of {side} ({error.err})"
            raise InputError(f'{said}; set onnx.side_px to what it takes, or pip install "geoloc[onnx]"') from error


def open_network(path: str) -> Runtime:
    """The network of an .onnx file; InputError where there is none or nothing can run it."""
    file = Path(path)
    if not path:
        raise InputError('detector "onnx" needs a network; give its file: --weights FILE.onnx')
    if not file.is_file():
        raise InputError(f"{file}: there is no such file of weights")
    if file.suffix.lower() != ".onnx":
        raise InputError(f"{file}: weights of an unknown kind; export the network as ONNX")
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return _by_opencv(file)
    session = onnx_session(file, "detector")
    shape = list(session.get_inputs()[0].shape)
    if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
        raise InputError(f"{file}: takes {shape}; a detector takes pictures (N, 3, height, width)")
    batch, _, height, width = (side if isinstance(side, int) and side > 0 else 0 for side in shape)
    told = dict(session.get_modelmeta().custom_metadata_map)
    return OrtNetwork(session, (width, height), batch, _names(told.get("names", "")), told.get("task", ""))


def _by_opencv(file: Path) -> CvNetwork:
    try:
        return CvNetwork(cv2.dnn.readNetFromONNX(str(file)))
    except cv2.error as error:
        said = f"{file}: not a network that OpenCV can read ({error.err})"
        raise InputError(f'{said}; onnxruntime reads more: pip install "geoloc[onnx]"') from error


def _names(text: str) -> tuple[str, ...]:
    """Names of classes as some exports write them: {0: 'person', ...}."""
    if not text:
        return ()
    try:
        told = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return ()
    return tuple(str(told[key]) for key in sorted(told)) if isinstance(told, dict) else tuple(map(str, told))


def coco_names() -> tuple[str, ...]:
    """The 80 classes of COCO in the order that most published networks use."""
    return tuple(name.replace("_", " ") for name in COCO.split())
