"""Is this new track an object that was lost from sight? The costs of `link_costs` over the book of identities."""

from dataclasses import dataclass, field

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.identity_book import HIDDEN, Book
from geoloc.pipeline.link_costs import LinkCostOptions, LinkCosts, Sights
from geoloc.scene.site import Site

OUT_OF_THE_QUESTION = -50.0  # log-odds
NEVER = 14.0  # times the mean time of return, after which one in a million is still to come back


@dataclass(frozen=True)
class RecognitionOptions:
    """What makes a new track a known object."""

    birth_density: float = 0.02  # new objects on a square metre near an entrance of the map
    inside_birth_density: float = 2e-5  # the same elsewhere
    open_birth_density: float = 0.002  # the same everywhere on a map that names no entrance
    returns: float = 0.95  # share of lost objects that come back, where the map names its entrances
    open_returns: float = 0.5  # the same where it names none, and objects leave anywhere
    return_s: float = 10.0  # mean time after which those do
    leave_s: float = 3600.0  # mean time after which a hidden object leaves unseen
    costs: LinkCostOptions = field(default_factory=LinkCostOptions)  # as of recordings, see `link`

    def __post_init__(self) -> None:
        check_range(self, birth_density=(1e-12, 1e3), inside_birth_density=(1e-12, 1e3), leave_s=(1, 1e12))
        check_range(self, open_birth_density=(1e-12, 1e3), returns=(0, 1), open_returns=(0, 1), return_s=(1e-3, 1e9))


class Recognition:
    """What is expected at one site: where objects come, where they leave, and whether they come back."""

    def __init__(self, site: Site, options: RecognitionOptions | None = None) -> None:
        self.site = site
        self.options = options or RecognitionOptions()
        self.costs = LinkCosts(site, self.options.costs)

    def odds(self, book: Book, new: np.ndarray, lost: np.ndarray) -> np.ndarray:
        """Log-likelihood ratios (n, m): the new track is the lost identity, against a new object."""
        lasts, firsts = _lasts(book, lost, self.options.leave_s), _firsts(book, new)
        mine, row = np.indices((len(new), len(lost))).reshape(2, -1)
        use = new[mine] != lost[row]
        use &= firsts.time[mine] > lasts.time[row]
        mine, row = mine[use], row[use]
        back = self._comes_back(firsts.time[mine] - lasts.time[row])
        odds = np.full((len(new), len(lost)), -np.inf)
        newcomer = np.log(self._density(firsts.level, firsts.xy))
        with np.errstate(divide="ignore"):
            odds[mine, row] = self.costs.density(lasts.take(row), firsts.take(mine)) + np.log(back) - newcomer[mine]
        return np.where(odds > OUT_OF_THE_QUESTION, odds, -np.inf)

    def is_exit(self, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """Whether objects leave the site at points xy (N, 2) on levels (N,)."""
        return self.costs.is_near("exit", level, xy)

    @property
    def forget_s(self) -> float:
        """Time (s) after which a lost object does not come back at all."""
        return np.inf if self.costs.has("entrance") else NEVER * self.options.return_s

    def _comes_back(self, away: np.ndarray) -> np.ndarray:
        """Probability (K,) that an object which was lost for so long comes back at all."""
        options = self.options
        if self.costs.has("entrance"):
            return np.full(len(away), options.returns)
        return options.open_returns * np.exp(-away / options.return_s)

    def _density(self, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """How many new objects (N,) 1/m² are to be expected at points."""
        options = self.options
        if not self.costs.has("entrance"):
            return np.full(len(xy), options.open_birth_density)
        comes = self.costs.is_near("entrance", level, xy)
        return np.where(comes, options.birth_density, options.inside_birth_density)


def _lasts(book: Book, rows: np.ndarray, leave_s: float) -> Sights:
    """Where lost identities were seen last."""
    stays_s = np.where(book["life"][rows] == HIDDEN, leave_s, 0.0)
    return _sights(book, rows, (book["seen"], book["level"], book["xy"]), stays_s)


def _firsts(book: Book, rows: np.ndarray) -> Sights:
    """Where the tracks of identities began."""
    return _sights(book, rows, (book["first_seen"], book["start_level"], book["start"]), np.zeros(len(rows)))


def _sights(
    book: Book, rows: np.ndarray, place: tuple[np.ndarray, np.ndarray, np.ndarray], stays_s: np.ndarray
) -> Sights:
    kinds, (time, level, xy) = book.kinds(rows), place
    return Sights(
        time=time[rows],
        level=level[rows],
        xy=xy[rows],
        velocity=book["velocity"][rows],
        cov=book["cov"][rows],
        bias_cov=book["bias_cov"][rows],
        stays_s=stays_s,
        family=book.families(rows),
        length=kinds.length,
        speed=kinds.speed,
        acceleration=kinds.acceleration,
        height=book["height"][rows],
        height_var=book["height_var"][rows],
        embedding=book.looks[rows],
    )
