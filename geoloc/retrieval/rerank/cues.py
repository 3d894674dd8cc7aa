"""What an object's description says beside its looks: class, colour and size as log-odds of pairs (K,)."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.options import check_range


@dataclass(frozen=True)
class CueOptions:
    """How far descriptions can be trusted."""

    confusion: float = 0.1  # share of an object's two descriptions that name different things
    length_sigma: float = 0.3  # m, of two lengths of one object
    length_spread: float = 1.0  # m, of the lengths of different ones

    def __post_init__(self) -> None:
        check_range(self, confusion=(1e-6, 0.5), length_sigma=(1e-3, 1e3), length_spread=(1e-3, 1e3))


def shares_of(names: np.ndarray) -> dict[str, float]:
    """How common each name of `names` (N,) is; the empty name is none."""
    told = np.asarray(names)[np.asarray(names) != ""]
    found, count = np.unique(told, return_counts=True)
    return dict(zip(found.tolist(), (count / max(len(told), 1)).tolist(), strict=True))


def name_odds(
    a: np.ndarray, b: np.ndarray, shares: dict[str, float], options: CueOptions | None = None
) -> np.ndarray:
    """Log-odds (K,) of names a, b (K,) of one object: agreement on what is rare says much, "" says nothing.

    `shares` is how common each name is among all objects; one that is not there counts as the rarest.
    """
    options = options or CueOptions()
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        raise InputError(f"cues: names {a.shape} and {b.shape}; give one of each a pair")
    least = min(shares.values(), default=1.0)
    share = np.array([shares.get(name, least) for name in b.tolist()], float)
    confused, chance = options.confusion, np.clip(share, 1e-6, 1.0 - 1e-6)
    agree = np.log((1.0 - confused) + confused * chance) - np.log(chance)
    odds = np.where(a == b, agree, np.log(confused))
    return np.where((a == "") | (b == ""), 0.0, odds)


def length_odds(a: np.ndarray, b: np.ndarray, options: CueOptions | None = None) -> np.ndarray:
    """Log-odds (K,) of lengths a, b (K,) m being one object's; NaN says nothing."""
    options = options or CueOptions()
    apart = np.asarray(a, float) - np.asarray(b, float)
    own, others = 2.0 * options.length_sigma**2, 2.0 * (options.length_sigma**2 + options.length_spread**2)
    odds = 0.5 * apart**2 * (1.0 / others - 1.0 / own) + 0.5 * np.log(others / own)
    return np.where(np.isfinite(odds), odds, 0.0)
