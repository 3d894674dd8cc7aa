"""Colours of crops by their names: the eleven basic colour terms (Berlin and Kay 1969), as shares of each pixel.

A name is a region of lightness, chroma and hue in CIE L*a*b*; between regions a pixel is shared.
"""

import numpy as np

UNKNOWN = ""
# Middles (L*, a*, b*) of what the names mean of paint and cloth under daylight; brown is dark orange, pink pale red.
NAMES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "black": ((12.0, 0.0, 0.0), (24.0, 0.0, 0.0)),
    "grey": ((42.0, 0.0, 0.0), (58.0, 0.0, 0.0), (72.0, 0.0, 0.0)),
    "white": ((90.0, 0.0, 0.0), (99.0, 0.0, 0.0)),
    "red": ((42.0, 60.0, 38.0), (28.0, 42.0, 24.0), (52.0, 72.0, 50.0)),
    "orange": ((66.0, 38.0, 66.0), (60.0, 50.0, 58.0)),
    "yellow": ((88.0, -4.0, 78.0), (80.0, 4.0, 58.0), (92.0, -10.0, 50.0)),
    "green": ((50.0, -46.0, 40.0), (36.0, -24.0, 16.0), (74.0, -60.0, 60.0), (62.0, -28.0, 10.0)),
    "blue": (
        *((32.0, 14.0, -50.0), (44.0, -2.0, -34.0), (24.0, 6.0, -26.0), (66.0, -10.0, -28.0)),
        *((16.0, 26.0, -43.0), (16.0, 44.0, -64.0), (28.0, 66.0, -92.0)),  # navy to pure blue: a* is high there
    ),
    "brown": ((32.0, 16.0, 24.0), (44.0, 14.0, 32.0), (24.0, 12.0, 14.0)),
    "pink": ((74.0, 32.0, 4.0), (66.0, 52.0, -2.0)),
    "purple": (
        *((34.0, 36.0, -34.0), (48.0, 44.0, -38.0), (26.0, 22.0, -18.0)),
        *((20.0, 48.0, -48.0), (40.0, 70.0, -68.0)),
    ),
}
SPREAD = np.array([11.0, 9.0, 9.0])  # of a middle: within it a pixel is of that name
CHROMA = 11.0  # a*, b* under which a pixel is no colour but light or dark: paint under lamps and sky has as much
OWN = 0.25  # share of the pixels at which a name is told
# Chosen on rendered cars in a dim garage, by the mean over colours of how many of a colour's views are named right.
TELLING = 3.0
GREYS, BOUNDS, LIGHTER_PART = ("black", "grey", "white"), (43.0, 57.0), 60  # L* between them, at this percentile
LIGHTENED = 0.4  # of the way, for crops that are darker than `MIDDLE`
MIDDLE, GAMMA = 0.18, 2.2
STEPS = 33  # of a table over blue, green and red


def colour_shares(image: np.ndarray) -> np.ndarray:
    """Share of each of the `NAMES` in pixels (..., 3) uint8 BGR: (..., 11) float32, sum 1."""
    cells = (image.astype(np.int32) * (STEPS - 1) + 127) // 255
    return _table()[cells[..., 0], cells[..., 1], cells[..., 2]]


def colour_name(crop: np.ndarray) -> str:
    """The name of a crop's (H, W, 3) uint8 BGR colour, its middle weighing more; "" where no name has `OWN` of it.

    Floors, tyres and windows are grey whatever the paint is: colours weigh `TELLING` times as much. Without one, black,
    grey and white are told by how light the crop's lighter parts are, once what is dark has been lightened.
    """
    even = evened(crop, LIGHTENED) if mean_light(crop) < MIDDLE else crop
    shares = (colour_shares(even) * middle_weight(crop.shape[:2])[..., None]).sum(axis=(0, 1))
    names = np.array(list(NAMES))
    shares = shares * np.where(np.isin(names, GREYS), 1.0, TELLING)
    best = str(names[shares.argmax()])
    if best in GREYS:
        edge = [side // 8 for side in crop.shape[:2]]  # of the box: floor, and what stands behind
        inner = even[edge[0] : crop.shape[0] - edge[0], edge[1] : crop.shape[1] - edge[1]]
        light = float(np.percentile(_lightness(inner), LIGHTER_PART))
        best = GREYS[int(np.searchsorted(BOUNDS, light, side="right"))]
        return best if shares[np.isin(names, GREYS)].sum() >= OWN * shares.sum() else UNKNOWN
    return best if shares.max() >= OWN * shares.sum() else UNKNOWN


def mean_light(crop: np.ndarray) -> float:
    """Mean light, 0 to 1, of a crop (H, W, 3) uint8 in stops, its middle weighing more."""
    return float(np.exp((np.log(_light(crop).mean(axis=2)) * middle_weight(crop.shape[:2])).sum()))


def evened(crop: np.ndarray, share: float) -> np.ndarray:
    """A crop (H, W, 3) uint8 with a share of the way to a mean light of `MIDDLE` gone, in stops."""
    gain = (MIDDLE / mean_light(crop)) ** share
    return np.clip(256.0 * (_light(crop) * gain) ** (1 / GAMMA) - 1.0, 0, 255).astype(np.uint8)


def _light(crop: np.ndarray) -> np.ndarray:
    return ((crop.astype(np.float32) + 1.0) / 256.0) ** GAMMA


def _lightness(image: np.ndarray) -> np.ndarray:
    """L* (H, W) of CIE L*a*b*."""
    import cv2

    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)[..., 0])


def middle_weight(shape: tuple[int, int]) -> np.ndarray:
    """How much each pixel (H, W) float32 of a crop is of the object: the corners of a box are what is behind it."""
    y, x = (np.linspace(-1, 1, side) if side > 1 else np.zeros(1) for side in shape)
    weight = np.exp(-2.0 * (y[:, None] ** 2 + x[None] ** 2) ** 1.5)
    return (weight / weight.sum()).astype(np.float32)


_TABLES: list[np.ndarray] = []


def _table() -> np.ndarray:
    """Shares (STEPS, STEPS, STEPS, 11) of the names over blue, green and red, made once."""
    if not _TABLES:
        import cv2

        level = np.linspace(0.0, 1.0, STEPS, dtype=np.float32)
        grid = np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1)
        lab = cv2.cvtColor(grid.reshape(1, -1, 3), cv2.COLOR_BGR2Lab)[0]
        _TABLES.append(_shares(np.asarray(lab)).reshape(STEPS, STEPS, STEPS, len(NAMES)))
    return _TABLES[0]


def _shares(lab: np.ndarray) -> np.ndarray:
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    # what light adds to grey is taken off: the first CHROMA of every colour
    kept = np.maximum(chroma - 0.5 * CHROMA, 0.0) / np.maximum(chroma, 1e-6)
    lab = np.column_stack([lab[:, 0], lab[:, 1] * kept, lab[:, 2] * kept])
    shares = np.empty((len(lab), len(NAMES)))
    for number, middles in enumerate(NAMES.values()):
        away = (lab[:, None] - np.array(middles)) / SPREAD
        shares[:, number] = -0.5 * (away**2).sum(axis=2).min(axis=1)
    shares = np.exp(shares - shares.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
