"""A site's layout learned from its tracks: lanes, stalls, entrances and exits, blind areas, transits, walked ground.

    learner = LayoutLearner(site)
    for tracks in replay(localizer, detections):
        learner.observe(tracks)                       # as they come; what was seen long ago fades
    layout = learner.layout()
    save_map(layout.proposal(site.site_map), "learned.geojson")
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.files import whole_file
from geoloc.options import check_range, merge_options
from geoloc.perception.lanes import LaneOptions, LearnedLane, find_lanes
from geoloc.perception.layout_map import Layout, LearnedWalk
from geoloc.perception.stalls_stood import LearnedStall, Spots, StallOptions, find_stalls
from geoloc.perception.tracks_doors import DoorOptions, Doors
from geoloc.perception.tracks_flow import Flow, FlowOptions, Nodes
from geoloc.perception.tracks_trails import PERSON, VEHICLE, TrailOptions, Trails, rows_of
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

SCHEMA = 1


@dataclass(frozen=True)
class LayoutOptions:
    """Options of all that is learned from tracks."""

    batch_rows: int = 4096  # rows that are taken in at once
    least_walked: float = 2.0  # m of people's travel in a cell of ground that is walked
    flow: FlowOptions = field(default_factory=FlowOptions)
    trails: TrailOptions = field(default_factory=TrailOptions)
    lanes: LaneOptions = field(default_factory=LaneOptions)
    stalls: StallOptions = field(default_factory=StallOptions)
    doors: DoorOptions = field(default_factory=DoorOptions)

    def __post_init__(self) -> None:
        check_range(self, batch_rows=(1, 1e7), least_walked=(0.01, 1e6))


class LayoutLearner:
    """What the tracks of one site have told so far; bounded in size, and fading."""

    def __init__(self, site: Site, options: LayoutOptions | None = None) -> None:
        self.site, self.options = site, options or LayoutOptions()
        self.driven, self.walked = Flow(self.options.flow), Flow(self.options.flow)
        self.trails = Trails(self.options.trails)
        self.spots = Spots(self.options.stalls)
        self.doors = Doors(site, self.options.doors)
        self.time = -np.inf  # of the last row
        self._waiting: list[Tracks] = []
        self._n_waiting = 0

    def observe(self, tracks: Tracks) -> None:
        """Take tracks in, later than all before: a window of them, or a whole recording."""
        if len(tracks):
            self._waiting.append(tracks)
            self._n_waiting += len(tracks)
            if self._n_waiting >= self.options.batch_rows:
                self.flush()

    def flush(self) -> None:
        """Learn what waits; `layout` does that itself."""
        if not self._waiting:
            return
        tracks = Tracks.concat(self._waiting)
        self._waiting, self._n_waiting = [], 0
        late = int((tracks.time < self.time).sum())
        if late:
            when = f"the first at {tracks.time.min():.1f} s, after {self.time:.1f} s was seen"
            raise InputError(f"{late} of {len(tracks)} rows of tracks come too late ({when}); give them by time")
        rows = rows_of(tracks, self.site.site_map.level_rows(tracks.level))
        found = self.trails.follow(rows, self.options.flow.longest_step_s, self.options.flow.slowest)
        for flow, family in ((self.driven, VEHICLE), (self.walked, PERSON)):
            mine = np.flatnonzero(found.travel.family == family)
            part = found.travel.take(mine)
            flow.add(part.level, part.xy, part.velocity, found.metres[mine], part.bias_cov, part.time)
        self.spots.add([stay for stay in found.stays if stay.family == VEHICLE])
        self.doors.add(found.ends, found.gaps)
        self.time = float(tracks.time.max())

    def lanes(self) -> list[LearnedLane]:
        """The lanes of all levels, most driven first on each."""
        self.flush()
        nodes = self.driven.nodes()
        return [lane for level in range(len(self.site.site_map.levels)) for lane in self._lanes(nodes, level)]

    def stalls(self) -> list[LearnedStall]:
        """The stalls of all levels, with what stands there now."""
        self.flush()
        table = self.spots.with_standing([stay for stay in self.trails.standing() if stay.family == VEHICLE])
        passages = _passages(self.driven.nodes(), table)
        levels = range(len(self.site.site_map.levels))
        return [stall for level in levels for stall in find_stalls(table, level, passages, self.options.stalls)]

    def layout(self) -> Layout:
        """All that is known by now."""
        self.flush()
        nodes, walked = self.driven.nodes(), self.walked.nodes()
        levels = range(len(self.site.site_map.levels))
        blind = [
            (level, *area)
            for level in levels
            for area in self.doors.blind_areas(level, np.concatenate([nodes.on(level).xy, walked.on(level).xy]))
        ]
        walks = [walk for level in levels for walk in _walks(walked.on(level), level, self.options)]
        names = tuple(level.name for level in self.site.site_map.levels)
        return Layout(
            names, tuple(self.lanes()), tuple(self.stalls()), tuple(self.doors.doors()), tuple(blind),
            tuple(walks), tuple(self.doors.learned_transits()),
        )  # fmt: skip

    def save(self, path: Path | str) -> None:
        """Write all that was learned, whole or not at all; tracks that are open begin anew where it is loaded."""
        self.flush()
        header = {
            "schema": SCHEMA, "options": asdict(self.options), "time": self.time if np.isfinite(self.time) else None,
            "levels": self.site.site_map.level_names.tolist(), "cameras": [camera.name for camera in self.site.cameras],
        }  # fmt: skip
        arrays = {"header": np.array(json.dumps(header)), "spots": self._spots()}
        for name, part in (("driven", self.driven), ("walked", self.walked), ("doors", self.doors)):
            arrays |= {f"{name}/{key}": array for key, array in part.arrays().items()}
        with whole_file(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, site: Site, path: Path | str) -> "LayoutLearner":
        """What `save` wrote, of the same site; InputError for another file, version or site."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            header = json.loads(str(arrays.pop("header")))
        except FileNotFoundError as error:
            raise InputError(f"{path}: there is no such file") from error
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise InputError(f"{path}: holds no learned layout ({error})") from error
        if header.get("schema") != SCHEMA:
            raise InputError(f"{path}: is of schema {header.get('schema')!r}; this geoloc reads schema {SCHEMA}")
        found = header["levels"], header["cameras"]
        if found != (site.site_map.level_names.tolist(), [camera.name for camera in site.cameras]):
            raise InputError(f"{path}: was learned on a site of other levels or cameras than {site.name!r}")
        learner = cls(site, merge_options(LayoutOptions(), header["options"]))
        try:
            learner.spots.table = arrays["spots"]
            for name, part in (("driven", learner.driven), ("walked", learner.walked), ("doors", learner.doors)):
                start = f"{name}/"
                part.restore({key.removeprefix(start): a for key, a in arrays.items() if key.startswith(start)})
        except KeyError as error:
            raise InputError(f"{path}: lacks {error}; another version saved it") from error
        learner.time = -np.inf if header["time"] is None else float(header["time"])
        return learner

    def _spots(self) -> np.ndarray:
        """With what stands now: an open track is not saved, and would else be lost."""
        return self.spots.with_standing([stay for stay in self.trails.standing() if stay.family == VEHICLE])

    def _lanes(self, nodes: Nodes, level: int) -> list[LearnedLane]:
        return find_lanes(nodes, level, self.options.lanes)


