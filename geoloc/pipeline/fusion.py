"""Points of one object, fused: information fusion on the ground, both covariances carried through."""

from dataclasses import dataclass

import numpy as np

from geoloc.geometry.gaussian import inverse_2x2, require_covariances
from geoloc.options import check_range
from geoloc.pipeline.association import Groups
from geoloc.pipeline.lazily import fusing, small
from geoloc.pipeline.packed import camera_numbers, kind_arrays, rows_of_levels, surface_arrays
from geoloc.scene.columns import Coded
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints, Objects, Tracks


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
    group, n = np.ascontiguousarray(groups.group, dtype=np.int64), len(groups)
    cov, bias_cov = np.ascontiguousarray(points.cov), np.ascontiguousarray(points.bias_cov)
    _require(cov, bias_cov, group if options.shared_bias else None)
    labels, levels, cameras = (points.coded(name) for name in ("label", "level", "camera"))
    time, best_score, xyz = np.empty(n), np.empty(n), np.empty((n, 3))
    fused_cov, fused_bias = np.empty((n, 3, 3)), np.empty((n, 3, 3))
    sure = np.ones(n)
    label, level, count, camera_set = (np.empty(n, dtype=np.int64) for _ in range(4))
    fusing.fuse_groups(
        np.ascontiguousarray(points.time),
        np.ascontiguousarray(points.xy),
        cov,
        bias_cov,
        np.ascontiguousarray(points.score),
        labels.code,
        levels.code,
        np.ascontiguousarray(points.level_probability),
        cameras.code,
        group,
        camera_numbers(cameras.names),
        options.body_sigma * kind_arrays(labels.names).length,
        rows_of_levels(site.site_map, levels.names),
        surface_arrays(site.site_map),
        options.shared_bias,
        options.spread,
        time,
        xyz,
        fused_cov,
        fused_bias,
        label,
        level,
        sure,
        best_score,
        count,
        camera_set,
    )
    heights = np.ascontiguousarray(points.height), np.ascontiguousarray(points.height_var)
    height, height_var = fusing.mean_heights(*heights, group, n)
    track = np.asarray(groups.track, dtype=np.int64)
    return Objects.trusted(
        object=np.arange(n),
        time=time,
        level=Coded(levels.names, level),
        level_probability=sure,
        xyz=xyz,
        cov=fused_cov,
        bias_cov=fused_bias,
        height=height,
        height_var=height_var,
        label=Coded(labels.names, label),
        score=np.ones(n),
        best_score=best_score,
        n_cameras=count,
        camera_set=camera_set,
        track=track.copy() if tracks is None else np.append(tracks.track, -1)[track],
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


def _require(cov: np.ndarray, bias_cov: np.ndarray, group: np.ndarray | None) -> None:
    if group is not None:
        bias_cov = bias_cov * np.bincount(group)[group][:, None, None]
    if small.first_bad(cov, bias_cov) >= 0:
        require_covariances(cov + bias_cov, "cov + bias_cov of points")


def _mean_embedding(embedding: np.ndarray, group: np.ndarray, n: int) -> np.ndarray:
    if not embedding.shape[1]:
        return np.zeros((n, 0), dtype=np.float32)
    return fusing.mean_looks(np.ascontiguousarray(embedding), group, n).astype(np.float32)
