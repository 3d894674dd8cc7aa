"""All hazards of recordings by name."""

from geoloc.evaluation.robustness.box_hazards import BOX_HAZARDS
from geoloc.evaluation.robustness.camera_hazards import CAMERA_HAZARDS
from geoloc.evaluation.robustness.hazard import Case, Hazard

HAZARDS: dict[str, Hazard[Case]] = {**CAMERA_HAZARDS, **BOX_HAZARDS}
