"""Sacré-Cœur: ten photographs of tourists, lenses unknown: one model of all, and each placed in a map of the others.

There is no truth. Where a photograph is placed by the others is laid beside where the model of all ten has it, the two
brought together by the nine that both hold; lengths are in the distance of the nearest two cameras of nine.
"""

from pathlib import Path

import numpy as np

from geoloc.errors import GeometryError
from geoloc.evaluation.measures import of_mean
from geoloc.evaluation.queries import bare_figure, query_blocks
from geoloc.evaluation.report import Figure
from geoloc.features.extraction import extract
from geoloc.io.pictures import find_pictures, read_pictures
from geoloc.relocalize.estimate import PoseEstimate
from geoloc.relocalize.mapping import build_landmarks
from geoloc.relocalize.relocalization import Query, relocalize
from geoloc.relocalize.structure import Picture, align, reconstruct

RECORDING = "sacre_coeur"
SEED = 1
PLACED = "each photograph in a map of the other nine, lens unknown"


def run(folder: Path) -> list[Figure]:
    """How many one model holds, how many are placed by the others, and how far from where the model has them."""
    files = find_pictures([folder / "datasets" / "sacre_coeur" / "mapping"])
    pictures = [
        Picture(name, extract(grey), (grey.shape[1], grey.shape[0])) for name, grey in read_pictures(files, 1)
    ]
    whole = {camera.name: camera for camera in reconstruct(pictures)}
    part = f"{len(pictures)} photographs"
    said = "one model by pycolmap, incrementally or globally"
    figures = [bare_figure(RECORDING, part, "in_one_model", len(whole), "", said)]
    kept, turned = [], []
    for left_out in pictures:
        try:
            nine = reconstruct([each for each in pictures if each is not left_out])
        except GeometryError:
            kept.append(0.0)
            continue
        features = {each.name: each.features for each in pictures}
        landmarks = build_landmarks([features[camera.name] for camera in nine], nine)
        query = Query(left_out.features, left_out.size)
        found = relocalize(query, landmarks, np.random.default_rng(SEED))
        kept.append(float(found.answered))
        if found.answered and left_out.name in whole:
            turned.append(_turned(found, nine, whole, left_out.name))
    blocks, sure = query_blocks(len(kept))
    figures.append(of_mean("answered", "%", PLACED, np.array(kept), blocks, 100).figure(RECORDING, part, sure))
    if turned:
        told = f"{PLACED}; median angle to where the model of all has it"
        figures.append(bare_figure(RECORDING, part, "median_turn_deg", float(np.median(turned)), "deg", told))
    return figures


def _turned(found: PoseEstimate, nine: tuple, whole: dict, name: str) -> float:
    """Angle (deg) between a photograph's rotation by the nine and by the whole model; 180 if those do not fit."""
    centres = {camera.name: whole[camera.name].centre_world for camera in nine if camera.name in whole}
    query = found.camera
    try:
        aligned, _ = align([*nine, query], centres, {each: np.eye(3) for each in centres})
    except GeometryError:
        return 180.0
    turn = aligned[-1].cam_from_world.rotation * whole[name].cam_from_world.rotation.inv()
    return float(np.degrees(turn.magnitude()))
