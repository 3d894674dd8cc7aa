"""The recordings that `tools/accuracy.py` can run: one module each, `run(folder)` makes its figures.

What is DRAWN or runs ON_REQUEST needs no recording: its `run()` draws sites whose truth is known.
"""

from collections.abc import Callable
from pathlib import Path

from geoloc.evaluation.report import Figure
from recordings import (
    brnocompspeed,
    brnocompspeed_lanes,
    caliscope,
    cityflow,
    cityflow_search,
    cmc,
    cmc_search,
    dlp,
    drawn_calibration,
    drawn_survey,
    fleet,
    garage_drift,
    garage_film,
    garage_search,
    garage_stills,
    garage_upkeep,
    garage_walks,
    long_garage,
    meva,
    meva_calibration,
    meva_drift,
    meva_joint,
    meva_named,
    meva_parking,
    meva_stills,
    multiviewx,
    people_ties,
    pets,
    pose2sim,
    sacre_coeur,
    sped,
    sped_search,
    strecha,
    wildtrack,
)

RECORDINGS: dict[str, Callable[[Path], list[Figure]]] = {
    "wildtrack": wildtrack.run,
    "multiviewx": multiviewx.run,
    "meva": meva.run,
    "cityflow": cityflow.run,
    "cmc": cmc.run,
    "cityflow_search": cityflow_search.run,
    "cmc_search": cmc_search.run,
    "pets2009": pets.run,
    "sped": sped.run,
    "sped_search": sped_search.run,
    "meva_calibration": meva_calibration.run,
    "meva_joint": meva_joint.run,
    "meva_drift": meva_drift.run,
    "meva_named": meva_named.run,
    "meva_parking": meva_parking.run,
    "meva_stills": meva_stills.run,
    "brnocompspeed": brnocompspeed.run,
    "brnocompspeed_lanes": brnocompspeed_lanes.run,
    "dlp_parking_map": dlp.run,
    "pose2sim_calib": pose2sim.run,
    "caliscope": caliscope.run,
    "strecha": strecha.run,
    "sacre_coeur": sacre_coeur.run,
    "wildtrack_ties": people_ties.run_wildtrack,
    "multiviewx_ties": people_ties.run_multiviewx,
}
DRAWN: dict[str, Callable[[], list[Figure]]] = {
    "drawn_calibration": drawn_calibration.run,
    "garage_hour": long_garage.run_hour,
    "fleet": fleet.run,
}
# half an hour and more of computing: only when it is asked for
ON_REQUEST: dict[str, Callable[[], list[Figure]]] = {
    "long_garage": long_garage.run_day,
    "garage_stills": garage_stills.run,
    "garage_drift": garage_drift.run,
    "garage_film": garage_film.run,
    "garage_upkeep": garage_upkeep.run,
    "garage_walks": garage_walks.run,
    "garage_search": garage_search.run,
    "drawn_survey": drawn_survey.run,
}
FOLDERS = {  # where it is not the name
    "brnocompspeed_lanes": "brnocompspeed",
    "cityflow_search": "cityflow",
    "cmc_search": "cmc",
    "sped_search": "sped",
    "meva_calibration": "meva",
    "meva_joint": "meva",
    "meva_drift": "meva",
    "meva_named": "meva",
    "meva_parking": "meva",
    "meva_stills": "meva",
    "wildtrack_ties": "wildtrack",
    "multiviewx_ties": "multiviewx",
}
