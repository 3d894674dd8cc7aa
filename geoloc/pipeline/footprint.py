"""What a box means on the ground, learned from the disagreement between cameras, without any truth.

The bottom centre of a box is not the object's centre, and no calibration is exact. Each point is modelled as

    z = x + (a_class + a_camera,class) away + b_camera + noise

with Gaussian priors on the offsets `a` (m, along the line of sight) and shifts `b` (m, east and north). Points
of one object in different cameras share x, so their differences determine the parameters (linear least
squares with x eliminated, in information form, so that it runs online). What is left of their uncertainty goes
into `bias_cov`. From the same residuals the noise is learned, along and across the line of sight: a share that
goes with the projected pixels' and one in metres, since a box's lower edge marks an object only so well.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from geoloc.geometry.gaussian import inverse_2x2
from geoloc.options import check_range
from geoloc.pipeline.association import Groups
from geoloc.pipeline.fusion import sum_by
from geoloc.scene.kinds import kind_column, kind_of
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints


@dataclass(frozen=True)
class FootprintOptions:
    """How far points may be from what they stand for, before anything is learned."""

    offset_sigma: float = 0.4  # of the class's length: its offset along the line of sight; 0: none is learned
    camera_offset_sigma: float = 0.2  # of the class's length: what a camera adds to it
    shift_sigma: float = 0.1  # m, of a camera's shift east and north, besides what its bias_cov tells
    constant_share: float = 0.75  # of the variance in bias_cov: what a shift of the camera explains
    every_s: float = 0.5  # windows closer than this to the last one learned from are passed over: errors repeat
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

    columns: np.ndarray  # (N, 4) parameters that move each point
    design: np.ndarray  # (N, 2, 4) and by how much
    noise: np.ndarray  # (N, 2, 2) m²
    varying: np.ndarray  # (N, 2, 2) m², the part of bias_cov that a shift of the camera does not explain


class Footprint:
    """Offsets and noise of every camera and class of a site, as learned so far."""

    def __init__(self, site: Site, options: FootprintOptions | None = None) -> None:
        self.options = options or FootprintOptions()
        self._site = site
        self._labels: dict[str, int] = {}
        self._time = np.nan
        self._information = np.zeros((0, 0))
        self._weighted = np.zeros(0)
        self._mean = np.zeros(0)
        self._cov = np.zeros((0, 0))
        self._bias_sigma = np.zeros((2, len(site.cameras)))  # per camera: sum of bias sigmas (m), their number
        # per camera, label and axis: normal equations of the noise's two factors, pixels and metres
        self._noise_normal = np.zeros((len(site.cameras), 0, 2, 2, 2))
        self._noise_right = np.zeros((len(site.cameras), 0, 2, 2))

    def correct(self, points: GroundPoints) -> GroundPoints:
        """`points` moved to where their objects stand, their noise scaled, the doubt about both in `bias_cov`."""
        if not len(points):
            return points
        self._know(points.label)
        self._see_bias(points)
        columns, design = self._design(points)
        noise, varying = self._noise(points), (1.0 - self.options.constant_share) * points.bias_cov
        self._window = _Window(columns, design, noise, varying)
        shift = np.einsum("nik,nk->ni", design, self._mean[columns])
        doubt = self._cov[columns[:, :, None], columns[:, None, :]]
        bias_cov = varying + design @ doubt @ design.swapaxes(1, 2)
        return points.replace(xy=points.xy - shift, bias_cov=bias_cov, cov=noise)

    def learn(self, points: GroundPoints, groups: Groups) -> None:
        """Take in the window that was corrected last: its `points` as projected, and the groups that they formed."""
        if len(points) and self._time > float(points.time.max()) - self.options.every_s + SAME_TIME_S:
            return
        count = np.bincount(groups.group, minlength=len(groups))
        rows = np.flatnonzero(count[groups.group] >= 2)
        if not len(rows):
            return
        points, group = points.take(rows), np.unique(groups.group[rows], return_inverse=True)[1]
        self._fade(float(points.time.max()))
        columns, design, noise, varying = (part[rows] for part in self._window)
        weight = inverse_2x2(noise + varying)
        full = np.zeros((len(points), 2, len(self._mean)))
        np.put_along_axis(full, np.broadcast_to(columns[:, None, :], design.shape), design, axis=2)
        full = _centred(full, weight, group)
        residual = _centred(points.xy[:, :, None], weight, group)
        pull = full.swapaxes(1, 2) @ weight
        # robust: a point far off its group says little about offsets (Geman and McClure's weight)
        size = (residual.swapaxes(1, 2) @ weight @ residual)[:, 0, 0]
        trust = 1.0 / (1.0 + size / ROBUST_DISTANCE2) ** 2
        self._information += np.tensordot(trust[:, None, None] * pull, full, axes=([0, 2], [0, 1]))
        self._weighted += np.einsum("n,nki,ni->k", trust, pull, residual[:, :, 0])
        self._solve()
        self._learn_noise(points, weight, group, (residual[:, :, 0] - full @ self._mean))

    def _learn_noise(self, points: GroundPoints, weight: np.ndarray, group: np.ndarray, residual: np.ndarray) -> None:
        """Residuals after the offsets, along and across the line of sight, against what they should be."""
        total = inverse_2x2(sum_by(group, weight, int(group.max()) + 1))[group]
        noise = inverse_2x2(weight)
        floor = (self.options.point_sigma * kind_column(points.label, "length")) ** 2
        at = self._site.camera_rows(points.camera), self._label_rows(points.label)
        for axis, direction in enumerate(_axes(points)):
            stated = np.stack([_along(direction, points.cov), floor], axis=-1)
            believed = _along(direction, noise)
            left = np.clip(1.0 - _along(direction, total) / believed, 1e-3, 1.0)  # a mean takes from its residuals
            square = np.einsum("ni,ni->n", direction, residual) ** 2 / left
            square = np.minimum(square, ROBUST_DISTANCE2 * believed)
            unit = stated.sum(axis=1)
            features, value = stated / unit[:, None], square / unit
            trust = left
            np.add.at(
                self._noise_normal[:, :, axis], at, (trust[:, None] * features)[:, :, None] * features[:, None, :]
            )
            np.add.at(self._noise_right[:, :, axis], at, (trust * value)[:, None] * features)

    def _noise(self, points: GroundPoints) -> np.ndarray:
        """Covariance (N, 2, 2) of the points' own noise, as learned so far."""
        at = self._site.camera_rows(points.camera), self._label_rows(points.label)
        factors = _two_factors(self._noise_normal[at], self._noise_right[at], self.options.noise_strength)
        along, across = (axis[:, :, None] * axis[:, None, :] for axis in _axes(points))
        stretch = np.sqrt(factors[:, :, :1, None])
        scale = stretch[:, 0] * along + stretch[:, 1] * across
        floor = (self.options.point_sigma * kind_column(points.label, "length")) ** 2
        metres = factors[:, :, 1:, None] * floor[:, None, None, None]
        return scale @ points.cov @ scale.swapaxes(1, 2) + metres[:, 0] * along + metres[:, 1] * across

    def _see_bias(self, points: GroundPoints) -> None:
        camera = self._site.camera_rows(points.camera)
        sigma = np.sqrt(0.5 * np.trace(points.bias_cov, axis1=1, axis2=2))
        new = not self._bias_sigma[1, camera].all()
        n_cameras = len(self._site.cameras)
        self._bias_sigma += [np.bincount(camera, sigma, n_cameras), np.bincount(camera, minlength=n_cameras)]
        if new:
            self._solve()

    def _design(self, points: GroundPoints) -> tuple[np.ndarray, np.ndarray]:
        """Columns (N, 4) of the parameters that move each point, and by how much (N, 2, 4)."""
        n_cameras, n_labels = len(self._site.cameras), len(self._labels)
        camera, label = self._site.camera_rows(points.camera), self._label_rows(points.label)
        own = n_labels + label * n_cameras + camera
        shift = n_labels * (1 + n_cameras) + 2 * camera
        columns = np.stack([label, own, shift, shift + 1], axis=-1)
        unit = np.broadcast_to(np.eye(2), (len(points), 2, 2))
        return columns, np.concatenate([points.away[:, :, None], points.away[:, :, None], unit], axis=2)

    def _label_rows(self, labels: np.ndarray) -> np.ndarray:
        return np.fromiter((self._labels[label] for label in labels.tolist()), np.intp, len(labels))

    def _know(self, labels: np.ndarray) -> None:
        """Make room for classes that come up for the first time; what is known of the others stays."""
        new = sorted(set(labels.tolist()) - self._labels.keys())
        if not new and len(self._mean):
            return
        n_cameras, old = len(self._site.cameras), len(self._labels)
        for label in new:
            self._labels[label] = len(self._labels)
        n = len(self._labels)
        kept = np.r_[np.arange(old), n + np.arange(old * n_cameras), n * (1 + n_cameras) + np.arange(2 * n_cameras)]
        size = n * (1 + n_cameras) + 2 * n_cameras
        information, weighted = np.zeros((size, size)), np.zeros(size)
        if len(self._mean):
            information[np.ix_(kept, kept)], weighted[kept] = self._information, self._weighted
        self._information, self._weighted = information, weighted
        more = n - old
        self._noise_normal = np.pad(self._noise_normal, ((0, 0), (0, more), (0, 0), (0, 0), (0, 0)))
        self._noise_right = np.pad(self._noise_right, ((0, 0), (0, more), (0, 0), (0, 0)))
        self._solve()

    def _solve(self) -> None:
        options, n_cameras = self.options, len(self._site.cameras)
        length = np.array([kind_of(label).length for label in self._labels])
        bias = self._bias_sigma[0] / np.maximum(self._bias_sigma[1], 1.0)
        sigma = np.r_[
            options.offset_sigma * length,
            options.camera_offset_sigma * np.repeat(length, n_cameras),
            np.repeat(np.sqrt(options.shift_sigma**2 + options.constant_share * bias**2), 2),
        ]
        # in units of the priors' sigmas: a parameter of sigma 0 stays 0
        scaled = sigma[:, None] * self._information * sigma + np.eye(len(sigma))
        cov = np.linalg.inv(scaled)
        self._cov = sigma[:, None] * cov * sigma
        self._mean = self._cov @ self._weighted

    def _fade(self, time: float) -> None:
        if time > self._time:
            keep = np.exp((self._time - time) / self.options.memory_s)
            for array in (self._information, self._weighted, self._noise_normal, self._noise_right):
                array *= keep
        self._time = time


