"""What makes numbers lie, found before they are printed: leaked identities, other units, pixels called metres."""

from collections.abc import Callable

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.assignment import assign
from geoloc.metrics.matching import Pairs, Sightings, pair_positions
from geoloc.scene.tables import Detections

FEWEST = 5  # identities and more make a coincidence of all of them unlikely
LEAKED = 0.95  # share of matches with equal ids that nobody gets by chance
EXACT = 1e-9  # m or px; nothing that was measured comes this near
FOUND, NOT_FOUND = 0.5, 0.05  # shares of truths near a result that tell right units from wrong ones
FACTORS = {
    0.01: "the result looks like centimetres",
    0.001: "the result looks like millimetres",
    0.3048: "the result looks like feet",
    100.0: "the truth looks like centimetres",
    1000.0: "the result looks like kilometres, or the truth like millimetres",
    1 / 0.3048: "the truth looks like feet",
}
SAMPLE = 2000  # rows that the check of units looks at


def refuse_or_warn(findings: list[str], oracle: bool) -> list[str]:
    """The findings as warnings of an `oracle` run; the first of them refuses any other."""
    if findings and not oracle:
        raise InputError(f"{findings[0]}. If this is meant, as in an oracle run, say oracle; the report will warn")
    return [f"oracle run: {finding}" for finding in findings]


def find_leaks(pairs: Pairs, truth: Sightings, result: Sightings, threshold: float) -> list[str]:
    """Signs that the result was made from the truth: its ids are the truth's, or its places are."""
    near = np.flatnonzero(pairs.similarity >= threshold)
    chosen = near[assign(pairs.truth[near], pairs.result[near], pairs.similarity[near])]
    rows, found = pairs.truth[chosen], pairs.result[chosen]
    if len(np.unique(truth.id[rows])) < FEWEST:
        return []
    findings = []
    equal = float(np.mean(truth.id[rows] == result.id[found]))
    if equal >= LEAKED:
        findings.append(
            f"{100 * equal:.0f} % of the matched rows bear the very id of their truth: truth ids leaked into the result"
        )
    exact = float(np.mean(np.abs(truth.where[rows] - result.where[found]).max(axis=1) <= EXACT))
    if exact >= FOUND:
        findings.append(f"{100 * exact:.0f} % of the matched rows lie exactly on their truth: they were not measured")
    return findings


def find_leaks_of_input(detections: Detections, n_identities: int) -> list[str]:
    """Signs that what the engine was fed names the objects: in labels, or in vectors that never change."""
    findings = []
    labels = len(np.unique(detections.label))
    if n_identities >= FEWEST and labels >= 0.8 * n_identities:
        findings.append(f"the input has {labels} labels for {n_identities} identities: do labels name the objects?")
    width = detections.embedding.shape[1]
    told = np.isfinite(detections.embedding).all(axis=1) if width else np.zeros(len(detections), dtype=bool)
    if told.sum() >= FEWEST:
        distinct = len(np.unique(detections.embedding[told], axis=0))
        if distinct <= 0.5 * told.sum():
            findings.append(
                f"the input has {distinct} different appearance vectors in {told.sum()} boxes: no camera sees an "
                "object twice the same way; do vectors name the objects?"
            )
    return findings


def refuse_other_units(truth: Sightings, result: Sightings, reach: float) -> None:
    """InputError where positions would fit the truth in another unit, with axes swapped, or as degrees.

    `reach` (m) is how near a result must be to count. Positions that fit nothing at all are scored as they are.
    """
    truth, result = _first_frames(truth, result)
    if not len(truth) or not len(result) or _share_near(truth, result, reach, lambda xy: xy) >= NOT_FOUND:
        return
    for factor, unit in FACTORS.items():
        if _share_near(truth, result, reach, lambda xy, f=factor: f * xy) >= FOUND:  # type: ignore[misc]
            raise InputError(f"{unit}: times {factor:g} the result's positions fit the truth's; give both in metres")
    spread = np.ptp(result.where[:, :2], axis=0).max()
    if np.abs(result.where[:, :2]).max() <= 180 and spread < 0.1 and np.ptp(truth.where[:, :2], axis=0).max() > 10:
        raise InputError("the result looks like longitude and latitude; bring it to the map's metres first")
    if _share_near(truth, result, reach, lambda xy: xy[:, ::-1]) >= FOUND:
        raise InputError("the result's positions fit with x and y swapped: x is east, y is north")


def _share_near(
    truth: Sightings, result: Sightings, reach: float, change: Callable[[np.ndarray], np.ndarray]
) -> float:
    """Share of the truths with a result at most `reach` (m) away once its positions are changed."""
    moved = Sightings(result.frame, result.id, change(result.where[:, :2]))
    pairs = pair_positions(Sightings(truth.frame, truth.id, truth.where[:, :2]), moved, reach)
    return len(np.unique(pairs.truth)) / len(truth)


def _first_frames(truth: Sightings, result: Sightings) -> tuple[Sightings, Sightings]:
    """Frames that both have, up to SAMPLE rows of each."""
    shared = np.intersect1d(truth.frame, result.frame)

    def cut(sightings: Sightings) -> Sightings:
        rows = np.flatnonzero(np.isin(sightings.frame, shared))
        rows = rows[np.argsort(sightings.frame[rows], kind="stable")][:SAMPLE]
        return Sightings(sightings.frame[rows], sightings.id[rows], sightings.where[rows])

    return cut(truth), cut(result)
