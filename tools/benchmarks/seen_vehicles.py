"""A gallery of vehicles as cameras would have seen them: vectors whose likeness follows who, where and when.

A vehicle's look is its colour, its model and what is its own; a view adds the camera's way of seeing and noise, all in
48 dimensions that lie in 256. A vehicle comes in a few visits, each by a handful of cameras within minutes. So rows of
one camera, one hour or one colour look alike, and rows of another camera or hour lie far from a query: what makes
filters hard.
"""

from dataclasses import dataclass

import numpy as np

DIM, INNER = 256, 48
COLORS = ("white", "black", "grey", "silver", "blue", "red", "brown", "green", "orange", "beige", "gold", "pink")
SHARES = np.array([0.27, 0.22, 0.16, 0.12, 0.09, 0.06, 0.035, 0.02, 0.01, 0.01, 0.004, 0.001])
MODELS, CAMERAS, AREA = 400, 1000, 20  # AREA: cameras that lie together, and one vehicle is seen by
VISIT, VIEWS = 10, 50  # rows a visit, rows a vehicle
VISIT_S, DAY_S, DAYS = 600.0, 86_400.0, 30
SPREAD = {"color": 1.0, "model": 0.8, "own": 0.7, "camera": 0.5, "view": 0.45, "noise": 0.02}
BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class Seen:
    """N views: `vectors` (N, 256) float32 of unit length, `fields` (N,) of an index, `vehicle` (N,) int."""

    vectors: np.ndarray
    fields: dict[str, np.ndarray]
    vehicle: np.ndarray


FIELDS = {"camera": str, "color": str, "time": float, "x": float, "y": float, "track": int, "quality": float}


class Fleet:
    """Vehicles that are seen again and again."""

    def __init__(self, n_vehicles: int, rng: np.random.Generator) -> None:
        def looks(n: int, of: str) -> np.ndarray:
            return SPREAD[of] * rng.normal(size=(n, INNER)).astype(np.float32)

        self.color = rng.choice(len(COLORS), n_vehicles, p=SHARES / SHARES.sum())
        self.area = rng.integers(0, CAMERAS // AREA, n_vehicles)
        colors, models = looks(len(COLORS), "color"), looks(MODELS, "model")
        self.look = colors[self.color] + models[rng.integers(0, MODELS, n_vehicles)] + looks(n_vehicles, "own")
        areas = looks(CAMERAS // AREA, "camera")
        self.camera = areas[np.arange(CAMERAS) // AREA] + looks(CAMERAS, "camera") / 2
        self.inner = np.linalg.qr(rng.normal(size=(DIM, INNER)))[0].T.astype(np.float32)

    def views(self, n: int, rng: np.random.Generator) -> Seen:
        """`n` views in the order of time."""
        visits = -(-n // VISIT)
        vehicle = rng.integers(0, len(self.color), visits)
        start = np.sort(rng.uniform(0, DAYS * DAY_S, visits))
        who = np.repeat(vehicle, VISIT)[:n]
        camera = AREA * self.area[who] + rng.integers(0, AREA, n)
        time = np.repeat(start, VISIT)[:n] + rng.uniform(0, VISIT_S, n)
        order = np.argsort(time)
        who, camera, time = who[order], camera[order], time[order]
        fields = {"camera": np.char.add("camera", camera.astype(str)), "color": np.array(COLORS)[self.color[who]]}
        fields |= {"time": time, "x": 40.0 * (camera % 40), "y": 40.0 * (camera // 40)}
        fields |= {"track": np.repeat(np.arange(visits), VISIT)[:n][order], "quality": rng.random(n)}
        vectors = np.empty((n, DIM), np.float32)
        for at in range(0, n, BLOCK):
            some = slice(at, at + BLOCK)
            m = len(who[some])
            view = SPREAD["view"] * rng.standard_normal((m, INNER), np.float32)
            seen = (self.look[who[some]] + self.camera[camera[some]] + view) @ self.inner
            seen += SPREAD["noise"] * rng.standard_normal((m, DIM), np.float32)
            vectors[some] = seen / np.linalg.norm(seen, axis=1, keepdims=True)
        return Seen(vectors, fields, who)
