"""Tracks as an engine would give them of a truth, without cameras and engine: with errors that their covariances state.

For what learns from tracks over hours: noise of each row, correlated over `noise_s`, and a bias that stays with each
place, as a calibration's error does.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.options import check_range
from geoloc.scene.tables import Tracks
from geoloc.synthetic.truth import Truth


@dataclass(frozen=True)
class TrackErrors:
    """Standard deviations, each in both axes."""

    noise: float = 0.15  # m
    noise_s: float = 1.0  # s over which an error lasts
    bias: float = 0.15  # m
    bias_cell: float = 15.0  # m of ground that shares a bias
    velocity: float = 0.2  # m/s

    def __post_init__(self) -> None:
        check_range(self, noise=(1e-4, 10), noise_s=(1e-3, 1e4), bias=(0, 10), bias_cell=(0.1, 1e4))
        check_range(self, velocity=(1e-4, 10))


def draw_tracks(
    truth: Truth, rng: np.random.Generator, errors: TrackErrors | None = None, seed: int = 0
) -> Tracks:
    """Confirmed tracks in order of time, numbered as the truth's objects. `seed` draws the biases of the ground."""
    errors = errors or TrackErrors()
    truth = truth.take(np.lexsort((truth.time, truth.object)))
    n = len(truth)
    noise = _lasting(truth, rng, errors)
    xy = truth.xyz[:, :2] + noise + _bias(truth, errors, seed)
    velocity = truth.velocity + errors.velocity * rng.standard_normal((n, 2))
    moving = np.hypot(*truth.velocity.T) > 0.3
    velocity[~moving] *= 0.2
    cov = np.zeros((n, 4, 4))
    cov[:, [0, 1], [0, 1]], cov[:, [2, 3], [2, 3]] = errors.noise**2, errors.velocity**2
    tracks = Tracks(
        time=truth.time, track=truth.object, object=np.arange(n), level=truth.level, xy=xy, velocity=velocity, cov=cov,
        bias_cov=np.tile(errors.bias**2 * np.eye(2), (n, 1, 1)), label=truth.label, state=np.full(n, "confirmed"),
        life=np.full(n, "confirmed"),
    )  # fmt: skip
    return tracks.take(np.argsort(tracks.time, kind="stable"))


def _lasting(truth: Truth, rng: np.random.Generator, errors: TrackErrors) -> np.ndarray:
    """Errors (N, 2) m that decay over `noise_s`, of rows in the order of object and time."""
    out = errors.noise * rng.standard_normal((len(truth), 2))
    step = np.diff(truth.time, prepend=np.inf)
    same = np.diff(truth.object, prepend=-1) == 0
    keep = np.where(same & (step > 0), np.exp(-np.maximum(step, 0.0) / errors.noise_s), 0.0)
    gain = np.sqrt(1.0 - keep**2)
    for i in range(1, len(out)):
        if keep[i]:
            out[i] = keep[i] * out[i - 1] + gain[i] * out[i]
    return out


def _bias(truth: Truth, errors: TrackErrors, seed: int) -> np.ndarray:
    """The bias (N, 2) m of each row's place."""
    cells = np.floor(truth.xyz[:, :2] / errors.bias_cell).astype(int)
    names, row = np.unique(cells, axis=0, return_inverse=True)
    streams = [np.random.default_rng([seed, *(x + 100_000 for x in cell)]) for cell in names.tolist()]
    drawn = np.array([stream.standard_normal(2) for stream in streams]).reshape(-1, 2)
    return errors.bias * drawn[row.ravel()]
