"""Robustness scores on disk, so that a later run, or another system, can be normalised by them."""

import json
import math
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.robustness.suite import RobustnessScores
from geoloc.files import parse_json, read_text, write_whole

SCHEMA = 1
ARRAYS = ("strengths", "clean", "values")
TEXTS = ("hazards", "units", "names")


def save_scores(scores: RobustnessScores, path: str | Path) -> None:
    """Write scores as JSON, whole or not at all; a score that is not defined is null."""
    document = {
        "schema": SCHEMA,
        "case": scores.case,
        "n_errors": scores.n_errors,
        "refused": scores.refused,
        **{name: list(getattr(scores, name)) for name in TEXTS},
        **{name: _plain(getattr(scores, name).tolist()) for name in ARRAYS},
    }
    write_whole(path, json.dumps(document, indent=1, allow_nan=False).encode())


def load_scores(path: str | Path) -> RobustnessScores:
    """Read what `save_scores` wrote; InputError names the file and what does not fit."""
    document = parse_json(read_text(path), path)
    wanted = {"schema", "case", "n_errors", "refused", *TEXTS, *ARRAYS}
    if not isinstance(document, dict) or set(document) != wanted or document["schema"] != SCHEMA:
        raise InputError(f"{path}: no robustness scores of schema {SCHEMA}; write them with save_scores")
    try:
        arrays = {name: np.array(document[name], dtype=float) for name in ARRAYS}
        texts = {name: tuple(str(text) for text in document[name]) for name in TEXTS}
        n_errors, refused = int(document["n_errors"]), dict(document["refused"])
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: robustness scores hold something else than numbers ({error})") from error
    n, n_names = len(texts["hazards"]), len(texts["names"])
    values = arrays["values"]
    if arrays["strengths"].shape[:1] != (n,) or values.ndim != 4 or values.shape[::3] != (n, n_names):
        raise InputError(f"{path}: {n} hazards and {n_names} scores, but values of shape {values.shape}")
    return RobustnessScores(
        case=str(document["case"]),
        hazards=texts["hazards"],
        units=texts["units"],
        strengths=arrays["strengths"],
        names=texts["names"],
        n_errors=n_errors,
        clean=arrays["clean"],
        values=values,
        refused=refused,
    )


def _plain(value: object) -> object:
    """JSON has no NaN: null."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
