"""A short play in a drawn parking lot: a car parks, a van stops in front of it for minutes and hides it, and leaves.

One row of stalls along an aisle, three cameras on the other side. Who drives where and when is written down, so that
the truth at any time is known: while the van stands there, no camera sees enough of the car for a detector.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.geometry.geodesy import Datum
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface
from geoloc.synthetic.paths import fillet
from geoloc.synthetic.truth import Truth
from geoloc.synthetic.world import World, make_camera, rectangle, zone

SECONDS = 420.0
RATE = 5.0  # Hz
START = 1_717_754_400.05  # Unix s: 2024-06-07 10:00:00 UTC; frames of one moment fall into one window
N_STALLS, STALL = 11, (2.6, 5.0)  # m
NEAR = 5.0  # m, y at which the stalls begin
AISLE = (0.0, 3.4)  # m, y of the lane and of what stops in front of the stalls
ENDS = (-29.0, 29.0)  # m, x of entrance and exit
TURN = 4.0  # m, radius
CAR, VAN = 1, 2  # the objects that the play is about
STALLED_IN = "B06"  # where the car parks
VAN_STANDS = (75.0, 345.0)  # s, from when to when
SIZES = {"car": (4.3, 1.8, 1.46), "van": (6.9, 2.05, 2.75), "person": (0.34, 0.5, 1.75)}  # m
PACES = {"arrive": (1.0, 2.0), "depart": (0.0, 1.0), "move": (0.0, 2.0)}  # which part of a start and a stop it is


@dataclass(frozen=True)
class Act:
    """A way along `vertices` (m) from `start` to `end` s; it keeps its pace, or starts, or stops, or both."""

    start: float
    end: float
    vertices: tuple[tuple[float, float], ...]
    pace: str = "through"
    reverse: bool = False

    def at(self, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places (N, 2) m and headings (N,) rad at times (N,) s."""
        points, heading, _ = fillet(np.array(self.vertices), TURN)
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        s = along[-1] * self._share(np.clip((time - self.start) / (self.end - self.start), 0.0, 1.0))
        xy = np.stack([np.interp(s, along, points[:, i]) for i in (0, 1)], axis=-1)
        return xy, np.interp(s, along, heading) + np.pi * self.reverse

    def _share(self, part: np.ndarray) -> np.ndarray:
        if self.pace not in PACES:
            return part
        low, high = PACES[self.pace]
        ends = _smooth(np.array([low, high]) / 2)
        return (_smooth((low + (high - low) * part) / 2) - ends[0]) / (ends[1] - ends[0])


def _smooth(part: np.ndarray) -> np.ndarray:
    """0 to 1 as one starts and stops: speed and acceleration are 0 at both ends."""
    return part**3 * (10.0 + part * (6.0 * part - 15.0))


def parking_lot() -> World:
    """The lot: eleven stalls B01 to B11, an aisle from entrance to exit, three cameras."""
    first = -STALL[0] * (N_STALLS - 1) / 2
    stalls = tuple(_stall(i, first + STALL[0] * i) for i in range(N_STALLS))
    site_map = SiteMap(
        levels=(Level("ground", (Surface((0.0, 0.0, 0.0), rectangle(-31, -19, 31, 11), 0.01),)),),
        datum=Datum(48.13715, 11.57612, 519.0),
        stalls=stalls,
        zones=(
            zone("aisle", "ground", (-27, -2, 27, NEAR), "lane"),
            zone("entrance", "ground", (-31, -2, -27, NEAR), "entrance"),
            zone("exit", "ground", (27, -2, 31, NEAR), "exit"),
        ),
    )
    cameras = (
        make_camera("west", (-5.0, -17.0, 4.2), (-9.0, 3.0, 0.5), field_deg=100, sigma_deg=0.06),
        make_camera("middle", (0.0, -17.5, 4.2), (0.0, 3.0, 0.5), field_deg=100, sigma_deg=0.06),
        make_camera("east", (5.0, -17.0, 4.2), (9.0, 3.0, 0.5), field_deg=100, sigma_deg=0.06),
    )
    return World(Site("lot", cameras, site_map))


def _stall(i: int, x: float) -> Place:
    return zone(f"B{i + 1:02d}", "ground", (x - STALL[0] / 2, NEAR, x + STALL[0] / 2, NEAR + STALL[1]), "stall")


def stall_middle(name: str) -> tuple[float, float]:
    """Where (m) a car stands that is parked in a stall."""
    return STALL[0] * (int(name[1:]) - 1 - (N_STALLS - 1) / 2), NEAR + STALL[1] / 2


def behind_the_van() -> Truth:
    """The play's truth, RATE times a second for SECONDS s: rows in order of time, then object."""
    lane, front = AISLE
    west, east = ENDS
    x, y = stall_middle(STALLED_IN)
    came, left = VAN_STANDS
    out = ((x, y), (x, lane), (x - 6.0, lane))  # backwards, then on to the exit
    roles = {
        CAR: ("car", (
            Act(5.0, 18.0, ((west, lane), (x, lane), (x, y)), "arrive"),
            Act(374.0, 387.0, out, "move", reverse=True),
            Act(388.0, 400.0, ((x - 6.0, lane), (east, lane)), "depart"),
        )),
        VAN: ("van", (
            Act(came - 14.0, came, ((west, lane), (x - 8.0, lane), (x - 5.0, front), (x, front)), "arrive"),
            Act(left, left + 12.0, ((x, front), (x + 6.0, front), (x + 9.0, lane), (east, lane)), "depart"),
        )),
        3: ("car", (Act(0.0, SECONDS, (stall_middle("B02"),) * 2),)),
        4: ("car", (Act(0.0, SECONDS, (stall_middle("B10"),) * 2),)),
        5: ("car", (Act(121.0, 131.0, ((west, lane - 0.6), (east, lane - 0.6))),)),
        6: ("person", (Act(150.0, 195.0, ((west, -4.5), (east, -4.5))),)),
        7: ("car", (
            Act(206.0, 219.0, ((west, lane - 0.5), (stall_middle("B09")[0], lane - 0.5), stall_middle("B09")),
                "arrive"),
        )),
        8: ("car", (Act(290.0, 301.0, ((west, lane - 0.6), (east, lane - 0.6))),)),
    }  # fmt: skip
    truth = Truth.concat([_role(number, *role) for number, role in roles.items()])
    return truth.take(np.lexsort((truth.object, truth.time)))


def _role(number: int, label: str, acts: Sequence[Act]) -> Truth:
    """One object's truth: it stands where an act has brought it until the next one begins, or the play is over."""
    last = acts[-1].end if acts[-1].pace in ("through", "depart") else SECONDS
    ticks = np.arange(np.ceil(acts[0].start * RATE), np.floor(last * RATE) + 1)
    time = ticks / RATE
    act = np.searchsorted([one.start for one in acts], time, side="right") - 1
    xy, heading = np.empty((len(time), 2)), np.empty(len(time))
    for i, one in enumerate(acts):
        xy[act == i], heading[act == i] = one.at(time[act == i])
    return Truth(
        time=START + time, object=np.full(len(time), number), label=np.full(len(time), label),
        level=np.full(len(time), "ground"), xyz=np.column_stack([xy, np.zeros(len(time))]),
        velocity=np.gradient(xy, 1.0 / RATE, axis=0), heading=heading,
        size=np.tile(SIZES[label], (len(time), 1)), n_cameras=np.full(len(time), -1),
    )  # fmt: skip
