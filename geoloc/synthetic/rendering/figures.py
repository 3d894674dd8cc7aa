"""People and trees: pictures cut out along their outline."""

import cv2
import numpy as np

from geoloc.synthetic.rendering.atlas import AtlasMaker, Patch
from geoloc.synthetic.rendering.noise import fractal_noise, smooth_noise
from geoloc.synthetic.rendering.surfaces import as_image

PERSON = (0.7, 1.78)  # m, width and height
TREE = (6.0, 8.0)
PERSON_TEXEL, TREE_TEXEL = 0.01, 0.03
SHOE = (30, 28, 30)
SKIN = ((150, 178, 220), (96, 132, 180), (64, 88, 128))


def draw_person(maker: AtlasMaker, rng: np.random.Generator) -> Patch:
    """One person from the front, with clothes of their own."""
    width, height = (round(side / PERSON_TEXEL) for side in PERSON)
    image, mask = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    coat, trousers = (_cloth(rng) for _ in range(2))
    skin = SKIN[int(rng.integers(len(SKIN)))]
    step, middle = int(rng.integers(3, 12)), width // 2

    def draw(points: list[tuple[float, float]], colour: tuple[int, ...]) -> None:
        outline = np.array([(middle + x, y) for x, y in points], np.int32)
        cv2.fillPoly(image, [outline], colour, cv2.LINE_AA)
        cv2.fillPoly(mask, [outline], 255)

    for side in (-1, 1):
        draw([(0, 84), (side * 17, 84), (side * (9 + step), 170), (side * step, 170)], trousers)
        draw([(side * step, 168), (side * (12 + step), 168), (side * (16 + step), 177), (side * step, 177)], SHOE)
        draw([(side * 16, 34), (side * 24, 40), (side * (26 + step // 3), 92), (side * (18 + step // 3), 92)], coat)
        cv2.circle(image, (middle + side * (22 + step // 3), 95), 5, skin, -1)
        cv2.circle(mask, (middle + side * (22 + step // 3), 95), 5, 255, -1)
    draw([(-19, 34), (-8, 30), (8, 30), (19, 34), (18, 92), (-18, 92)], coat)
    draw([(-5, 24), (5, 24), (5, 32), (-5, 32)], skin)
    hair = tuple(rng.integers(15, 90, 3).tolist())
    for canvas, colours in ((image, (skin, hair)), (mask, (255, 255))):
        cv2.ellipse(canvas, (middle, 15), (9, 13), 0, 0, 360, colours[0], -1)
        cv2.ellipse(canvas, (middle, 10), (10, 10), 0, 180, 360, colours[1], -1)
    shade = 1.0 + 0.05 * smooth_noise((height, width), 14.0, rng) - 0.18 * np.abs(np.linspace(-1, 1, width))[None]
    return maker.add(as_image(image * shade[..., None]), cv2.GaussianBlur(mask, (0, 0), 1.0))


def _cloth(rng: np.random.Generator) -> tuple[int, ...]:
    """A muted colour."""
    grey = rng.uniform(25, 150)
    return tuple(np.clip(grey + rng.normal(0, 22, 3), 12, 210).astype(int).tolist())


def draw_tree(maker: AtlasMaker, rng: np.random.Generator, trunk: bool = True) -> Patch:
    """One tree from the side; without its trunk where that is a thing of the map."""
    width, height = (round(side / TREE_TEXEL) for side in TREE)
    rows, columns = np.mgrid[0:height, 0:width]
    far = np.hypot((columns - width / 2) / (0.46 * width), (rows - 0.36 * height) / (0.36 * height))
    ragged = fractal_noise((height, width), [40.0, 16.0, 6.0], [0.13, 0.07, 0.05], rng)
    crown = far + ragged < 0.95
    light = 78.0 - 44.0 * rows / height + fractal_noise((height, width), [30.0, 9.0, 3.0], [14.0, 16.0, 14.0], rng)
    image = light[..., None] * np.array([0.5, 1.05, 0.72])
    stem = (np.abs(columns - width / 2) < 0.022 * width * (1.5 - rows / height)) & (rows > 0.4 * height)
    stem &= ~crown & trunk
    image[stem] = (52, 66, 80)
    return maker.add(as_image(image), np.where(crown | stem, 255, 0).astype(np.uint8))
