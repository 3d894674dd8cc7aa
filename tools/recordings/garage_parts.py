"""The drawn garage's working day in parts of five minutes: boxes at true times, and the truth behind them.

Drawing all of it takes about twenty minutes; with a folder named by GEOLOC_DRAWN, parts are kept there for next time.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from geoloc.evaluation.synthetic_truth import truth_tracks
from geoloc.files import write_whole
from geoloc.pipeline.codec import decode, encode
from geoloc.scene.tables import Detections, Tracks
from geoloc.synthetic import SensorOptions, World, observe_parts, simulate_in_parts

SEED = 8
PART_S = 300.0
SENSOR = SensorOptions(min_height_px=50.0, clock_sigma=0.0)  # aisles between the fields of cameras are blind
KEPT = "GEOLOC_DRAWN"


@dataclass(frozen=True, eq=False)
class Part:
    """What the cameras deliver in five minutes, and what is so."""

    detections: Detections
    object: np.ndarray  # (N,) true object of each detection; -1: a false alarm
    truth: Tracks  # in state "ignored" where no camera shows the object


def draw_parts(world: World, n: int) -> Iterator[Part]:
    """The first `n` parts of the day."""
    folder = os.environ.get(KEPT)
    if not folder:
        yield from islice(_drawn(world), n)
        return
    paths = [Path(folder) / f"garage-{SEED}-{k:03d}" for k in range(n)]
    if not all(path.exists() for path in paths):
        for path, part in zip(paths, _drawn(world), strict=False):
            write_whole(path, encode({"detections": part.detections, "object": part.object, "truth": part.truth}, {}))
    yield from (Part(**decode(path.read_bytes(), {})) for path in paths)


def _drawn(world: World) -> Iterator[Part]:
    rng = np.random.default_rng(SEED)
    truths = simulate_in_parts(world, rng, part=PART_S)
    for seen in observe_parts(world, truths, rng, SENSOR):
        yield Part(seen.detections, seen.object, truth_tracks(seen.truth))


@dataclass(frozen=True, eq=False)
class Clocks:
    """What is wrong with the cameras' clocks: stamp = time + offset + drift × (time - start)."""

    names: tuple[str, ...]
    offset: np.ndarray  # (C,) s, at the start
    drift: np.ndarray  # (C,) s/s
    start: float  # s

    @classmethod
    def draw(cls, world: World, offset_s: float, drift: float, seed: int) -> "Clocks":
        """Offsets and drifts uniform up to those sizes."""
        rng = np.random.default_rng(seed)
        n = len(world.site.cameras)
        ahead, faster = rng.uniform(-offset_s, offset_s, n), rng.uniform(-drift, drift, n)
        return cls(tuple(c.name for c in world.site.cameras), ahead, faster, world.traffic.start_time)

    def stamped(self, detections: Detections) -> Detections:
        """Detections at true times, with their cameras' stamps instead, in order of those."""
        names, code = detections.coded("camera")
        row = np.array([self.names.index(name) for name in names], dtype=int)[code]
        time = detections.time + self.offset[row] + self.drift[row] * (detections.time - self.start)
        return detections.replace(time=time).take(np.argsort(time, kind="stable"))

    def at(self, time: float) -> dict[str, float]:
        """How far (s) each camera's stamps are ahead at a time, less their mean: all that can be known."""
        ahead = self.offset + self.drift * (time - self.start)
        return dict(zip(self.names, (ahead - ahead.mean()).tolist(), strict=True))
