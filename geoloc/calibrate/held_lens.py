"""What an adjustment took for known of a lens, and is not: carried into the covariance of the camera."""

from dataclasses import replace

import numpy as np

from geoloc.scene.camera import Camera


def with_held_lens(camera: Camera, alone: Camera, points_world: np.ndarray, sigma_px: np.ndarray) -> Camera:
    """The adjusted `camera` with the lens parameters in its covariance that only `alone` has freed.

    `alone` is the same camera from its own marks, whose covariance says how well the rest of the lens is known.
    Parameters that the adjustment held at wrong values pulled what it freed along, by the marks at `points_world`
    (N, 3) m of sigma (N,) px: e = -P Jᵀ W J_held e_held (consider covariance; Tapley, Schutz and Born 2004, ch. 6).
    """
    held = [name for name in alone.freed if name not in camera.freed]
    if not held:
        return camera
    names = (*camera.freed, *held)
    whole = replace(camera, freed=names, calib_cov=np.zeros((6 + len(names),) * 2))
    rows = (whole.jacobians(points_world)[2] / sigma_px[:, None, None]).reshape(-1, 6 + len(names))
    rows = rows[np.isfinite(rows).all(axis=1)]
    n = 6 + len(camera.freed)
    at = [6 + alone.freed.index(name) for name in held]
    known = alone.calib_cov[np.ix_(at, at)]
    pull = -camera.calib_cov @ rows[:, :n].T @ rows[:, n:]
    cov = np.block([[camera.calib_cov + pull @ known @ pull.T, pull @ known], [known @ pull.T, known]])
    order = [*range(6), *(6 + names.index(name) for name in alone.freed)]
    return replace(camera, freed=alone.freed, calib_cov=cov[np.ix_(order, order)])
