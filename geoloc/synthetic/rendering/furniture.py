"""What hangs and stands in a garage: lamps, pipes, signs, doors, and the houses around it."""

import cv2
import numpy as np

from geoloc.synthetic.rendering.atlas import AtlasMaker, Patch
from geoloc.synthetic.rendering.faces import FaceMaker
from geoloc.synthetic.rendering.noise import smooth_noise
from geoloc.synthetic.rendering.surfaces import BLUE, DARK, GREEN, RED, WHITE, as_image, concrete, write

LAMP = (1.5, 0.16, 0.09)  # m
SIDES = 8  # of a pipe


def plain(maker: AtlasMaker, colour: tuple[float, ...], rng: np.random.Generator) -> Patch:
    """A painted thing's texture."""
    return maker.add(as_image(np.array(colour) + 3.0 * smooth_noise((32, 32), 8.0, rng)[..., None]))


def add_lamp(faces: FaceMaker, middle: np.ndarray, number: int, tube: Patch, housing: Patch) -> None:
    """A lamp along x, its top at `middle` (3,) m; it shines below and at its sides."""
    half = np.array([LAMP[0] / 2, LAMP[1] / 2, 0.0])
    low, high = middle - half - [0, 0, LAMP[2]], middle + half
    faces.box(low, high, [tube] * 4, top=housing, bottom=tube, lamp=number)


def add_pipe(faces: FaceMaker, start: np.ndarray, end: np.ndarray, radius: float, patch: Patch) -> None:
    """A level pipe between two points (3,) m, in pieces whose texture repeats."""
    along = end - start
    n_pieces = max(1, round(float(np.linalg.norm(along)) / 6.0))
    aside = np.cross([0.0, 0.0, 1.0], along / np.linalg.norm(along))
    turn = 2 * np.pi * (np.arange(SIDES + 1) + 0.5) / SIDES
    ring = radius * (np.cos(turn)[:, None] * aside + np.sin(turn)[:, None] * [0.0, 0.0, 1.0])
    for piece in range(n_pieces):
        foot = start + along * piece / n_pieces
        for i in range(SIDES):
            strip = patch.part(0, i / SIDES, 1, (i + 1) / SIDES)
            faces.add(foot + ring[i], along / n_pieces, ring[i + 1] - ring[i], strip, cell=2.0)


def pipe_texture(maker: AtlasMaker, colour: tuple[float, ...], rng: np.random.Generator) -> Patch:
    """Around a pipe: joints and hangers, a gleam along its upper side."""
    image = np.ones((32, 480, 3), np.float32) * np.array(colour, np.float32)
    image *= (0.9 + 0.18 * np.cos(np.linspace(0, 2 * np.pi, 32)))[:, None, None]
    for x in (0, 240):
        image[:, x : x + 8] = (96, 98, 100)
        image[:, x + 10 : x + 12] *= 0.6
    return maker.add(as_image(image + 4.0 * smooth_noise((32, 480), 10.0, rng)[..., None]))


def board(maker: AtlasMaker, text: str, colour: tuple[int, int, int], size: tuple[float, float]) -> Patch:
    """A sign with white text on a colour; `size` m, width and height."""
    width, height = (round(side / 0.008) for side in size)
    image = np.full((height, width, 3), colour, np.uint8)
    cv2.rectangle(image, (3, 3), (width - 4, height - 4), WHITE, 2, cv2.LINE_AA)
    write(image[6:-6, 6:-6], text, WHITE, 0.9)
    return maker.add(image)


def door(maker: AtlasMaker, rng: np.random.Generator) -> Patch:
    """A steel door, 1 m x 2.1 m, with its frame, handle and plate."""
    image = np.full((210, 100, 3), 150, np.float32) * np.array([1.0, 1.0, 0.97])
    image += 3.0 * smooth_noise((210, 100), 20.0, rng)[..., None]
    image[:6], image[:, :6], image[:, -6:] = 84, 84, 84
    image[180:] -= 22.0
    found = as_image(image)
    cv2.rectangle(found, (78, 104), (90, 110), (40, 40, 40), -1, cv2.LINE_AA)
    cv2.rectangle(found, (32, 30), (68, 66), (210, 214, 214), -1)
    write(found[124:150, 20:80], "FIRE DOOR", RED)
    return maker.add(found)


def notices(maker: AtlasMaker, rng: np.random.Generator, n: int) -> list[Patch]:
    """Small things on walls, each unlike the others: notices, switch boxes, extinguishers, posters, graffiti."""
    kinds = [_notice, _box, _extinguisher, _poster, _scrawl]
    return [maker.add(kinds[int(rng.integers(len(kinds)))](rng)) for _ in range(n)]


