"""Recordings of nonsense: the engine keeps going, tells what it dropped, and the order of the rows is nothing to it."""

import numpy as np
import pytest
from sites import DISTORTED, FISHEYE, PINHOLE, square

from geoloc.options import merge_options
from geoloc.pipeline.localizer import Localizer, LocalizerOptions, localize, replay
from geoloc.pipeline.smoothing import smooth
from geoloc.scene.tables import Detections, Tracks

OTHERWISE = {"tracking": {"motion": "coordinated_turn"}, "window_s": 1.0, "fusion": {"shared_bias": True}}


def nonsense(rng: np.random.Generator, n: int) -> Detections:
    """Boxes anywhere, some of them broken, of cameras and classes that are known or not, with odd times and scores."""
    middle, size = rng.uniform(-100, 2000, (n, 2)), rng.lognormal(3.5, 1.5, (n, 2))
    box = np.concatenate([middle - size / 2, middle + size / 2], axis=1)
    broken = rng.random(n) < 0.1
    box[broken] = rng.choice([np.nan, np.inf, -np.inf, 0, 1e300, -1e300], (int(broken.sum()), 4))
    time = 1.7e9 + np.round(rng.uniform(0, 20, n), int(rng.integers(1, 4)))
    time[rng.random(n) < 0.02] = np.nan
    embedding = rng.normal(size=(n, 3)).astype(np.float32)
    embedding[rng.random(n) < 0.1] = rng.choice([np.nan, np.inf, 0.0])
    return Detections(
        id=np.arange(n),
        time=time,
        camera=rng.choice(["A", "B", "C", "D", "E"], n),
        box=box,
        label=rng.choice(["person", "car", "", "dog", "truck"], n),
        score=np.where(rng.random(n) < 0.05, rng.choice([np.nan, 2.0, -1.0]), rng.random(n)),
        embedding=embedding,
    )


def assert_finite(tracks: Tracks) -> None:
    for name, values in tracks:
        if name in ("heading", "height", "height_var"):  # NaN: none is known
            continue
        assert values.dtype.kind != "f" or np.isfinite(values).all(), name


@pytest.mark.parametrize("lens", [PINHOLE, DISTORTED, FISHEYE], ids=lambda lens: lens.model)
@pytest.mark.parametrize("changes", [{}, OTHERWISE], ids=["defaults", "otherwise"])
def test_nonsense_neither_stops_the_engine_nor_gets_lost(lens, changes, rng):
    site, options = square(lens), merge_options(LocalizerOptions(), changes)
    table = nonsense(rng, 150)
    localizer = Localizer(site, options)
    used, steps = 0, []
    for tracks in replay(localizer, table):
        steps.append(tracks)
        used += len(localizer.points)
    assert used + localizer.dropped.total() == len(table)
    assert used > 20
    tracks = Tracks.concat(steps)
    assert_finite(tracks)
    assert_finite(smooth(tracks, site, options.tracking))
    assert localize(table.take(rng.permutation(len(table))), site, options) == tracks
