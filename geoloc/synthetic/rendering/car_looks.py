"""Parked cars: boxes with the outline of a car, with glass, lights, wheels and a number plate, in several makes."""

from dataclasses import dataclass

import cv2
import numpy as np

from geoloc.synthetic.rendering.atlas import AtlasMaker, Patch
from geoloc.synthetic.rendering.faces import FaceMaker, Faces
from geoloc.synthetic.rendering.noise import smooth_noise
from geoloc.synthetic.rendering.surfaces import as_image, write

TEXEL = 0.016  # m
GLASS, TYRE, RIM = (62.0, 54.0, 48.0), (30.0, 30.0, 30.0), (150.0, 150.0, 152.0)
COLOURS = (
    (206, 206, 206), (176, 178, 180), (120, 122, 126), (58, 58, 60), (34, 32, 34), (98, 62, 40), (130, 84, 38),
    (40, 40, 142), (52, 88, 58), (120, 150, 168), (226, 228, 230), (72, 50, 96),
)  # fmt: skip


@dataclass(frozen=True)
class CarShape:
    """Size (m), and the outline from the front along the top to the rear: (x, z), x forward from the middle."""

    name: str
    length: float
    width: float
    height: float
    outline: tuple[tuple[float, float], ...]
    belt: float  # z (m) of the windows' lower edge
    glass: tuple[int, ...]  # pieces of the outline that are glass


SHAPES = (
    CarShape("saloon", 4.6, 1.8, 1.45, ((2.3, 0.3), (2.27, 0.68), (1.15, 0.92), (0.4, 1.42), (-0.95, 1.45),
             (-1.65, 1.02), (-2.22, 0.98), (-2.3, 0.35)), 0.9, (2, 4)),
    CarShape("hatchback", 4.0, 1.75, 1.48, ((2.0, 0.3), (1.97, 0.7), (1.1, 0.95), (0.45, 1.44), (-1.3, 1.48),
             (-1.85, 1.0), (-1.97, 0.9), (-2.0, 0.35)), 0.93, (2, 4)),
    CarShape("estate", 4.6, 1.82, 1.5, ((2.3, 0.3), (2.27, 0.7), (1.2, 0.93), (0.5, 1.44), (-1.85, 1.5),
             (-2.2, 1.0), (-2.28, 0.9), (-2.3, 0.35)), 0.92, (2, 4)),
    CarShape("suv", 4.5, 1.9, 1.72, ((2.25, 0.36), (2.23, 0.95), (1.15, 1.1), (0.6, 1.66), (-1.75, 1.72),
             (-2.15, 1.15), (-2.24, 1.0), (-2.25, 0.42)), 1.08, (2, 4)),
    CarShape("van", 4.9, 1.95, 2.0, ((2.45, 0.34), (2.43, 0.95), (1.75, 1.15), (1.05, 1.95), (-2.35, 2.0),
             (-2.43, 1.2), (-2.45, 1.0), (-2.45, 0.4)), 1.15, (2, 4)),
)  # fmt: skip


def draw_car(maker: AtlasMaker, shape: CarShape, colour: np.ndarray, rng: np.random.Generator) -> Faces:
    """Faces of one car about the middle of its footprint, x forward, z up; its textures go to `maker`."""
    faces = FaceMaker()
    half, inset = shape.width / 2, 0.14 * (shape.height - shape.belt) / 0.55
    side, mask = _side(shape, colour, rng)
    low = round((shape.height - shape.belt) / TEXEL)
    for patch, top, bottom, lean in (
        (maker.add(side[low:], mask[low:]), shape.belt, 0.0, 0.0),
        (maker.add(side[:low], mask[:low]), shape.height, shape.belt, inset),
    ):
        down = [0.0, lean, bottom - top]
        # of the right side as one looks at it the front is right, of the left side it is left
        faces.add([-shape.length / 2, -half + lean, top], [shape.length, 0, 0], [0, -lean, bottom - top], patch)
        faces.add([shape.length / 2, half - lean, top], [-shape.length, 0, 0], down, _mirrored(patch))
    for number in range(len(shape.outline) - 1):
        _piece(faces, maker, shape, number, colour, inset, rng)
    return faces.finish()


def _mirrored(patch: Patch) -> Patch:
    return Patch(patch.x + patch.width, patch.y, -patch.width, patch.height, patch.mask)


