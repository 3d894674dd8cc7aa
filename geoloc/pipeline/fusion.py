"""Points of one object, fused: information fusion on the ground, both covariances carried through."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from geoloc.geometry.gaussian import inverse_2x2, require_covariances, symmetric
from geoloc.geometry.vectors import unit_rows
from geoloc.options import check_range
from geoloc.pipeline.association import Groups
from geoloc.scene.kinds import kind_column
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints, Objects, Tracks, name_codes

SMALL_TABLE = 100_000  # groups times rows


@dataclass(frozen=True)
class FusionOptions:
    """How points become an object."""

    shared_bias: bool = False  # persistent errors of different cameras may be the same (one survey, one lens)
    spread: bool = True  # widen `cov` where the points disagree more than their covariances say
    body_sigma: float = 0.08  # of the class's length: what all cameras' boxes share, a foot is not the body's middle

    def __post_init__(self) -> None:
        check_range(self, body_sigma=(0, 10))


def fuse(
    points: GroundPoints,
    groups: Groups,
    site: Site,
    options: FusionOptions | None = None,
    tracks: Tracks | None = None,
) -> Objects:
    """One row a group: weights W from cov + bias_cov, then cov = Σ W cov Wᵀ and bias_cov = Σ W bias_cov Wᵀ.

    With `shared_bias` the biases' correlation is unknown: split covariance intersection (Julier and Uhlmann,
    2001) with equal weights bounds it, whatever it is. `object` numbers the groups; see `Localizer` for ids
    that last. `tracks` are those that were given to `associate`.
    """
    options = options or FusionOptions()
    group, n = groups.group, len(groups)
    count = np.bincount(group, minlength=n)
    bias = points.bias_cov * count[group, None, None] if options.shared_bias else points.bias_cov
    require_covariances(points.cov + bias, "cov + bias_cov of points")
    information = inverse_2x2(points.cov + bias)
    total = inverse_2x2(sum_by(group, information, n))
    weight = total[group] @ information
    xy = sum_by(group, np.einsum("nij,nj->ni", weight, points.xy), n)
    cov = sum_by(group, weight @ points.cov @ weight.swapaxes(1, 2), n)
    bias_cov = sum_by(group, weight @ bias @ weight.swapaxes(1, 2), n)
    if options.spread:
        cov = cov * _disagreement(points.xy - xy[group], information, group, count)[:, None, None]
    first = np.zeros(n, dtype=np.intp)
    first[group[::-1]] = np.arange(len(points))[::-1]
    best = _best_scored(points.score, group, n)
    body = options.body_sigma * kind_column(points.label[best], "length")
    cov = cov + (body**2)[:, None, None] * np.eye(2)
    level = points.level[first]
    z, slope, sigma_z = _surface(site, level, xy)
    return Objects(
        object=np.arange(n),
        time=sum_by(group, points.time, n) / np.maximum(count, 1),
        level=level,
        xyz=np.concatenate([xy, z[:, None]], axis=1),
        cov=_lift(symmetric(cov), slope, np.zeros(n)),
        bias_cov=_lift(symmetric(bias_cov), slope, sigma_z),
        label=points.label[best],
        best_score=points.score[best],
        n_cameras=count,
        camera_set=_camera_sets(points.camera, group, n),
        track=groups.track if tracks is None else np.append(tracks.track, -1)[groups.track],
        embedding=_mean_embedding(points.embedding, group, n),
    )


def covariance_intersection(
    xy: np.ndarray, cov: np.ndarray, n_steps: int = 33
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fuse two estimates (N, 2, 2), (N, 2, 2, 2) whose errors' correlation is unknown (Julier and Uhlmann, 1997).

    Returns position (N, 2), covariance (N, 2, 2), and the weight (N,) of the first that makes its trace least.
    """
    for i, what in enumerate(("first", "second")):
        require_covariances(cov[:, i], f"{what} covariance")
    first, second = inverse_2x2(cov[:, 0]), inverse_2x2(cov[:, 1])
    weights = np.linspace(0.0, 1.0, n_steps)
    mixed = inverse_2x2(weights[:, None, None, None] * first + (1.0 - weights)[:, None, None, None] * second)
    best = np.argmin(np.trace(mixed, axis1=2, axis2=3), axis=0)
    weight, rows = weights[best], np.arange(len(xy))
    joint = mixed[best, rows]
    pull = weight[:, None, None] * first @ xy[:, 0, :, None] + (1 - weight)[:, None, None] * second @ xy[:, 1, :, None]
    return (joint @ pull)[..., 0], joint, weight


