"""The lot and its stills, drawn once."""

import numpy as np
import pytest
from survey_lot import lot, stills_of

from geoloc.scene.site import Site


@pytest.fixture(scope="session")
def site() -> Site:
    return lot()


@pytest.fixture(scope="session")
def stills(site) -> dict[str, np.ndarray]:
    return stills_of(site)
