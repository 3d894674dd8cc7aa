"""Objects with looks: views of each by several cameras and times, as noisy copies of one vector."""

import numpy as np

from geoloc.retrieval.looks import Looks

START = 1_700_000_000.0
DIM = 32
CAMERAS = ("gate", "hall", "ramp")


def fleet(
    rng: np.random.Generator, n: int = 40, views: int = 6, sigma: float = 0.8, first: int = 1
) -> tuple[Looks, np.ndarray]:
    """`views` looks of each of n objects numbered from `first`, which are there all at once, and their true vectors."""
    true = rng.normal(size=(n, DIM))
    true /= np.linalg.norm(true, axis=1, keepdims=True)
    number = np.repeat(np.arange(n), views)
    k = np.tile(np.arange(views), n)
    vector = true[number] + sigma / np.sqrt(DIM) * rng.normal(size=(n * views, DIM))
    looks = Looks(
        site=np.full(n * views, "yard"),
        camera=np.array(CAMERAS)[k % 3],
        time=START + 20.0 * k + rng.uniform(0, 5, n * views),
        level=np.full(n * views, "ground"),
        xy=np.column_stack([1.0 * number, 2.0 * k]),
        cov=np.tile(0.04 * np.eye(2), (n * views, 1, 1)),
        label=np.where(number % 4 == 3, "truck", "car"),
        track=first + number,
        object=first + number,
        quality=rng.uniform(0.5, 1.0, n * views),
        vector=vector,
        id=np.full(n * views, -1),
    )
    return looks, true


def look(vector: np.ndarray, **known: object) -> Looks:
    """One view."""
    return Looks(vector=np.atleast_2d(vector), **{name: [value] for name, value in known.items()})
