"""What an adjustment took for known of a lens, and is not: carried into the covariance of the camera."""

from dataclasses import replace

import numpy as np

from geoloc.estimators.bundle import Bundle
from geoloc.scene.camera import Camera


def with_held_lens(camera: Camera, alone: Camera, fit: Bundle, index: int) -> Camera:
    """The adjusted `camera`, `index` in its `fit`, with the lens parameters in its covariance that only `alone` freed.

    `alone` is the same camera from its own marks, whose covariance says how well the rest of the lens is known.
    Where the adjustment held a parameter at a wrong value, that pulled what it freed along.
    """
    held = [name for name in alone.freed if name not in camera.freed]
    if not held:
        return camera
    names = (*camera.freed, *held)
    pull = fit.pull(index, held)
    at = [6 + alone.freed.index(name) for name in held]
    known = alone.calib_cov[np.ix_(at, at)]
    cov = np.block([[camera.calib_cov + pull @ known @ pull.T, pull @ known], [known @ pull.T, known]])
    order = [*range(6), *(6 + names.index(name) for name in alone.freed)]
    return replace(camera, freed=alone.freed, calib_cov=cov[np.ix_(order, order)])
