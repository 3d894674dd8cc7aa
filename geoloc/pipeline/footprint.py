"""What a box means on the ground, learned from the disagreement between cameras, without any truth.

The bottom centre of a box is not the object's centre, and no calibration is exact. Each point is modelled as

    z = x + (a_class + a_camera,class) away + b_camera + M c_camera + noise

with Gaussian priors on the offsets `a` (m, along the line of sight), shifts `b` (m, east and north) and errors `c` of
the calibration, of unit variance: `M` is what its principal modes mean at that point, since an angle that is off is
metres far away and centimetres near by. Points of one object in different cameras share x, so their differences
determine the parameters (linear least squares with x eliminated, in information form, so that it runs online). What
lasts of a standing object's errors is the same in every window, and counts once. What is left of the parameters'
uncertainty goes into `bias_cov`. From the same residuals the noise is learned, along and across the line of sight: a
share that goes with the projected pixels' and one in metres, since a box's lower edge marks an object only so well.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.association import Groups
from geoloc.pipeline.lazily import learning, offsets, solving
from geoloc.pipeline.packed import camera_rows, kind_arrays
from geoloc.scene.columns import Coded
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints, Tracks


@dataclass(frozen=True)
class FootprintOptions:
    """How far points may be from what they stand for, before anything is learned."""

    offset_sigma: float = 0.4  # of the class's length: its offset along the line of sight; 0: none is learned
    camera_offset_sigma: float = 0.2  # of the class's length: what a camera adds to it
    shift_sigma: float = 0.1  # m, of a camera's shift east and north, besides what its bias_cov tells
    constant_share: float = 0.75  # of the variance in bias_cov: what a camera's shift and modes explain
    every_s: float = 0.5  # windows closer than this to the last one learned from are passed over
    memory_s: float = 3600.0  # evidence fades with this time constant
    point_sigma: float = 0.2  # of the class's length: a point however sharp; a camera's own, unlike the body's
    noise_strength: float = 10.0  # points for which the stated noise counts against what is seen

    def __post_init__(self) -> None:
        check_range(self, offset_sigma=(0, 100), camera_offset_sigma=(0, 100), shift_sigma=(0, 100))
        check_range(self, constant_share=(0, 1))
        check_range(self, every_s=(0, 1e9), memory_s=(1, 1e12), point_sigma=(1e-3, 100))
        check_range(self, noise_strength=(1e-3, 1e9))


class _Window(NamedTuple):
    """What `correct` worked out for N points and `learn` needs again."""

    noise: np.ndarray  # (N, 2, 2) m²
    lasting: np.ndarray  # (N, 2, 2) m² of bias that no error of the camera explains, and the doubt about each point
    modes: np.ndarray  # (N, 2, M) m that errors of its calibration mean there
    camera: np.ndarray  # (N,) row of each point's camera
    label: np.ndarray  # (N,) and of its label


class Footprint:
    """Offsets and noise of every camera and class of a site, as learned so far."""

    def __init__(self, site: Site, options: FootprintOptions | None = None) -> None:
        self.options = options or FootprintOptions()
        self._site = site
        self._labels: dict[str, int] = {}
        self._names: tuple[str, ...] = ()  # the labels of the last table
        self._rows = np.zeros(0, dtype=np.int64)  # and their rows
        self._looks: dict[int, float] = {}  # at each track's object where it is, as far as it stands
        self._time = np.nan
        self._begun = np.nan  # s, of the first window that was learned from
        self._due = -np.inf  # s, when mean and covariance are next worth solving for
        self._information = np.zeros((0, 0))
        self._weighted = np.zeros(0)
        self._mean = np.zeros(0)
        self._cov = np.zeros((0, 0))
        self._floor = np.zeros(0)  # m² per label, of a point however sharp
        self._left = np.zeros((2, len(site.cameras)))  # per camera: bias (m²) that no mode explains, number
        # per camera, label and axis: normal equations of the noise's two factors, pixels and metres
        self._noise_normal = np.zeros((len(site.cameras), 0, 2, 2, 2))
        self._noise_right = np.zeros((len(site.cameras), 0, 2, 2))

    def correct(self, points: GroundPoints, doubt: np.ndarray) -> GroundPoints:
        """`points` moved to where their objects stand, their noise scaled, the doubt about both in `bias_cov`.

        `doubt` (N, 2, 2) m² is that about each point's own body and time, which no error of a camera explains.
        """
        if not len(points):
            return points
        camera, label = camera_rows(self._site, points.coded("camera")), self._label_rows(points.coded("label"))
        bias_cov, away = np.ascontiguousarray(points.bias_cov), np.ascontiguousarray(points.away)
        modes = np.ascontiguousarray(points.modes)
        if offsets.add_leftovers(camera, bias_cov, modes, self._left):
            self._solve()
        modes = math.sqrt(self.options.constant_share) * modes
        stated = np.ascontiguousarray(points.cov), bias_cov
        where = np.ascontiguousarray(points.xy), *stated, away, modes, camera, label
        known = self._floor, self._mean, self._cov, self._noise_normal, self._noise_right
        varies = 1.0 - self.options.constant_share
        xy, noise, bias_cov = offsets.correct(*where, *known, self.options.noise_strength, varies)
        self._window = _Window(noise, varies * stated[1] + doubt, modes, camera, label)
        return points.revised(xy=xy, bias_cov=bias_cov + doubt, cov=noise)

    def forget(self, tracks: set[int]) -> None:
        """Know nothing more of some tracks."""
        self._looks = {one: count for one, count in self._looks.items() if one not in tracks}

    def learn(self, points: GroundPoints, groups: Groups, predicted: Tracks, kept: np.ndarray) -> None:
        """Take in the window that was corrected last: its `points` as projected, and the groups that they formed.

        `predicted` are the tracks that groups name, `kept` (N,) the rows of the window's points that are these.
        """
        if len(groups) == len(points) or self._time > float(points.time.max()) - self.options.every_s + SAME_TIME_S:
            return
        before = self._time
        self._fade(learning.latest_shared(np.ascontiguousarray(points.time), groups.group, len(groups)))
        window = _Window(*(column[kept] for column in self._window))
        noise, lasting, modes, camera, label = window
        group, xy, away = groups.group, np.ascontiguousarray(points.xy), np.ascontiguousarray(points.away)
        often = self._repeats(groups, window, predicted, self._time - before)
        weight, total = learning.weights_of(noise, lasting, often, group, len(groups))
        size = len(self._labels), len(self._site.cameras)
        evidence = self._information, self._weighted
        seen = away, modes, camera, label, group
        learning.learn_offsets(xy, weight, total, *seen, *size, ROBUST_DISTANCE2, *evidence)
        if not self._time < self._due:  # NaN before anything was learned
            self._solve()
        weight, total = learning.weights_of(noise, lasting, np.ones(len(groups)), group, len(groups))
        known = self._mean, self._floor, ROBUST_DISTANCE2, self._noise_normal, self._noise_right
        learning.learn_noise(xy, np.ascontiguousarray(points.cov), weight, total, *seen, *known)

    def _repeats(self, groups: Groups, window: _Window, predicted: Tracks, since: float) -> np.ndarray:
        """In how many windows (G,) each group's lasting error is the same: 1 of a new or moving object, else more.

        A k-th look at an object that stands adds only that the noise averages out. With L and N the lasting and
        the independent variance that is (L + N/k)⁻¹ - (L + N/(k-1))⁻¹ = (N + (2k - 1 + k(k-1) L/N) L)⁻¹. In all it
        counts no more than once in the time in which evidence fades.
        """
        looks = np.ones(len(groups))
        rows = np.flatnonzero(groups.track >= 0)
        track, length = groups.track[rows], np.empty(len(groups))
        length[groups.group] = kind_arrays(tuple(self._labels)).length[window.label]
        number = predicted.track[track].tolist()
        if since > 0:
            moved = since * np.hypot(*predicted.velocity[track].T) / length[rows]
            before = np.array([self._looks.get(one, 0.0) for one in number])
            looks[rows] += np.maximum(1.0 - moved, 0.0) * before
        there = set(predicted.track.tolist())
        self._looks = {one: count for one, count in self._looks.items() if one in there}
        self._looks.update(zip(number, looks[rows].tolist(), strict=True))
        lasting, noise = (
            np.bincount(groups.group, np.trace(cov, axis1=1, axis2=2), len(groups))
            for cov in (window.lasting, window.noise)
        )
        often = 2.0 * looks - 1.0 + looks * (looks - 1.0) * lasting / noise
        return np.minimum(often, max(self.options.memory_s / since, 1.0)) if since > 0 else often

    def errors_of_cameras(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What was learned of each camera's own errors: mean (C, K), covariance (C, K, K), sigma before that (C, K).

        K numbers a camera: its shift east and north (m), and what else this model gives it.
        """
        n_cameras, n_labels = len(self._site.cameras), len(self._labels)
        first = n_labels * (1 + n_cameras)
        rows = np.arange(first, len(self._mean)).reshape(n_cameras, -1)
        return self._mean[rows], self._cov[rows[:, :, None], rows[:, None, :]], self._prior_sigmas()[rows]

    def _label_rows(self, labels: Coded) -> np.ndarray:
        """Row (N,) of each point's label, with room made for those that come up for the first time."""
        if labels.names is not self._names:
            self._names, self._rows = labels.names, self._rows_of(labels.names)
        rows = self._rows.take(labels.code)
        if rows.min() < 0:
            self._know(np.unique(labels.spelt()[rows < 0]).tolist())
            self._rows = self._rows_of(labels.names)
            rows = self._rows.take(labels.code)
        return rows

    def _rows_of(self, names: tuple[str, ...]) -> np.ndarray:
        return np.array([self._labels.get(name, -1) for name in names], dtype=np.int64)

    def _know(self, labels: list[str]) -> None:
        """Make room for classes that come up for the first time; what is known of the others stays."""
        new = sorted(set(labels) - self._labels.keys())
        if not new and len(self._mean):
            return
        n_cameras, old = len(self._site.cameras), len(self._labels)
        for label in new:
            self._labels[label] = len(self._labels)
        n, of_cameras = len(self._labels), offsets.N_OF_CAMERA * n_cameras
        kept = np.r_[np.arange(old), n + np.arange(old * n_cameras), n * (1 + n_cameras) + np.arange(of_cameras)]
        size = n * (1 + n_cameras) + of_cameras
        information, weighted = np.zeros((size, size)), np.zeros(size)
        if len(self._mean):
            information[np.ix_(kept, kept)], weighted[kept] = self._information, self._weighted
        self._information, self._weighted = information, weighted
        more = n - old
        self._noise_normal = np.pad(self._noise_normal, ((0, 0), (0, more), (0, 0), (0, 0), (0, 0)))
        self._noise_right = np.pad(self._noise_right, ((0, 0), (0, more), (0, 0), (0, 0)))
        self._floor = (self.options.point_sigma * kind_arrays(tuple(self._labels)).length) ** 2
        self._solve()

    def _solve(self) -> None:
        size = len(self._site.cameras), len(self._labels)
        self._mean, self._cov = solving.solve_offsets(self._information, self._weighted, self._prior_sigmas(), *size)
        self._due = self._time + min(NEWS * (self._time - self._begun), LONGEST_S)

    def _prior_sigmas(self) -> np.ndarray:
        """Of each parameter (P,), before anything is learned; see `kernels.offsets`."""
        options, length = self.options, kind_arrays(tuple(self._labels)).length
        known = options.offset_sigma, options.camera_offset_sigma, options.shift_sigma, options.constant_share
        sigmas: np.ndarray = solving.prior_sigmas(self._left, length, *map(float, known))
        return sigmas

    def _fade(self, time: float) -> None:
        if np.isnan(self._begun):
            self._begun = time
        if time > self._time:
            keep = np.exp((self._time - time) / self.options.memory_s)
            for array in (self._information, self._weighted, self._noise_normal, self._noise_right):
                array *= keep
        self._time = time


ROBUST_DISTANCE2 = 9.0  # squared normalised distance at which a residual counts for a quarter
SAME_TIME_S = 1e-3
NEWS = 0.02  # share of the time learned so far in which what is learned changes too little to be worth solving for
LONGEST_S = 10.0  # in which a camera that was out of work so far may tell more
