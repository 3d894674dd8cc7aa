"""A fleet that passes two cameras at each of many sites, with lookalikes: vehicles of one model and colour.

Of each kind vehicles pass camera A at random times, `rate` a second, and come to camera B after `transit_s`, with a
spread of their own each. Looks tell kinds apart and nothing else; so the difficulty is rate * spread: how many others
of its kind come within the time by which a vehicle may be early or late.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.options import check_range


@dataclass(frozen=True)
class FleetOptions:
    """How many pass, and how."""

    difficulty: float = 0.08  # rate of a kind at a site times the spread of the transit
    spread_s: float = 5.0  # standard deviation of the transit's time
    transit_s: float = 60.0
    hours: float = 1.0
    kinds: int = 500  # models and colours there are
    dim: int = 64  # of the vectors
    noise: float = 0.5  # of a view, to the differences of kinds

    def __post_init__(self) -> None:
        check_range(self, difficulty=(1e-6, 100), spread_s=(1e-3, 1e4), transit_s=(0, 1e6), hours=(1e-3, 1e4))
        check_range(self, kinds=(1, 1_000_000), dim=(2, 10_000), noise=(0, 100))

    @property
    def rate(self) -> float:
        """Vehicles of one kind at one site, 1/s."""
        return self.difficulty / self.spread_s


@dataclass(frozen=True, eq=False)
class Fleet:
    """V vehicles: `site` and `kind` (V,), when each `leaves` A and `comes` to B (V,) s, and its looks in both.

    `looks_a`, `looks_b` (V, D) float32 unit vectors. Row v of all is one vehicle.
    """

    site: np.ndarray
    kind: np.ndarray
    leaves: np.ndarray
    comes: np.ndarray
    looks_a: np.ndarray
    looks_b: np.ndarray

    def __len__(self) -> int:
        return len(self.site)

    def at(self, site: int) -> "Fleet":
        """What passes at one site."""
        rows = self.site == site
        return Fleet(*(getattr(self, name)[rows] for name in Fleet.__dataclass_fields__))


def draw_fleet(
    rng: np.random.Generator, n_sites: int, kinds_a_site: int = 1, options: FleetOptions | None = None
) -> Fleet:
    """What passes at `n_sites` sites, of `kinds_a_site` kinds each, drawn of all kinds."""
    options = options or FleetOptions()
    lasts = 3600.0 * options.hours
    kind = np.stack([rng.permutation(options.kinds)[:kinds_a_site] for _ in range(n_sites)])
    count = rng.poisson(options.rate * lasts, kind.shape)
    site = np.repeat(np.repeat(np.arange(n_sites), kind.shape[1]), count.ravel())
    kind = np.repeat(kind.ravel(), count.ravel())
    leaves = rng.uniform(0.0, lasts, len(kind))
    comes = leaves + options.transit_s + rng.normal(0.0, options.spread_s, len(kind))
    centres = rng.normal(size=(options.kinds, options.dim))
    views = [_views(rng, centres[kind], options.noise) for _ in range(2)]
    return Fleet(site, kind, leaves, comes, *views)


def _views(rng: np.random.Generator, centres: np.ndarray, noise: float) -> np.ndarray:
    """Looks of things in one camera, which changes all of them alike."""
    vectors = centres + 0.3 * rng.normal(size=centres.shape[1]) + noise * rng.normal(size=centres.shape)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