def sum_by(group: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Sums (n, ...) of the rows of `values` (N, ...) that share a group."""
    out = np.zeros((n, *values.shape[1:]))
    if not len(group):
        return out
    if n * len(group) <= SMALL_TABLE:  # one product is faster than scattered additions
        member = np.zeros((n, len(group)))
        member[group, np.arange(len(group))] = 1.0
        out[...] = (member @ values.reshape(len(group), -1)).reshape(out.shape)
    else:
        np.add.at(out, group, values)
    return out


def _disagreement(residual: np.ndarray, information: np.ndarray, group: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Factor (G,) >= 1 on the covariance: the Birge ratio squared, chi-square of the residuals per freedom."""
    chi2 = np.einsum("ni,nij,nj->n", residual, information, residual)
    freedom = 2.0 * (count - 1)
    ratio = np.bincount(group, chi2, len(count)) / np.maximum(freedom, 1.0)
    return np.maximum(1.0, ratio)


def _best_scored(score: np.ndarray, group: np.ndarray, n: int) -> np.ndarray:
    best = np.zeros(n, dtype=np.intp)
    order = np.argsort(score, kind="stable")
    best[group[order]] = order
    return best


def _surface(site: Site, level: np.ndarray, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Height (n,), slope (n, 2) and sigma_z (n,) of the levels at xy; off a level, of its first surface."""
    n = len(xy)
    z, slope, sigma_z = np.zeros(n), np.zeros((n, 2)), np.zeros(n)
    for name in set(level.tolist()):
        surfaces = site.site_map.level(name).surfaces
        rows = np.flatnonzero(level == name)
        for i, surface in reversed(list(enumerate(surfaces))):
            over = rows if i == 0 else rows[surface.holds(xy[rows])]
            z[over], slope[over], sigma_z[over] = surface.z_at(xy[over]), surface.plane[:2], surface.sigma_z
    return z, slope, sigma_z


def _lift(cov: np.ndarray, slope: np.ndarray, sigma_z: np.ndarray) -> np.ndarray:
    """Covariance (n, 3, 3) of a point on a surface from that of its xy (n, 2, 2)."""
    lift = np.concatenate([np.broadcast_to(np.eye(2), (len(cov), 2, 2)), slope[:, None, :]], axis=1)
    lifted = lift @ cov @ lift.swapaxes(1, 2)
    lifted[:, 2, 2] += sigma_z**2
    return lifted


def _camera_sets(camera: np.ndarray, group: np.ndarray, n: int) -> np.ndarray:
    """A number (n,) for each set of cameras, the same in every window."""
    names, code = name_codes(camera)
    # FNV-1a over the name's code points: Python's own hash differs from run to run
    numbers = np.array([_fnv(name) for name in names], dtype=np.uint64)
    out = np.zeros(n, dtype=np.uint64)
    if len(camera):
        np.add.at(out, group, numbers[code])
    return (out >> np.uint64(1)).astype(np.int64)


@lru_cache(maxsize=4096)
def _fnv(text: str) -> int:
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % (1 << 64)
    return value


def _mean_embedding(embedding: np.ndarray, group: np.ndarray, n: int) -> np.ndarray:
    return unit_rows(sum_by(group, np.nan_to_num(embedding, posinf=0.0, neginf=0.0), n))
