"""Cars that come, park for long, and leave: under which number, and where it was lost."""

from dataclasses import dataclass

import numpy as np

from geoloc.metrics.assignment import assign
from geoloc.metrics.matching import Pairs
from geoloc.scene.tables import Tracks

STANDS = 0.05  # m/s


@dataclass(frozen=True, eq=False)
class Stays:
    """S objects that came and left again, in order of coming; numbers are -1 where an object was in no track.

    `stood` (S, 2) s is when each began to stand for longest and when it left. `came`, `parked`, `woke`, `left` (S,)
    are the first number of all, the first and the last while it stood, and the last of all.
    """

    object: np.ndarray
    stood: np.ndarray
    came: np.ndarray
    parked: np.ndarray
    woke: np.ndarray
    left: np.ndarray

    @property
    def same(self) -> np.ndarray:
        """Which objects (S,) left under the number that they came with."""
        return (self.came == self.left) & (self.came >= 0)

    @property
    def changed(self) -> str:
        """When numbers were lost, in words."""
        steps = {"while it came": (self.came, self.parked), "while it stood": (self.parked, self.woke),
                 "while it left": (self.woke, self.left)}  # fmt: skip
        return ", ".join(f"{when} {np.count_nonzero(a != b)}" for when, (a, b) in steps.items())


def numbers_of_truth(pairs: Pairs, result_number: np.ndarray, threshold: float) -> np.ndarray:
    """The number (N,) of the result beside each row of the truth, each frame by itself; -1: none.

    `result_number` (M,) is that of each row of the result.
    """
    near = np.flatnonzero(pairs.similarity >= threshold)
    near = near[assign(pairs.truth[near], pairs.result[near], pairs.similarity[near])]
    number = np.full(len(pairs.truth_frame), -1)
    number[pairs.truth[near]] = result_number[pairs.result[near]]
    return number


def long_stays(truth: Tracks, number: np.ndarray, least_s: float) -> Stays:
    """The objects that stood for at least `least_s` without a break, and whose coming and leaving `truth` holds."""
    first, last = truth.time.min(), truth.time.max()
    order = np.lexsort((truth.time, truth.track))
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(truth.track[order])) + 1):
        time = truth.time[rows]
        if time[0] == first or time[-1] == last:
            continue
        begin, end = _longest_stand(truth.velocity[rows])
        if end > begin and time[end - 1] - time[begin] >= least_s:
            numbers = number[rows]
            ends = _ends(numbers), _ends(numbers[begin:end])
            found.append((truth.track[rows[0]], time[begin], time[end - 1], ends[0][0], *ends[1], ends[0][1]))
    found.sort(key=lambda stay: stay[1])
    columns = [np.array(column) for column in zip(*found, strict=True)] if found else [np.zeros(0, int)] * 7
    return Stays(columns[0], np.stack(columns[1:3], axis=1), *columns[3:])


def _longest_stand(velocity: np.ndarray) -> tuple[int, int]:
    """The longest run of rows (N,) without speed, as a slice."""
    stands = np.linalg.norm(velocity, axis=1) < STANDS
    edges = np.flatnonzero(np.diff(stands, prepend=False, append=False)).reshape(-1, 2)
    if not len(edges):
        return 0, 0
    begin, end = edges[np.argmax(edges[:, 1] - edges[:, 0])].tolist()
    return begin, end


def _ends(number: np.ndarray) -> tuple[int, int]:
    """The first and the last number that is one; -1: none is."""
    known = number[number >= 0]
    return (int(known[0]), int(known[-1])) if len(known) else (-1, -1)