def _notice(rng: np.random.Generator) -> np.ndarray:
    image = np.full((70, 100, 3), (RED, BLUE, GREEN, DARK)[int(rng.integers(4))], np.uint8)
    words = ["NO SMOKING", "10 km/h", "HEIGHT 2.1", "VIDEO", "SOS 112", "PAY HERE", "NO LPG", "ENGINE OFF"]
    write(image[4:-22, 4:-4], words[int(rng.integers(len(words)))], WHITE)
    write(image[-24:-4, 20:-20], f"{rng.integers(100, 1000)}", WHITE)
    return image


def _box(rng: np.random.Generator) -> np.ndarray:
    image = np.full((90, 64, 3), rng.uniform(130, 200), np.float32)
    image[:3], image[-3:], image[:, :3], image[:, -3:] = 70, 70, 70, 70
    for i in range(int(rng.integers(2, 6))):
        image[12 + 12 * i : 18 + 12 * i, 10 : int(rng.integers(24, 54))] = rng.uniform(30, 240, 3)
    return as_image(image)


def _extinguisher(rng: np.random.Generator) -> np.ndarray:
    image = as_image(concrete((100, 50), 0.02, 205.0, rng))
    cv2.rectangle(image, (14, 28), (36, 94), RED, -1, cv2.LINE_AA)
    cv2.circle(image, (25, 28), 11, RED, -1, cv2.LINE_AA)
    cv2.rectangle(image, (20, 8), (30, 20), (30, 30, 30), -1)
    cv2.rectangle(image, (16, 50), (34, 70), WHITE, -1)
    return image


def _poster(rng: np.random.Generator) -> np.ndarray:
    image = np.full((120, 84, 3), rng.uniform(40, 230, 3), np.float32)
    for _ in range(9):
        spot, colour = (rng.random(2) * [84, 120]).astype(int).tolist(), rng.uniform(0, 255, 3).tolist()
        cv2.circle(image, spot, int(rng.integers(5, 30)), colour, -1, cv2.LINE_AA)
    found = as_image(image)
    write(found[88:114, 4:-4], "".join(chr(65 + k) for k in rng.integers(0, 26, 5)), WHITE)
    return found


def _scrawl(rng: np.random.Generator) -> np.ndarray:
    image = as_image(concrete((80, 150), 0.025, 176.0, rng))
    walk = np.array([10.0, 40.0]) + np.cumsum(rng.normal([8, 0], 9, (14, 2)), axis=0)
    line = np.clip(walk, 4, [146, 76]).astype(np.int32)
    cv2.polylines(image, [line], False, rng.uniform(0, 120, 3).tolist(), 4, cv2.LINE_AA)
    return image


def facade(maker: AtlasMaker, rng: np.random.Generator) -> Patch:
    """Front of a house, 24 m x 15 m: rows of windows, of which some stand open or have their blinds down."""
    texel = 0.06
    image = concrete((round(15 / texel), round(24 / texel)), texel, float(rng.uniform(120, 190)), rng)
    image *= 1.0 + rng.uniform(-0.12, 0.12, 3)
    wide, high = rng.uniform(1.0, 1.7), rng.uniform(1.3, 1.8)
    for z in np.arange(1.2, 14.0, 3.0):
        for x in np.arange(1.2, 22.5, wide + 1.3):
            a, b = round(z / texel), round(x / texel)
            c, d = a + round(high / texel), b + round(wide / texel)
            image[a - 1 : c + 1, b - 1 : d + 1] = 205
            image[a:c, b:d] = np.array([88.0, 74.0, 60.0]) * rng.uniform(0.5, 1.4)
            if rng.random() < 0.3:
                image[a : a + round(rng.uniform(0.2, 1.0) * (c - a)), b:d] = 190
            image[a:c, (b + d) // 2] = 205
    return maker.add(as_image(image))


def grounds(maker: AtlasMaker, side: float, rng: np.random.Generator) -> Patch:
    """The land around, `side` m long and wide: streets and grass."""
    n = 800
    texel = side / n
    grass = concrete((n, n), texel, 92.0, rng) * np.array([0.62, 1.0, 0.8])
    street = concrete((n, n), texel, 92.0, rng)
    worn = (smooth_noise((n, n), 60.0, rng) + 0.3 * smooth_noise((n, n), 8.0, rng) > 0.7)[..., None]
    image = np.where(worn, grass, street)
    rows = (np.abs(np.arange(n) - n / 2) * texel)
    for near in (24.0, 46.0):
        road = (rows > near) & (rows < near + 7.0)
        image[road], image[:, road] = street[road], street[:, road]
        kerb = np.flatnonzero(np.diff(road.astype(int)))
        image[kerb], image[:, kerb] = 150, 150
    return maker.add(as_image(image))
