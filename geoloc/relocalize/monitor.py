"""One camera's checks over time: a series, and an alarm that is neither raised nor withdrawn by a single frame."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from geoloc.errors import InputError
from geoloc.options import check_range
from geoloc.relocalize.drift import DriftCheck
from geoloc.relocalize.motions import ROTATION

LASTING = ("moved", "blocked", "blurred", "dark", "overexposed", "another scene", "shaken")
SCATTER = 5  # checks at least before their scatter says that a mount shakes
KEPT = 100_000  # checks; older ones are forgotten


@dataclass(frozen=True)
class MonitorOptions:
    """When an alarm is raised, and when it is over."""

    raise_after: int = 3  # checks in a row of one state: chance raises it at the check's rate to that power
    clear_after: int = 3  # checks in a row of no such state
    raise_s: float = 0.0  # s that they must span; 0: none
    window: int = 20  # last checks whose scatter is judged
    shaken_chance: float = 1e-4  # chance that a steady mount scatters so

    def __post_init__(self) -> None:
        check_range(self, raise_after=(1, 10_000), clear_after=(1, 10_000), raise_s=(0, 1e9), window=(SCATTER, 10_000))
        check_range(self, shaken_chance=(1e-15, 0.5))


@dataclass(frozen=True)
class Alarm:
    """A lasting state of a camera: from the first check of its run, raised and ended (NaN: not yet) in Unix s."""

    camera: str
    state: str
    since: float
    raised: float
    ended: float = float("nan")

    @property
    def is_on(self) -> bool:
        """Whether it goes on."""
        return bool(np.isnan(self.ended))


class DriftMonitor:
    """The checks of one camera in the order of their times; `alarms` are all that there were, the last may be on."""

    def __init__(self, camera: str, options: MonitorOptions | None = None) -> None:
        self.camera, self.options = camera, options or MonitorOptions()
        self.times: list[float] = []
        self.checks: list[DriftCheck] = []
        self.states: list[str] = []
        self.alarms: list[Alarm] = []

    @property
    def alarm(self) -> Alarm | None:
        """The alarm that is on."""
        return self.alarms[-1] if self.alarms and self.alarms[-1].is_on else None

    def add(self, time: float, check: DriftCheck) -> Alarm | None:
        """Take in a check of Unix time `time` (s), later than all before; the alarm that is on after it."""
        if check.camera != self.camera:
            raise InputError(f"monitor of camera {self.camera!r}: the check is of {check.camera!r}")
        if self.times and not time > self.times[-1]:
            raise InputError(f"monitor of camera {self.camera!r}: a check at {time} s after one at {self.times[-1]} s")
        self.times.append(float(time))
        self.checks.append(check if not check.known else _light(check))
        shaken = check.state in ("unchanged", "shaken") and self.scatter() < self.options.shaken_chance
        self.states.append("shaken" if shaken else check.state)
        for kept in (self.times, self.checks, self.states):
            del kept[:-KEPT]
        self._decide()
        return self.alarm

    def scatter(self) -> float:
        """Chance that a steady camera's last rotations scatter so about their mean, beyond their covariances.

        1 where there are fewer than SCATTER checks to say. Two frames of one camera share the reference's noise,
        which makes them agree better: the chance errs to the safe side.
        """
        known = [check for check in self.checks[-self.options.window :] if check.known and check.state != "moved"]
        if len(known) < SCATTER:
            return 1.0
        turns = np.stack([check.rotation for check in known])
        information = np.linalg.inv(np.stack([check.cov[ROTATION, ROTATION] for check in known]))
        mean = np.linalg.solve(information.sum(axis=0), np.einsum("nij,nj->i", information, turns))
        away = turns - mean
        distance2 = float(np.einsum("ni,nij,nj->", away, information, away))
        return float(chi2.sf(distance2, 3 * (len(known) - 1)))

    def series(self) -> dict[str, np.ndarray]:
        """Columns of all N checks: time (N,) s, state (N,), rotation (N, 3) rad, its sigma (N,) rad, and more."""
        return {
            "time": np.array(self.times),
            "state": np.array(self.states, dtype=str),
            "rotation": np.array([check.rotation for check in self.checks]).reshape(-1, 3),
            "sigma": np.array([check.angle_sigma for check in self.checks]),
            "zoom": np.array([check.zoom for check in self.checks]),
            "shift_px": np.array([check.shift_px for check in self.checks]),
            "chance": np.array([check.chance for check in self.checks]),
            "found": np.array([check.found for check in self.checks]),
        }

    def _decide(self) -> None:
        state, options = self.states[-1], self.options
        run = next((n for n, before in enumerate(reversed(self.states)) if before != state), len(self.states))
        since = self.times[-run]
        lasting = state in LASTING and run >= options.raise_after and self.times[-1] - since >= options.raise_s
        on = self.alarm
        if on is not None:
            other = next((n for n, before in enumerate(reversed(self.states)) if before == on.state), len(self.states))
            if other < options.clear_after and not (lasting and state != on.state):
                return
            if other == 0:
                return
            first = self.times[-other]
            self.alarms[-1] = Alarm(on.camera, on.state, on.since, on.raised, first)
        if lasting:
            self.alarms.append(Alarm(self.camera, state, since, self.times[-1]))


def _light(check: DriftCheck) -> DriftCheck:
    """The check without its images."""
    from dataclasses import replace

    return replace(check, alignment=None)
