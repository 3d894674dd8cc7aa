"""Which hypotheses of several images belong together: chains of poses that a body could have had one after another.

Where a site repeats, each image alone fits several places; the chain that most landmarks support, each counted once
however many images show it, is weighed against the other chains as one image's places are against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.relocalize.estimate import Hypothesis
from geoloc.relocalize.place_odds import chain_probabilities, gathered_of
from geoloc.relocalize.rig_motion import MotionPrior, Mount, adjoint

GATE = 90.0  # squared distance of six unknowns that still is one motion: covariances may be twice too sure
MOST_CHAINS = 5
LOOK_BACK = 10  # images without a place of their own that a chain passes over


@dataclass(frozen=True, eq=False)
class Chain:
    """Of each of some images which hypothesis it takes, (N,) int, -1: none; how many landmarks; how probable.

    `log_odds` and what it `gathered` (support, pieces; as of one image's place) are of all its images together.
    """

    taken: np.ndarray
    support: int
    log_odds: float
    gathered: tuple[float, float]
    probability: float = 0.0


@dataclass(frozen=True, eq=False)
class _State:
    shot: int
    hypothesis: int
    body: RigidTransform  # body_from_world
    cov: np.ndarray
    support: int


def find_chains(
    found: Sequence[Sequence[Hypothesis]], times: np.ndarray, mounts: Sequence[Mount], motion: MotionPrior,
    repeats: np.ndarray,
) -> list[Chain]:  # fmt: skip
    """The chains of the hypotheses `found` of each image, ordered by time, best first, with their probabilities.

    What single images of the map found where they were not, `repeats` (`LandmarkMap`), tells what so many would.
    """
    left = [
        _state(shot, k, each, mounts[shot]) for shot, own in enumerate(found) for k, each in enumerate(own)
    ]
    chains: list[Chain] = []
    while left and len(chains) < MOST_CHAINS:
        path = _best_path(left, times, motion)
        chains.append(_chain(path, found))
        gone = set(map(id, path))
        left = [state for state in left if id(state) not in gone]
    chains.sort(key=lambda chain: (-chain.support, -chain.log_odds))
    if not chains:
        return []
    # one that explains other images only is no other reading of these, but a place where those were taken
    rivals = [chain for chain in chains[1:] if ((chain.taken >= 0) & (chains[0].taken >= 0)).any()]
    order = [chains[0], *rivals]
    odds = np.array([chain.log_odds for chain in order])
    # a chain is as many images as it holds times the landmarks of the one that shows most
    n = chains[0].support / max(len(found[i][k].points) for i, k in enumerate(chains[0].taken.tolist()) if k >= 0)
    scaled = repeats * np.array([n, n, 1.0])
    shares = chain_probabilities(np.array([chain.gathered for chain in order], float), odds, scaled)
    told = {id(chain): float(share) for chain, share in zip(order, shares, strict=True)}
    return [replace(chain, probability=told.get(id(chain), 0.0)) for chain in chains]


def _state(shot: int, k: int, one: Hypothesis, mount: Mount) -> _State:
    back = mount.cam_from_body.inv()
    turn = adjoint(back)
    cov = turn @ (one.camera.calib_cov[:6, :6] + mount.cov) @ turn.T
    return _State(shot, k, back * one.camera.cam_from_world, cov, len(one.points))


def _best_path(states: list[_State], times: np.ndarray, motion: MotionPrior) -> list[_State]:
    """The chain of most support: dynamic programming over states in the order of their images (Viterbi 1967)."""
    total = [state.support for state in states]
    before = [-1] * len(states)
    for j, state in enumerate(states):
        near = [i for i in range(j) if state.shot - LOOK_BACK <= states[i].shot < state.shot]
        near.sort(key=lambda i: -total[i])
        for i in near:
            if total[i] + state.support <= total[j]:
                break
            if _follows(states[i], state, abs(float(times[state.shot] - times[states[i].shot])), motion):
                total[j], before[j] = total[i] + state.support, i
                break
    at = int(np.argmax(total))
    path = []
    while at >= 0:
        path.append(states[at])
        at = before[at]
    return path[::-1]


def _follows(one: _State, other: _State, seconds: float, motion: MotionPrior) -> bool:
    between = other.body * one.body.inv()
    turn = adjoint(between)
    cov = motion.cov(seconds) + other.cov + turn @ one.cov @ turn.T
    xi = between.as_exp_coords()
    return bool(xi @ np.linalg.solve(cov, xi) < GATE)


def _chain(path: list[_State], found: Sequence[Sequence[Hypothesis]]) -> Chain:
    taken = np.full(len(found), -1)
    for state in path:
        taken[state.shot] = state.hypothesis
    ones = [found[state.shot][state.hypothesis] for state in path]
    distinct = len(np.unique(np.concatenate([one.points for one in ones])))
    # what several images say of the same landmarks is said once
    share = distinct / sum(len(one.points) for one in ones)
    support, pieces = share * np.sum([gathered_of(one) for one in ones], axis=0)
    odds = share * sum(max(one.evidence.log_odds, 0.0) for one in ones)
    return Chain(taken, distinct, odds, (float(support), float(pieces)))
