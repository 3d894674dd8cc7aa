"""What an adjustment held of a lens widens its covariance honestly: neither forgotten nor blown up."""

import numpy as np

from geoloc.calibrate.changes import ground_shift
from geoloc.calibrate.quality import ground_sight
from geoloc.calibrate.site import calibrate_site
from geoloc.scene.known import Distances, ImageLines, Known
from geoloc.scene.site import Site
from geoloc.synthetic.trial import calibration_trial

CAMERAS = ("p2-southeast", "p2-southwest")
NOTHING = Known(Distances(), ImageLines())


def test_ground_sigmas_of_a_site_are_of_the_size_of_its_errors() -> None:
    ratios, sigmas = [], []
    for seed in range(3):
        trial = calibration_trial(np.random.default_rng(seed))
        marks = trial.marks.take(np.isin(trial.marks.camera, CAMERAS))
        found = calibrate_site(dict.fromkeys(CAMERAS, (1920, 1080)), marks, trial.site.site_map, NOTHING)
        site = Site("garage", found.cameras, trial.site.site_map)
        for true in (camera for camera in trial.truth if camera.name in CAMERAS):
            sigma = np.median(ground_sight(site, true.name).sigma(site.camera(true.name).calib_cov))
            error = np.median(ground_shift(true, site.camera(true.name), site.site_map))
            ratios.append(error / sigma)
            sigmas.append(sigma)
    # points surveyed to 2 cm, marks of 1 px: a sigma of metres would say nothing, one of millimetres would lie
    assert 0.02 < np.median(sigmas) < 0.15, sigmas  # m; measured 0.05
    assert 0.2 < np.median(ratios) < 1.6, ratios  # measured 0.6
    assert max(ratios) < 3.0, ratios
