"""Tracking scores are held against plain loops that try every choice, on tiny recordings."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoloc.metrics import assignment
from geoloc.metrics.hota import ALPHAS, score_hota
from geoloc.metrics.matching import pair_similarities
from geoloc.metrics.tracking import score_clear, score_identity

Frame = tuple[list[int], list[int], np.ndarray]  # truth ids, result ids, similarity


def tiny_recording(seed: int) -> list[Frame]:
    """Up to 6 frames of at most 3 truths and 4 results, many of them similar to several."""
    rng, frames = np.random.default_rng(seed), []
    for _ in range(rng.integers(1, 7)):
        truth = rng.permutation(3)[: rng.integers(0, 4)].tolist()
        result = rng.permutation(5)[: rng.integers(0, 5)].tolist()
        similarity = rng.uniform(0, 1, (len(truth), len(result))) * (rng.random((len(truth), len(result))) < 0.8)
        frames.append((truth, result, np.maximum(similarity, 0)))
    return [([0], [], np.zeros((1, 0))), *frames]


def choices(n: int, m: int) -> list[list[tuple[int, int]]]:
    """Every one-to-one choice among n rows and m columns."""
    wide = [*range(m), *[-1] * n]
    ways = set(itertools.permutations(wide, n))
    return [[(row, col) for row, col in enumerate(way) if col >= 0] for way in ways]


def best(table: np.ndarray, most: bool = False) -> list[tuple[int, int]]:
    """Cells > 0 of the best one-to-one choice: largest sum, with `most` as many as possible first."""
    possible = [way for way in choices(*table.shape) if all(table[cell] > 0 for cell in way)]
    return max(possible, key=lambda way: (len(way) * most, sum(table[cell] for cell in way)))


def identity_by_trying(frames: list[Frame]) -> int:
    together = np.zeros((3, 5))
    for truth, result, similarity in frames:
        for i, j in np.argwhere(similarity >= 0.5):
            together[truth[i], result[j]] += 1
    return int(sum(together[cell] for cell in best(together)))


def clear_by_trying(frames: list[Frame], forget: bool) -> dict[str, float]:
    before: dict[int, int] = {}  # that are kept
    ever: dict[int, int] = {}
    history: dict[int, list[bool]] = {}
    found = Counter[str]()
    for truth, result, similarity in frames:
        near = np.where(similarity >= 0.5, similarity, 0.0)
        kept: list[tuple[int, int]] = []
        for i, t in enumerate(truth):
            j = result.index(before[t]) if before.get(t) in result else -1
            if j >= 0 and near[i, j] > 0 and j not in [col for _, col in kept]:
                kept.append((i, j))
        rest = near.copy()
        for i, j in kept:
            rest[i], rest[:, j] = 0, 0
        cells = [*kept, *best(rest, most=not forget)]
        matched = {truth[i]: result[j] for i, j in cells}
        found["matches"] += len(matched)
        found["similarity"] += sum(similarity[cell] for cell in cells)
        found["switches"] += sum(ever.get(t, r) != r for t, r in matched.items())
        ever |= matched
        if forget and truth and result:
            before = matched
            for t in range(3):
                history.setdefault(t, []).append(t in matched)
        elif not forget:
            before |= matched
            for t in truth:
                history.setdefault(t, []).append(t in matched)
    runs = [[key for key, _ in itertools.groupby(seen)].count(True) for seen in history.values()]
    found["fragments"] = sum(max(n - 1, 0) for n in runs)
    return found


def hota_by_trying(frames: list[Frame]) -> list[float]:
    n_truth, n_result = (Counter(i for frame in frames for i in frame[side]) for side in (0, 1))
    shared = np.zeros((3, 5))
    for truth, result, s in frames:
        for i, j in np.argwhere(s > 0):
            shared[truth[i], result[j]] += s[i, j] / (s[i].sum() + s[:, j].sum() - s[i, j])
    chosen = []
    for truth, result, s in frames:
        both = shared[np.ix_(truth, result)] if truth and result else np.zeros(s.shape)
        size = np.array([[n_truth[t] + n_result[r] for r in result] for t in truth]).reshape(s.shape)
        chosen += [(truth[i], result[j], s[i, j]) for i, j in best(s * both / (size - both))]
    scores = []
    for alpha in ALPHAS:
        matched = Counter((t, r) for t, r, s in chosen if s >= alpha)
        n = sum(matched.values())
        agree = sum(k * k / (n_truth[t] + n_result[r] - k) for (t, r), k in matched.items())
        det_a = n / (sum(n_truth.values()) + sum(n_result.values()) - n)
        scores.append(np.sqrt(det_a * agree / max(n, 1)))
    return scores


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1000]))
def test_plain_loops_find_the_same(seed: int, small: int) -> None:
    frames = tiny_recording(seed)
    pairs = pair_similarities(*(list(column) for column in zip(*frames, strict=True)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assignment, "SMALL", small)  # 0: dominance, components and shapes whatever the size
        hota, identity = score_hota(pairs), score_identity(pairs)
        clear = {forget: score_clear(pairs, 0.5, "trackeval" if forget else "motmetrics") for forget in (True, False)}
    np.testing.assert_allclose(hota.curve("hota"), hota_by_trying(frames), rtol=0, atol=1e-12)
    np.testing.assert_allclose(hota.counts.sum(axis=0), hota.sums, rtol=0, atol=1e-12)
    assert identity.counts[:, 0].sum() == identity_by_trying(frames)
    for forget, scores in clear.items():
        wanted = clear_by_trying(frames, forget)
        found = [scores.counts[:, 0].sum(), scores.switches, scores.fragments, scores.counts[:, 4].sum()]
        names = ("matches", "switches", "fragments", "similarity")
        np.testing.assert_allclose(found, [wanted[name] for name in names], rtol=0, atol=1e-12, err_msg=str(forget))
