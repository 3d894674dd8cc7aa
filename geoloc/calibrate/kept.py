"""Which measurements of a network count, and the network with those alone."""

from dataclasses import dataclass, replace

import numpy as np

from geoloc.estimators.bundle import Adjusted
from geoloc.estimators.network import Heights, Layout, Network, Spans, Surveyed
from geoloc.estimators.network_rows import predict, start_of
from geoloc.scene.lenses import LENSES

PARKED = 1.0  # m; how tightly a point that lost its marks is kept where it is, for no one to use


@dataclass(frozen=True, eq=False)
class Kept:
    """Which sights (N,), surveys (Q,), distances (D,), heights (H,) and lines' statements (S,) of a network count."""

    sights: np.ndarray
    surveys: np.ndarray
    spans: np.ndarray
    heights: np.ndarray
    lines: np.ndarray

    def __eq__(self, other: object) -> bool:
        names = ("sights", "surveys", "spans", "heights", "lines")
        return isinstance(other, Kept) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in names
        )

    __hash__ = None  # type: ignore[assignment]


def pruned(network: Network, kept: Kept) -> Network:
    """The network with what is kept alone; points that nothing places any more are parked where they are."""
    placed = placed_points(network, kept)
    sights = network.sights.take(kept.sights & placed[network.sights.point])
    parked = np.flatnonzero(~placed)
    old = network.surveyed
    surveyed = Surveyed(
        np.concatenate([old.point[kept.surveys], parked]),
        np.concatenate([old.xyz[kept.surveys], network.points[parked]]),
        np.concatenate([old.sigma[kept.surveys], np.full((len(parked), 3), PARKED)]),
    )
    spans = network.spans
    spans = Spans(spans.ends[kept.spans], spans.metres[kept.spans], spans.sigma[kept.spans])
    tall = network.heights
    heights = Heights(tall.camera[kept.heights], tall.plane[kept.heights], tall.sigma[kept.heights])
    lines = network.lines.kept(kept.lines)
    return replace(network, sights=sights, surveyed=surveyed, spans=spans, heights=heights, lines=lines)


def placed_points(network: Network, kept: Kept) -> np.ndarray:
    """Which points (P,) bool are surveyed, seen by two cameras, or seen by one and measured to."""
    n_points, n_cameras = len(network.points), len(network.cameras)
    views = np.zeros((n_points, n_cameras), dtype=bool)
    views[network.sights.point[kept.sights], network.sights.camera[kept.sights]] = True
    count = 2 * views.sum(axis=1)
    np.add.at(count, network.spans.ends[kept.spans].ravel(), 1)
    count[network.surveyed.point[kept.surveys]] += 3
    return count >= 3


def moved(network: Network, adjusted: Adjusted) -> Network:
    """The network with its start where an adjustment ended."""
    state = adjusted.state
    cameras = tuple(
        camera if held else replace(camera, lens=LENSES[camera.lens.model](params), cam_from_world=state.poses[i])
        for i, (camera, params, held) in enumerate(zip(network.cameras, state.params, network.held, strict=True))
    )
    return replace(network, cameras=cameras, points=state.points)


def sizes(network: Network) -> np.ndarray:
    """Residuals (N,) in sigmas where the network starts; infinite where a camera cannot see its point."""
    layout = Layout(network)
    seen = predict(layout, start_of(network))
    size = np.empty(len(layout.order))
    size[layout.order] = np.linalg.norm((layout.sights.pixel - seen.pixel) / layout.sights.sigma[:, None], axis=1)
    return np.where(np.isfinite(size), size, np.inf)


def everything(network: Network) -> Kept:
    """All measurements of a network."""
    columns = network.sights.point, network.surveyed.point, network.spans.metres, network.heights.sigma
    counts = [*map(len, columns), network.lines.n_statements]
    return Kept(*(np.ones(count, dtype=bool) for count in counts))
