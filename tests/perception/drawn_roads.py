"""Drawn traffic whose lanes and stalls are known."""

import numpy as np

from geoloc.scene.tables import Tracks


def tracks_table(track, time, xy, velocity, label="car", sigma=0.15, bias=0.1, velocity_sigma=0.2) -> Tracks:
    """Confirmed tracks in order of time."""
    n = len(track)
    cov = np.zeros((n, 4, 4))
    cov[:, [0, 1], [0, 1]], cov[:, [2, 3], [2, 3]] = sigma**2, velocity_sigma**2
    tracks = Tracks(
        time=time, track=track, object=np.arange(n), level=np.full(n, "ground"), xy=xy, velocity=velocity, cov=cov,
        bias_cov=np.tile(bias**2 * np.eye(2), (n, 1, 1)), label=np.full(n, label), state=np.full(n, "confirmed"),
    )  # fmt: skip
    return tracks.take(np.argsort(tracks.time, kind="stable"))


def passages(rng, n, y, speed=8.0, length=60.0, first=0, start=0.0, every=8.0, spread=0.25) -> Tracks:
    """n vehicles along y = const from x = 0; a negative speed drives the other way."""
    time = np.arange(0.0, length / abs(speed), 0.2)
    parts = []
    for i in range(n):
        x = speed * time + (0.0 if speed > 0 else length)
        xy = np.column_stack([x, np.full(len(x), y + spread * rng.standard_normal())])
        xy += 0.15 * rng.standard_normal(xy.shape)
        velocity = np.tile([speed, 0.0], (len(x), 1))
        parts.append(tracks_table(np.full(len(x), first + i), start + i * every + time, xy, velocity))
    return Tracks.concat(parts)


def parked(rng, places, first=0, start=0.0, lasts=60.0, axis=np.pi / 2, spread=0.15) -> Tracks:
    """A vehicle that comes in along `axis` and stands at each of places (S, 2) m."""
    time = np.arange(0.0, lasts, 0.2)
    parts = []
    for i, place in enumerate(places):
        at = place + spread * rng.standard_normal(2)
        xy = at + 0.1 * rng.standard_normal((len(time), 2))
        velocity = np.zeros((len(time), 2))
        velocity[0] = 1.5 * np.array([np.cos(axis), np.sin(axis)])
        parts.append(tracks_table(np.full(len(time), first + i), start + time, xy, velocity))
    return Tracks.concat(parts)


def in_time(*tables: Tracks) -> Tracks:
    """Tables as one, in order of time."""
    whole = Tracks.concat(list(tables))
    return whole.take(np.argsort(whole.time, kind="stable"))
