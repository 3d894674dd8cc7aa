"""A recording's tracks, looked at again with what came after: positions, velocities and existence.

Positions are smoothed backwards over the filtered states (Rauch, Tung and Striebel, 1965); existence by the
backward pass of the two-state chain whose forward pass the tracker ran.
"""

import numpy as np

from geoloc.geometry.gaussian import symmetric
from geoloc.pipeline.motion import constant_velocity
from geoloc.pipeline.tracking import TrackingOptions, logit, probability
from geoloc.scene.kinds import kind_column
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks


def smooth(tracks: Tracks, site: Site, options: TrackingOptions | None = None) -> Tracks:
    """`tracks` of all windows of a recording, as `localize` gives them, smoothed.

    What was tentative and later proved real is confirmed from its first point on; gaps between two points of a
    track are filled, and stretches that no later point supports are left out. Motion is constant velocity.
    """
    options = options or TrackingOptions()
    order = np.lexsort((tracks.track, tracks.time))
    tracks = tracks.take(order)
    state = np.concatenate([tracks.xy, tracks.velocity], axis=1)
    cov, log_odds = tracks.cov.copy(), logit(tracks.score)
    support = tracks.object >= 0  # a point now or later
    times, start = np.unique(tracks.time, return_index=True)
    stop = np.append(start[1:], len(tracks))
    noise = options.acceleration * kind_column(tracks.label, "acceleration")
    leave = _leaving(tracks, site, options)
    later = slice(0, 0)
    for k in reversed(range(len(times))):
        now = np.arange(start[k], stop[k])
        if k + 1 < len(times):
            dt = times[k + 1] - times[k]
            place = np.searchsorted(tracks.track[later], tracks.track[now])
            place = np.minimum(place, later.stop - later.start - 1)
            goes_on = tracks.track[later][place] == tracks.track[now]
            rows, after = now[goes_on], later.start + place[goes_on]
            state[rows], cov[rows] = _back(state[rows], cov[rows], state[after], cov[after], dt, noise[rows])
            support[rows] |= support[after]
            log_odds[now] += _hindsight(tracks, log_odds, now, goes_on, later.start + place, leave[now] * dt, options)
        later = slice(start[k], stop[k])
    kept = support & (probability(log_odds) >= options.confirm_probability)
    kept &= _ever_confirmed(tracks)
    return tracks.replace(
        xy=state[:, :2],
        velocity=state[:, 2:],
        cov=symmetric(cov),
        score=probability(log_odds),
        state=np.where(tracks.object < 0, "coasting", "confirmed"),
    ).take(kept)


def _back(
    state: np.ndarray,
    cov: np.ndarray,
    state_after: np.ndarray,
    cov_after: np.ndarray,
    dt: float,
    noise: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """One step of Rauch, Tung and Striebel's smoother for rows (T, 4), (T, 4, 4)."""
    predicted, predicted_cov, transition = constant_velocity(state, cov, dt, noise, 0.0)
    gain = np.linalg.solve(predicted_cov, transition @ cov).swapaxes(1, 2)
    smoothed = state + np.einsum("tij,tj->ti", gain, state_after - predicted)
    return smoothed, cov + gain @ (cov_after - predicted_cov) @ gain.swapaxes(1, 2)


def _leaving(tracks: Tracks, site: Site, options: TrackingOptions) -> np.ndarray:
    """Rate (N,) 1/s at which each row's object leaves: as often as one comes, where one could step out of view."""
    level = site.site_map.level_rows(tracks.level)
    reach = options.reach_sigma * kind_column(tracks.label, "speed")  # in a second
    near_edge = site.visibility.distance_to_unseen(level, tracks.xy) <= reach
    return np.where(near_edge, options.birth_probability, 1.0 / options.lifetime_s)


def _hindsight(
    tracks: Tracks,
    log_odds: np.ndarray,
    now: np.ndarray,
    goes_on: np.ndarray,
    after: np.ndarray,
    leave: np.ndarray,
    options: TrackingOptions,
) -> np.ndarray:
    """What the future says about rows `now` being real: log of P(future | real) / P(future | not)."""
    stays = np.exp(-leave)
    expected = logit(probability(logit(tracks.score[now])) * stays)
    reached = np.where(goes_on, log_odds[after], logit(options.delete_probability))
    return np.log(stays * np.exp(np.clip(reached - expected, -30.0, 30.0)) + (1.0 - stays))


def _ever_confirmed(tracks: Tracks) -> np.ndarray:
    confirmed = np.unique(tracks.track[tracks.state != "tentative"])
    return np.isin(tracks.track, confirmed)
