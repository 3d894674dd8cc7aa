"""The suite: one system, one case, every hazard at every strength, several draws of each.

After Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations"
(ICLR 2019), with an error E = 1 - score in the place of their classification error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

import numpy as np
from scipy.stats import t as student

from geoloc.errors import GeometryError, InputError, unknown_name
from geoloc.evaluation.report import NO_INTERVAL
from geoloc.evaluation.robustness.hazard import N_STRENGTHS, Hazard

FEWEST_DRAWS = 3  # for an interval
LEAST_LOSS = 0.01  # of a reference, below which nothing can be said relative to it

T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[str, int, int], None]  # what is being done, runs done, runs in all


@dataclass(frozen=True, eq=False)
class RobustnessScores:
    """Scores of one system under H hazards, 5 strengths and S draws of each; K scores by name.

    `clean` (K,) are those of the case as it is, `values` (H, 5, S, K) those under hazards; NaN where a score is
    not defined. The first `n_errors` names are 1 at best, the others say how honest the system is. `refused` says
    why the case cannot have a hazard.

    The error of a score is E = 1 - score, and 1 where the score is below 0, as MODA may be: an empty answer
    would have scored 0, and no single hazard is to outweigh all the others.
    """

    case: str
    hazards: tuple[str, ...]
    units: tuple[str, ...]
    strengths: np.ndarray  # (H, 5)
    names: tuple[str, ...]
    n_errors: int
    clean: np.ndarray
    values: np.ndarray
    refused: dict[str, str]

    def score(self, name: str) -> np.ndarray:
        """One score by its name: (H, 5, S)."""
        return self.values[..., self._at(name)]

    def clean_score(self, name: str) -> float:
        """The same of the case as it is."""
        return float(self.clean[self._at(name)])

    def errors(self, name: str) -> np.ndarray:
        """E of one score: (H, 5, S), 0 to 1."""
        return np.minimum(1.0 - self.score(name), 1.0)

    def corruption_errors(self, name: str) -> np.ndarray:
        """CE (H, S): mean over the strengths of E (eq. 1 without a baseline)."""
        return self.errors(name).mean(axis=1)

    def degradations(self, name: str) -> np.ndarray:
        """Mean over the strengths of E - E_clean (H, S): how much of the clean score a hazard takes."""
        return self.corruption_errors(name) - min(1.0 - self.clean_score(name), 1.0)

    def corruption_errors_of(self, name: str, other: "RobustnessScores") -> np.ndarray:
        """CE (H, S) by another system's: sum of E over sum of the other's E (Hendrycks and Dietterich, eq. 1)."""
        self._check_comparable(other)
        return self.corruption_errors(name) / _positive(other.corruption_errors(name).mean(axis=1), name)

    def relative_errors_of(self, name: str, other: "RobustnessScores") -> np.ndarray:
        """Relative CE (H, S): sum of E - E_clean over the other's sum (eq. 2), NaN where the other loses under 1 %."""
        self._check_comparable(other)
        theirs = other.degradations(name).mean(axis=1)[:, None]
        mine = self.degradations(name)
        return np.divide(mine, theirs, out=np.full_like(mine, np.nan), where=theirs > LEAST_LOSS)

    def _at(self, name: str) -> int:
        if name not in self.names:
            raise unknown_name("score", name, self.names, self.case)
        return self.names.index(name)

    def _check_comparable(self, other: "RobustnessScores") -> None:
        same = self.hazards == other.hazards and np.array_equal(self.strengths, other.strengths)
        if self.case != other.case or not same:
            raise InputError(
                f"robustness of {self.case!r} ({', '.join(self.hazards)}) cannot be normalised by that of "
                f"{other.case!r} ({', '.join(other.hazards)}): give a run over the same case, hazards and strengths"
            )


def run_robustness(
    case: T,
    name: str,
    system: Callable[[T], R],
    score: Callable[[R], Mapping[str, float]],
    hazards: Mapping[str, Hazard[T]],
    errors: Sequence[str],
    draws: int = 3,
    seed: int = 1,
    progress: Progress = lambda what, done, total: None,
) -> RobustnessScores:
    """Run `system` on `case` (called `name`) as it is and under every hazard, and score what it gives.

    `score` gives figures by name: those named in `errors`, always, which are 1 at best, and any others where
    they are defined. The same `seed` gives the same accidents, whatever the system and the other hazards.
    """
    if not hazards or draws < 1 or not errors:
        raise InputError(f"{len(hazards)} hazards, {draws} draws, {len(errors)} errors; give at least one of each")
    total, done = 1 + len(hazards) * N_STRENGTHS * draws, 0
    progress("clean", done, total)
    clean = score(system(case))
    rows: dict[str, list[Mapping[str, float]]] = {}
    refused: dict[str, str] = {}
    for hazard in hazards.values():
        runs = []
        for strength in hazard.strengths:
            for draw in range(draws):
                rng = np.random.default_rng([seed, crc32(hazard.name.encode()), draw])
                done += 1
                progress(hazard.name, done, total)
                try:
                    accident = hazard.apply(case, strength, rng)
                except GeometryError as error:
                    refused[hazard.name] = str(error)
                    break
                runs.append(score(system(accident)))
            if hazard.name in refused:
                break
        else:
            rows[hazard.name] = runs
    progress("done", total, total)
    return _gathered(name, clean, rows, {h: hazards[h] for h in rows}, tuple(errors), draws, refused)


def mean_interval(per_draw: np.ndarray) -> tuple[float, float]:
    """95 % interval (Student's t) of the mean of independent draws (S,); none with fewer than FEWEST_DRAWS."""
    n = len(per_draw)
    if n < FEWEST_DRAWS or not np.isfinite(per_draw).all():
        return NO_INTERVAL
    half = float(student.ppf(0.975, n - 1) * per_draw.std(ddof=1) / np.sqrt(n))
    return float(per_draw.mean()) - half, float(per_draw.mean()) + half


def _gathered(
    name: str,
    clean: Mapping[str, float],
    rows: Mapping[str, list[Mapping[str, float]]],
    hazards: Mapping[str, Hazard[T]],
    errors: tuple[str, ...],
    draws: int,
    refused: dict[str, str],
) -> RobustnessScores:
    runs = [run for runs in rows.values() for run in runs]
    for key in errors:
        if any(key not in run for run in (clean, *runs)):
            raise InputError(f"{name}: a run has no score {key!r}; it must be defined always, 0 for no result at all")
    names = errors + tuple(key for key in dict.fromkeys(k for run in (clean, *runs) for k in run) if key not in errors)
    values = np.array([[run.get(key, np.nan) for key in names] for run in runs], dtype=float)
    return RobustnessScores(
        case=name,
        hazards=tuple(hazards),
        units=tuple(hazard.unit for hazard in hazards.values()),
        strengths=np.array([hazard.strengths for hazard in hazards.values()], dtype=float).reshape(-1, N_STRENGTHS),
        names=names,
        n_errors=len(errors),
        clean=np.array([clean.get(key, np.nan) for key in names], dtype=float),
        values=values.reshape(len(rows), N_STRENGTHS, draws, len(names)),
        refused=refused,
    )


def _positive(error: np.ndarray, name: str) -> np.ndarray:
    if (error <= 0).any():
        raise InputError(f"the other system makes no {name} error under some hazard; nothing can be normalised by it")
    return error[:, None]