def learn_layout(site: Site, tracks: Tracks, options: LayoutOptions | None = None) -> Layout:
    """The layout that a recording's tracks tell, in any order of rows."""
    learner = LayoutLearner(site, options)
    learner.observe(tracks)
    return learner.layout()


def _passages(nodes: Nodes, table: np.ndarray) -> np.ndarray:
    """How many vehicles drove over each spot (S,): metres of travel within 1 m of it, over 2 m."""
    from scipy.spatial import cKDTree

    out = np.zeros(len(table))
    for level in np.unique(table[:, 0]).astype(int).tolist() if len(table) else []:
        here, mine = nodes.on(level), np.flatnonzero(table[:, 0] == level)
        if len(here.xy):
            near = cKDTree(here.xy).query_ball_point(table[mine, 2:4], 1.0)
            out[mine] = [here.weight[rows].sum() / 2.0 for rows in near]
    return out


def _walks(nodes: Nodes, level: int, options: LayoutOptions) -> list[LearnedWalk]:
    """Ground that people walked."""
    cell = options.flow.cell
    cells, which = np.unique(np.floor(nodes.xy / cell).astype(int), axis=0, return_inverse=True)
    metres = np.bincount(which.ravel(), nodes.weight, len(cells))
    walked = cells[metres >= options.least_walked] * cell
    if not len(walked):
        return []
    union = shapely.union_all(shapely.box(*walked.T, *(walked + cell).T)).buffer(0.6).buffer(-0.4).simplify(0.15)
    passed = 1.0 - 0.5 ** (float(np.median(metres[metres >= options.least_walked])) / options.least_walked)
    pieces = [piece for piece in shapely.get_parts(union).tolist() if piece.area > 2]
    return [LearnedWalk(level, shapely.Polygon(piece.exterior), passed) for piece in pieces]
