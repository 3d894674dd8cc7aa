"""Errors that features near each other have in common: of light, of what they lie on, of the lens, of the survey.

The error of a feature is noise of its own and one that all features of its piece of the image share. How large the
common part is beside the noise, and how large the pieces are, is told by the residuals (restricted likelihood;
Patterson and Thompson 1971), and what they leave open is integrated over, from none up to as large as the noise. So
many features in one corner are not trusted as if each told something new.

And one piece may show something else than what it was taken for: a mark like its neighbour, a car like the one that
stood there. If the unknowns rest on it, its residuals do not tell. The covariance is therefore of a mixture: that no
piece is wrong, or one of them, each as likely (Laplace's rule of succession), whose rows are then left out.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from geoloc.geometry.gaussian import symmetric

PIECES = (1 / 24, 1 / 12, 1 / 6)  # of the image's longer side
WRONG = 1 / 12  # of the longer side: as large as what may be taken for something else
SHARES = np.linspace(0.0, 1.0, 9)  # sigma of the common part beside that of the noise; each is as likely beforehand


@dataclass(frozen=True, eq=False)
class Rows:
    """Residuals (N, 2) px, `jacobian` (N, 2, p), `information` (N, 2, 2) of each on its own, and `pixels` (N, 2).

    `noise2` px² is the variance of one axis of most of them.
    """

    residual: np.ndarray
    jacobian: np.ndarray
    information: np.ndarray
    pixels: np.ndarray
    noise2: float


@dataclass(frozen=True, eq=False)
class Solution:
    """Unknowns (p,) that leave the residuals least, `cov` (p, p), and how they follow residuals: `gain` (N, p, 2)."""

    step: np.ndarray
    cov: np.ndarray
    gain: np.ndarray


def solve_common(rows: Rows, longer: int, prior: np.ndarray, prior_pull: np.ndarray) -> Solution:
    """The unknowns with common errors in an image whose longer side has `longer` px.

    `prior` (p, p) is the information that is there without the residuals, `prior_pull` (p,) its gradient.
    """
    parts = [_parts(rows, share * longer) for share in PIECES]
    cases = [(part, ratio) for part in parts for ratio in SHARES**2]
    whole = _Whole.of(rows, prior, prior_pull)
    found = [_case(whole, part, ratio) for part, ratio in cases]
    weight = softmax([likelihood for likelihood, _, _ in found])
    steps, covs = np.array([step for _, step, _ in found]), np.array([cov for _, _, cov in found])
    step = weight @ steps
    off = steps - step
    cov = np.einsum("k,kab->ab", weight, covs) + np.einsum("k,ka,kb->ab", weight, off, off)
    ratio = float(weight @ [ratio for _, ratio in cases])
    # what stands on the border of two pieces of one grid is within one of the other
    grids = [_parts(rows, WRONG * longer, offset) for offset in (0.0, 0.5)]
    cov = cov + np.mean([_one_wrong(rows, whole, part, ratio) for part in grids], axis=0)
    gain = np.zeros((len(rows.residual), len(step), 2))
    for (part, ratio), share, own in zip(cases, weight, covs, strict=True):
        if share > LEAST:
            pulled = part.cross.swapaxes(1, 2) @ _held(part, whole.noise2 * ratio)
            left = rows.jacobian.swapaxes(1, 2) - pulled[part.piece]
            gain += share * own @ left @ rows.information
    return Solution(-step, symmetric(cov), gain)


LOOSE = 1e-12  # information beside the strongest, below which nothing is known
LEAST = 1e-4  # probability of a case, below which it is left out of the gain


@dataclass(frozen=True, eq=False)
class _Whole:
    """Sums over all rows: normal matrix (p, p), right side (p,), squared residuals, and the noise's variance px²."""

    normal: np.ndarray
    right: np.ndarray
    square: float
    noise2: float
    prior: np.ndarray
    prior_pull: np.ndarray

    @staticmethod
    def of(rows: Rows, prior: np.ndarray, prior_pull: np.ndarray) -> "_Whole":
        weighed = rows.jacobian.swapaxes(1, 2) @ rows.information
        return _Whole(
            (weighed @ rows.jacobian).sum(axis=0) + prior,
            np.einsum("npi,ni->p", weighed, rows.residual) + prior_pull,
            float(np.einsum("ni,nij,nj->", rows.residual, rows.information, rows.residual)),
            rows.noise2,
            prior,
            prior_pull,
        )