def _side(shape: CarShape, colour: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A side (H, W, 3) with the front to the right, and where it is (H, W) bool."""
    width, height = round(shape.length / TEXEL), round(shape.height / TEXEL)

    def at(points: np.ndarray) -> np.ndarray:
        return np.rint((points * [1, -1] + [shape.length / 2, shape.height]) / TEXEL - 0.5).astype(np.int32)

    up = shape.height - (np.arange(height) + 0.5) * TEXEL
    shine = np.interp(up, [0.0, 0.45, 0.62, 0.66, shape.belt, shape.height], [0.55, 0.8, 0.95, 1.12, 1.0, 1.1])
    image = np.ones((height, width, 3), np.float32) * colour * shine[:, None, None].astype(np.float32)
    outline = np.array(shape.outline)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [at(outline)], 255, cv2.LINE_AA)
    windows = np.array(shape.outline[2:6])
    middle = windows.mean(axis=0)
    windows = middle + (windows - middle) * [0.86, 0.78]
    windows[:, 1] = np.maximum(windows[:, 1], shape.belt + 0.03)
    cv2.fillPoly(image, [at(windows)], GLASS, cv2.LINE_AA)
    for share in (0.36, 0.7) if shape.name != "hatchback" else (0.45,):
        x = windows[:, 0].min() + share * np.ptp(windows[:, 0])
        post = at(np.array([(x, shape.height), (x - 0.05, shape.belt)]))
        cv2.line(image, post[0].tolist(), post[1].tolist(), tuple((0.7 * colour).tolist()), 5, cv2.LINE_AA)
        seam = at(np.array([(x - 0.05, shape.belt), (x - 0.05, 0.32)]))
        cv2.line(image, seam[0].tolist(), seam[1].tolist(), tuple((0.55 * colour).tolist()), 1, cv2.LINE_AA)
        handle = at(np.array([(x + 0.12, shape.belt - 0.1), (x + 0.3, shape.belt - 0.1)]))
        cv2.line(image, handle[0].tolist(), handle[1].tolist(), tuple((0.45 * colour).tolist()), 2, cv2.LINE_AA)
    for x in (0.31 * shape.length, -0.31 * shape.length):
        hub = at(np.array([[x, 0.32]]))[0].tolist()
        cv2.circle(image, hub, round(0.38 / TEXEL), (22.0,) * 3, -1, cv2.LINE_AA)
        cv2.circle(image, hub, round(0.32 / TEXEL), TYRE, -1, cv2.LINE_AA)
        cv2.circle(image, hub, round(0.2 / TEXEL), RIM, -1, cv2.LINE_AA)
        for turn in np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 1):
            tip = at(np.array([[x + 0.17 * np.cos(turn), 0.32 + 0.17 * np.sin(turn)]]))[0].tolist()
            cv2.line(image, hub, tip, (70.0,) * 3, 3, cv2.LINE_AA)
        cv2.circle(mask, hub, round(0.32 / TEXEL), 255, -1)
    image += 2.0 * smooth_noise((height, width), 6.0, rng)[..., None]
    return as_image(image), _outset(mask)


def _piece(
    faces: FaceMaker, maker: AtlasMaker, shape: CarShape, number: int, colour: np.ndarray, inset: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """One piece of the outline across the car: bumper, bonnet, windscreen, roof, rear window, boot."""
    (x0, z0), (x1, z1) = shape.outline[number], shape.outline[number + 1]
    if x1 > x0 or (x1, z1) == (x0, z0):
        return
    high, low = ((x1, z1), (x0, z0)) if number < 3 else ((x0, z0), (x1, z1))
    length, half = float(np.hypot(x1 - x0, z1 - z0)), shape.width / 2
    size = max(4, round(length / TEXEL)), round(shape.width / TEXEL)
    image = np.ones((*size, 3), np.float32) * colour * np.linspace(1.08, 0.9, size[0])[:, None, None]
    leans = [inset * max(z - shape.belt, 0.0) / (shape.height - shape.belt) for z in (high[1], low[1])]
    mask = np.zeros(size, np.uint8)
    cut = np.array(leans) / TEXEL
    corners = [(cut[0], 0), (size[1] - 1 - cut[0], 0), (size[1] - 1 - cut[1], size[0]), (cut[1], size[0])]
    cv2.fillPoly(mask, [np.rint(np.array(corners) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    if number in shape.glass:
        inner = np.array([(cut[0] + 5, 3), (size[1] - 6 - cut[0], 3), (size[1] - 6 - cut[1], size[0] - 3),
                          (cut[1] + 5, size[0] - 3)])  # fmt: skip
        cv2.fillPoly(image, [np.rint(inner * 16).astype(np.int32)], GLASS, cv2.LINE_AA, 4)
        glare = np.linspace(0.25, 0.0, size[0])[:, None, None] * (image.mean(axis=2, keepdims=True) < 60)
        image += glare * 150.0
    patch_image = as_image(image + 1.5 * smooth_noise(size, 8.0, rng)[..., None])
    if number == 0:
        _lights(patch_image, (210, 232, 240), rng)
    elif number == len(shape.outline) - 2:
        _lights(patch_image, (34, 34, 172), rng)
    patch = maker.add(patch_image, _outset(mask))
    left = -half if number < 3 else half
    faces.add([high[0], left, high[1]], [0, -2 * left, 0], [low[0] - high[0], 0, low[1] - high[1]], patch)


def _outset(mask: np.ndarray) -> np.ndarray:
    """A mask a little larger, with a smooth outline: pieces that adjoin leave no gap."""
    return cv2.GaussianBlur(cv2.dilate(mask, np.ones((3, 3), np.uint8)), (0, 0), 1.2)


def _lights(image: np.ndarray, colour: tuple[int, int, int], rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    for left in (0.03, 0.77):
        box = (round(left * width), round(0.1 * height)), (round((left + 0.2) * width), round(0.42 * height))
        cv2.rectangle(image, *box, colour, -1, cv2.LINE_AA)
        cv2.rectangle(image, *box, (60, 60, 60), 1, cv2.LINE_AA)
    plate = image[round(0.45 * height) : round(0.78 * height), round(0.36 * width) : round(0.64 * width)]
    plate[:] = 226
    letters = "".join(chr(65 + k) for k in rng.integers(0, 26, 2))
    write(plate, f"{letters} {rng.integers(100, 1000)}", (30, 30, 30))