ROBUST_DISTANCE2 = 9.0  # squared normalised distance at which a residual counts for a quarter
SAME_TIME_S = 1e-3
LEAST_FACTOR = 0.01  # of the stated variance that learning leaves


def _axes(points: GroundPoints) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (N, 2) along and across the line of sight."""
    return points.away, np.stack([-points.away[:, 1], points.away[:, 0]], axis=-1)


def _along(direction: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Variance (N,) of covariances (N, 2, 2) in unit directions (N, 2)."""
    return np.einsum("ni,nij,nj->n", direction, cov, direction)


def _two_factors(normal: np.ndarray, right: np.ndarray, strength: float) -> np.ndarray:
    """Least squares (..., 2) for both factors, drawn to 1 by `strength`, each held above LEAST_FACTOR."""
    normal = normal + strength * np.eye(2)
    right = right + strength
    a, b, d = normal[..., 0, 0], normal[..., 0, 1], normal[..., 1, 1]
    x, y = right[..., 0], right[..., 1]
    determinant = a * d - b * b
    first, second = (d * x - b * y) / determinant, (a * y - b * x) / determinant
    low = LEAST_FACTOR
    only_second, only_first = (y - b * low) / d, (x - b * low) / a
    first, second = (
        np.where(first < low, low, np.where(second < low, only_first, first)),
        np.where(second < low, low, np.where(first < low, only_second, second)),
    )
    return np.maximum(np.stack([first, second], axis=-1), low)


def _centred(values: np.ndarray, weight: np.ndarray, group: np.ndarray) -> np.ndarray:
    """`values` (N, 2, k) less their group's mean under `weight` (N, 2, 2): what does not depend on x."""
    n = int(group.max()) + 1
    total = inverse_2x2(sum_by(group, weight, n))
    mean = total @ sum_by(group, weight @ values, n)
    return values - mean[group]
