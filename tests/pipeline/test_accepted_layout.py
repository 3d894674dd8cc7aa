"""What was learned of a site in quiet hours, and accepted, keeps identities apart in busy ones."""

from dataclasses import replace

import numpy as np
import shapely
from sites import camera, feet_seen

from geoloc.metrics.matching import Sightings, pair_positions
from geoloc.metrics.tracking import score_identity
from geoloc.options import merge_options
from geoloc.perception.tracks_layout import learn_layout
from geoloc.pipeline.localizer import LocalizerOptions, localize
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface
from geoloc.scene.tables import Detections

T0, STEP = 1_700_000_000.0, 0.2
SPEED, FAR, NEAR = 8.0, 60.0, 22.0  # m/s, and m either way of the middle: where cars are in sight
HIDDEN_S = 14.0  # s: over a bridge with bumps, 44 m that at their speed would take 5.5 s
ROAD = Site(
    "road",
    (camera("west", (-18.0, 0.0, 6.0), (-40.0, 0.0, 0.0)), camera("east", (18.0, 0.0, 6.0), (40.0, 0.0, 0.0))),
    SiteMap(
        (Level("ground", (Surface(),)),),
        zones=(
            Place("in", "ground", shapely.box(-66.0, -6.0, -50.0, 6.0), "entrance"),
            Place("out", "ground", shapely.box(50.0, -6.0, 66.0, 6.0), "exit"),
        ),
    ),
)
OPTIONS = merge_options(LocalizerOptions(), {"window_s": STEP})


def places(starts: np.ndarray, time: float) -> np.ndarray:
    """x (N,) m of cars that came into sight at `starts` (N,) s; NaN: not in sight."""
    drive = (FAR - NEAR) / SPEED
    since = time - starts
    before, after = -FAR + SPEED * since, NEAR + SPEED * (since - drive - HIDDEN_S)
    x = np.where((since >= 0) & (since < drive), before, np.nan)
    return np.where((since >= drive + HIDDEN_S) & (after < FAR), after, x)


def drawn(starts: np.ndarray, rng: np.random.Generator) -> tuple[Detections, Sightings]:
    """What the cameras see of cars, and where which car is."""
    seen, frames, numbers, xy = [], [], [], []
    late = starts + rng.normal(0.0, 0.3, len(starts))
    for k in range(int((starts.max() + 30.0) / STEP)):
        x = places(late, k * STEP)
        here = np.flatnonzero(np.isfinite(x))
        if len(here):
            at = np.column_stack([x[here], np.zeros(len(here)), np.zeros(len(here))])
            both = feet_seen(ROAD, at, T0 + k * STEP, rng, label="car")
            side = np.where(x[here] < 0, "west", "east")
            seen.append(both.take(np.isin(both.camera, side)))
        frames.append(np.full(len(here), k))
        numbers.append(here)
        xy.append(np.column_stack([x[here], np.zeros(len(here))]))
    table = Detections.concat(seen)
    truth = Sightings(np.concatenate(frames), np.concatenate(numbers), np.concatenate(xy))
    return table.replace(id=np.arange(len(table))), truth


def idf1(site: Site, seen: Detections, truth: Sightings) -> float:
    tracks = localize(seen, site, OPTIONS)
    tracks = tracks.take((tracks.object >= 0) & (tracks.state != "tentative"))
    frame = np.rint((tracks.time - T0) / STEP).astype(int)
    return score_identity(pair_positions(truth, Sightings(frame, tracks.track, tracks.xy), 3.0), 0.5).idf1


def test_times_learned_when_cars_came_one_by_one_keep_identities_when_they_come_close_together() -> None:
    """Measured: IDF1 0.50 on the map as drawn, 0.59 with what was learned in a quiet hour, on two busy ones."""
    quiet, _ = drawn(60.0 * np.arange(8), np.random.default_rng(1))
    layout = learn_layout(ROAD, localize(quiet, ROAD, OPTIONS))
    (transit,) = layout.transits
    assert (transit.start, transit.end) == ("west", "east")
    assert abs(transit.seconds - HIDDEN_S) < 2.0  # 15.0: it takes a moment until a track is sure
    accepted = replace(ROAD, site_map=layout.accepted(ROAD.site_map, 0.5))
    busy = [drawn(np.cumsum(rng.uniform(5.0, 9.0, 12)), rng) for rng in map(np.random.default_rng, (2, 3))]
    plain, helped = (np.mean([idf1(site, *each) for each in busy]) for site in (ROAD, accepted))
    assert helped > plain + 0.05