@dataclass(frozen=True, eq=False)
class _Parts:
    """Sums over the rows of each of G pieces of the image, `piece` (N,): information (G, 2, 2), cross (G, 2, p)."""

    piece: np.ndarray
    information: np.ndarray
    cross: np.ndarray
    right: np.ndarray  # (G, 2)


def _parts(rows: Rows, side: float, offset: float = 0.0) -> _Parts:
    _, piece = np.unique(np.floor(rows.pixels / side + offset).astype(int), axis=0, return_inverse=True)
    piece = piece.reshape(-1)
    n = int(piece.max(initial=-1)) + 1

    def summed(values: np.ndarray) -> np.ndarray:
        out = np.zeros((n, *values.shape[1:]))
        np.add.at(out, piece, values)
        return out

    right = np.einsum("nij,nj->ni", rows.information, rows.residual)
    return _Parts(piece, summed(rows.information), summed(rows.information @ rows.jacobian), summed(right))


def _held(part: _Parts, common2: float) -> np.ndarray:
    """Covariance (G, 2, 2) that the pieces' rows leave of their common errors, of variance `common2` beforehand."""
    return common2 * np.linalg.inv(np.eye(2) + common2 * part.information)


def _case(whole: _Whole, part: _Parts, ratio: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Logarithm of the restricted likelihood, unknowns (p,) and covariance (p, p), for common errors of a size."""
    common2 = ratio * whole.noise2
    held = _held(part, common2)
    normal = whole.normal - np.einsum("gip,gij,gjq->pq", part.cross, held, part.cross)
    right = whole.right - np.einsum("gip,gij,gj->p", part.cross, held, part.right)
    square = whole.square - np.einsum("gi,gij,gj->", part.right, held, part.right)
    scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    values = np.maximum(np.linalg.eigvalsh(normal / np.outer(scale, scale)), LOOSE)
    cov = _inverse(normal, normal)
    step = cov @ right
    volume = np.linalg.slogdet(np.eye(2) + common2 * part.information)[1].sum() + np.log(values).sum()
    return -0.5 * float(volume + 2 * np.log(scale).sum() + square - right @ step), step, cov


def _one_wrong(rows: Rows, whole: _Whole, part: _Parts, ratio: float) -> np.ndarray:
    """What the covariance (p, p) grows by if one of the G pieces may be wrong: as likely as another, or none."""
    held = _held(part, ratio * whole.noise2)
    own = np.zeros((len(held), *whole.normal.shape))
    np.add.at(own, part.piece, rows.jacobian.swapaxes(1, 2) @ rows.information @ rows.jacobian)
    pull = np.zeros((len(held), len(whole.right)))
    np.add.at(pull, part.piece, np.einsum("nip,nij,nj->np", rows.jacobian, rows.information, rows.residual))
    own -= np.einsum("gip,gij,gjq->gpq", part.cross, held, part.cross)
    pull -= np.einsum("gip,gij,gj->gp", part.cross, held, part.right)
    normal, right = own.sum(axis=0) + whole.prior, pull.sum(axis=0) + whole.prior_pull
    cov, without = _inverse(normal, normal), _inverse(normal - own, normal)
    off = np.einsum("gpq,gq->gp", without, right - pull) - cov @ right
    grown = (without - cov).sum(axis=0) + off.T @ off
    return np.asarray(grown / (len(held) + 1))


def _inverse(normal: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Covariances (..., p, p) of normal matrices: what nothing determines is all but unknown, not negative.

    Beside the whole, `of` (p, p).
    """
    scale = np.sqrt(np.maximum(np.diag(of), 1e-300))
    values, vectors = np.linalg.eigh(normal / np.outer(scale, scale))
    inverse = (vectors / np.maximum(values, LOOSE)[..., None, :]) @ vectors.swapaxes(-1, -2)
    return np.asarray(inverse / np.outer(scale, scale))
