"""Is this new track an object that was lost from sight? The costs of `link_costs` over the book of identities."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.identity_book import CONFIRMED, HIDDEN, Book
from geoloc.pipeline.link_costs import OVERLAP_S, LinkCostOptions, LinkCosts, Sights, body_density, not_before
from geoloc.pipeline.paces import Paces
from geoloc.pipeline.transits import UNIT_S, TransitOptions, Transits
from geoloc.retrieval.rerank.one_to_one import link_probabilities
from geoloc.scene.site import Site

OUT_OF_THE_QUESTION = -50.0  # log-odds
NEGLIGIBLE = 0.01  # probability that a track shows an object
ECHO_REACH = 1.5  # of its length, and no farther
PACE_S = 1.0  # s, between looks at how fast objects move
STOOD_S = 2.0  # s, for which an object has stood that stands
NEVER = 14.0  # times the mean time of return, after which one in a million is still to come back


@dataclass(frozen=True)
class RecognitionOptions:
    """What makes a new track a known object."""

    birth_density: float = 0.02  # new objects on a square metre near an entrance of the map, before any came
    inside_birth_density: float = 2e-5  # the same elsewhere, of vehicles
    open_birth_density: float = 0.002  # the same of people, and of all on a map that names no entrance
    echoes: float = 0.1  # second tracks an object in sight may have
    returns: float = 0.95  # share of lost vehicles that come back, where the map names its entrances
    way_s: float = 20.0  # for as long a lost vehicle is on its way; after it it comes back ever more rarely
    open_returns: float = 0.5  # the same of people, and where it names none: they leave anywhere
    return_s: float = 10.0  # mean time after which those do
    stop_s: float = 20.0  # mean time after which a vehicle that stood, and was not parked, goes on unseen
    leave_s: float = 3600.0  # mean time after which a hidden object leaves unseen
    transits: TransitOptions = field(default_factory=TransitOptions)
    costs: LinkCostOptions = field(default_factory=LinkCostOptions)  # as of recordings, see `link`

    def __post_init__(self) -> None:
        check_range(self, birth_density=(1e-12, 1e3), inside_birth_density=(1e-12, 1e3), leave_s=(1, 1e12))
        check_range(self, stop_s=(1e-3, 1e12), way_s=(1e-3, 1e12), echoes=(0, 10))
        check_range(self, open_birth_density=(1e-12, 1e3), returns=(0, 1), open_returns=(0, 1), return_s=(1e-3, 1e9))


class Recognition:
    """What is expected at one site: where objects come, where they leave, and whether, where and when they come back.

    How many come, and the ways that they go out of sight, is learned from what was decided before, and from the map.
    """

    def __init__(self, site: Site, options: RecognitionOptions | None = None) -> None:
        self.site = site
        self.options = options or RecognitionOptions()
        self.costs = LinkCosts(site, self.options.costs)
        self.transits = Transits(self.options.transits, site.site_map)
        self.paces = Paces(self.options.costs.pace, self.options.costs.pace_spread)
        self._came = 0  # objects, near entrances
        self._watched_s = 0.0

    def probabilities(self, book: Book, new: np.ndarray, lost: np.ndarray) -> np.ndarray:
        """Probability (n, m) that the tracks in rows `new` (n,) of the book are the lost identities in `lost` (m,).

        No track is two of them and none of them two tracks; what is left of a row of it is a new object.
        """
        odds = self.odds(book, new, lost)
        odds[book.are_apart(new, lost)] = -np.inf
        i, j = np.nonzero(np.isfinite(odds))
        sure = np.zeros(odds.shape)
        if len(i):
            sure[i, j] = link_probabilities(j, i, odds[i, j], max(odds.shape))
        return sure

    def learn(self, book: Book, new: np.ndarray, lost: np.ndarray, sure: np.ndarray) -> None:
        """Take note of the `probabilities` (n, m) that were found, before any number is given."""
        i, j = np.nonzero(sure >= NEGLIGIBLE)
        self.transits.learn(self._lasts(book, lost[j]), self._firsts(book, new[i]), sure[i, j])

    def note_new(self, book: Book, rows: np.ndarray) -> None:
        """Count the new objects in `rows`."""
        rows = rows[self.costs.enclosed(book.kinds(rows).length)]
        comes = self.costs.is_near("entrance", book["start_level"][rows], book["start"][rows])
        self._came += int(np.count_nonzero(comes))

    def note_time(self, book: Book, time: float, passed: float) -> None:
        """Count the time (s) in which they came, and see once a second how fast those go that are there."""
        self._watched_s += passed
        if len(book) and np.floor(time / PACE_S) > np.floor((time - passed) / PACE_S):
            moves = (book["life"] == CONFIRMED) & (book["track"] >= 0) & (book["seen"] >= time - passed)
            self.paces.learn(book.labels, book["label"][moves], book["velocity"][moves])

    def odds(self, book: Book, new: np.ndarray, lost: np.ndarray) -> np.ndarray:
        """Log-likelihood ratios (n, m): a track in `new` (n,) is an identity in `lost` (m,), against a new object.

        Both are rows of the book; -inf: out of the question.
        """
        lasts, firsts = self._lasts(book, lost), self._firsts(book, new)
        mine, row = np.indices((len(new), len(lost))).reshape(2, -1)
        use = new[mine] != lost[row]
        use &= firsts.time[mine] > lasts.time[row] - OVERLAP_S
        mine, row = mine[use], row[use]
        seen, again = lasts.take(row), firsts.take(mine)
        again = not_before(seen, again)
        back = self._comes_back(again.time - seen.time, seen) * (1.0 - book["claimed"][lost[row]])
        odds = np.full((len(new), len(lost)), -np.inf)
        newcomer = np.log(self._density(firsts) + self._echoes(book, new))
        place = self.transits.density(seen, again, self.costs.density(seen, again))
        with np.errstate(divide="ignore"):
            odds[mine, row] = place + np.log(back) - newcomer[mine]
        return np.where(odds > OUT_OF_THE_QUESTION, odds, -np.inf)

    def is_exit(self, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """Whether objects leave the site at points xy (N, 2) on levels (N,)."""
        return self.costs.is_near("exit", level, xy)

    def forget_s(self, book: Book) -> np.ndarray:
        """Time (B,) s after which each lost object does not come back at all."""
        enclosed = self.costs.enclosed(book.kinds(np.arange(len(book))).length)
        return np.where(enclosed, np.inf, NEVER * self.options.return_s)

    def _lasts(self, book: Book, rows: np.ndarray) -> Sights:
        """Where lost identities were seen last."""
        options, life = self.options, book["life"][rows]
        stood = self.costs.enclosed(book.kinds(rows).length)
        stood &= book["seen"][rows] - book["still_since"][rows] >= STOOD_S
        stays_s = np.where(life == HIDDEN, options.leave_s, np.where(stood, options.stop_s, 0.0))
        pace = self.paces.of(book.labels).take(book["label"][rows], axis=0)
        return _sights(book, rows, (book["seen"], book["level"], book["xy"]), stays_s, pace)

    def _firsts(self, book: Book, rows: np.ndarray) -> Sights:
        """Where the tracks of identities began."""
        place = book["first_seen"], book["start_level"], book["start"]
        pace = self.paces.of(book.labels).take(book["label"][rows], axis=0)
        return _sights(book, rows, place, np.zeros(len(rows)), pace)

    def _echoes(self, book: Book, new: np.ndarray) -> np.ndarray:
        """Density (n,) 1/m² of second tracks of objects that are in sight, where the new tracks are now."""
        others = np.flatnonzero((book["track"] >= 0) & (book["seen"] >= book["seen"][new].min()))
        mine, row = np.nonzero(_are_near(book, new, others))
        now = book["seen"], book["level"], book["xy"]
        one, other = (
            _sights(book, rows, now, np.zeros(len(rows)), np.zeros((len(rows), 2))) for rows in (others[row], new[mine])
        )
        density = np.exp(body_density(one, other))
        return np.bincount(mine, self.options.echoes * density, len(new))

    def _comes_back(self, away: np.ndarray, lost: Sights) -> np.ndarray:
        """Probability (K,) that objects which are lost for so long, `away` (K,) s, come back now if they ever do."""
        options = self.options
        leaves = options.open_returns * np.exp(-away / options.return_s)
        # those that wait go on after a second, a minute or an hour: the rate falls as the time that they were away
        later = options.returns * np.minimum((options.way_s + lost.stays_s) / np.maximum(away, 1e-3), 1.0)
        return np.where(self.costs.enclosed(lost.length), later, leaves)

    def _density(self, firsts: Sights) -> np.ndarray:
        """How many new objects (N,) 1/m² are to be expected where these were first seen."""
        options = self.options
        if not self.costs.has("entrance"):
            return np.full(len(firsts), options.open_birth_density)
        comes = self.costs.is_near("entrance", firsts.level, firsts.xy)
        ground = self._watched_s / UNIT_S * self._ground
        near = (1.0 + self._came) / (1.0 / options.birth_density + ground)
        density = np.where(comes, max(near, options.inside_birth_density), options.inside_birth_density)
        elsewhere = np.where(comes, options.birth_density, options.open_birth_density)
        return np.where(self.costs.enclosed(firsts.length), density, elsewhere)

    @cached_property
    def _ground(self) -> float:
        """Ground (m²) in view where objects come."""
        return float(self.costs.areas()[1])


def _are_near(book: Book, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which (n, m) of two objects on one level may be one body."""
    apart = np.linalg.norm(book["xy"][rows][:, None] - book["xy"][others], axis=2)
    near = apart < ECHO_REACH * book.kinds(others).length
    near &= book["level"][rows][:, None] == book["level"][others]
    return near & (rows[:, None] != others)


def _sights(
    book: Book,
    rows: np.ndarray,
    place: tuple[np.ndarray, np.ndarray, np.ndarray],
    stays_s: np.ndarray,
    pace: np.ndarray,
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
        pace=pace,
        acceleration=kinds.acceleration,
        height=book["height"][rows],
        height_var=book["height_var"][rows],
        embedding=book.looks[rows],
    )
