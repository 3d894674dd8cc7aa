"""How probable each place is at which an image may have been taken: what each gathered, beside what look-alikes do.

One place at most is the true one; the others only look alike. How much such places gather, the map's own images tell,
looked for where they were not taken, and so do the image's other places: each in turn is held against all of them.
"""

import numpy as np
from scipy.special import expit

from geoloc.relocalize.estimate import Hypothesis
from geoloc.relocalize.pose_search import FEWEST_INLIERS

CHANCE = 3  # places that every search finds anyway, with
CHANCE_GAINS = (1.0, FEWEST_INLIERS / 2)  # support, exponential with mean 1 at most (Ville), and pieces
LEAST = 600.0  # of the chance's negative logarithm: what is rarer is no number
REPEATS = 0.05  # probability that there is another place that looks the same, where nothing tells that the site repeats


def gathered_of(one: Hypothesis) -> tuple[float, int]:
    """What a place gathered: support, and pieces of the image."""
    return max(one.evidence.support, 0.0), one.evidence.pieces


def place_probabilities(gathered: np.ndarray, log_odds: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """Probabilities (K,) of places that `gathered` (K, 2) support and pieces, best first, with `log_odds` (K,).

    Whether there is a place at all is the evidence's to say. But places that only look alike gather support and pieces
    too: how much, `repeats` (K, 3) tell, the best that images of the map found where they were not and whether they
    took it for right, and rivals with evidence of their own or with more of either than the first. A place is the more
    probable, the less probable it is that one that looks alike gathers as much; so is each of its rivals, be it that
    it has less of one gain and more of the other. What is left is that the true place was not found.
    """
    there, chance, is_one = _beside(gathered, log_odds, repeats)
    odds = 1 / chance - 1
    total = there @ odds
    return np.asarray(there * odds / (odds + total - there * odds + is_one))


def chain_probabilities(gathered: np.ndarray, log_odds: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """As `place_probabilities`, of chains of the places of several images, the first of which holds most landmarks.

    A rival is made of the same images' other places: it says how much look-alikes gather, and shares what that leaves
    by its support, but is no witness of its own against a chain that explains more images.
    """
    there, chance, is_one = _beside(gathered, log_odds, repeats)
    alike = repeats[repeats[:, 0] > 0, 0]
    wrong = is_one * chance[0]
    share = np.where(there > 0, gathered[:, 0], 0.0)
    share[0] = 0.0
    # of a place that was not found as much as of one that looks alike
    unseen = (CHANCE_GAINS[0] * CHANCE + alike.sum()) / (CHANCE + len(alike))
    probability = wrong * there * share / (share.sum() + unseen)
    probability[0] = (1 - wrong) * there[0]
    return np.asarray(probability)


def _beside(
    gathered: np.ndarray, log_odds: np.ndarray, repeats: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Whether each place is there (K,), the chance that a look-alike gathers more (K,), and that there is another."""
    there = np.where(log_odds > 0, expit(log_odds), 0.0)
    alike = repeats[repeats[:, 0] > 0, :2]
    rival = (there > 0) | (gathered > gathered[0]).any(axis=1)
    rival[0] = True
    is_one = 1.0 if rival[1:].any() else (repeats[:, 2].sum() + 1) / (len(repeats) + 1 / REPEATS)
    return there, _chance_of_more(gathered, rival, alike), float(is_one)


def _chance_of_more(gathered: np.ndarray, rival: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """Probability (K,) that one more place that looks alike gathers more than each of `gathered` (K, 2).

    Told by what places `alike` (M, 2) have, and by each one's rivals. With exponential gains of n places that sum to S,
    a further one's reaches x with probability (S / (S + x))^n (Lomax's distribution). Both gains together are as
    improbable as the sum of the logarithms of both (Fisher 1932).
    """
    others = (rival[:, None] * gathered).sum(axis=0) - rival[:, None] * gathered
    total = np.array(CHANCE_GAINS) * CHANCE + alike.sum(axis=0) + others
    n = CHANCE + len(alike) + rival.sum() - rival
    sigmas = np.minimum(n * np.log1p(gathered / total).sum(axis=1), LEAST)
    return np.asarray((1 + sigmas) * np.exp(-sigmas))
