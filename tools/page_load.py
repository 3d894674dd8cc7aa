"""Eight hours of 800 cars as one map page: how large it is, how long it takes to make and to open, how fast it moves.

`python tools/page_load.py` makes a car park of two levels and 820 stalls with 24 cameras, drives the cars about, all of
them there at once for most of the time, writes the page, and opens it in a headless Chromium. Tracks are drawn straight
from the paths, with the noise of a filter on them; the engine has no part in it. Figures go to stdout, with the load.
"""

import json
import os
import resource
import shutil
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from shapely import box

from geoloc.draw.page import PageOptions, write_map_page
from geoloc.geometry.geodesy import Datum
from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface
from geoloc.scene.tables import Tracks

START = 1_700_028_000.0  # Unix s
ROW, MODULES, WIDE = 41, 5, 2.5  # stalls of a row, aisles of a level, m of a stall
X0, X1, DEEP, AISLE = 8.0, 8.0 + 41 * 2.5, 5.0, 6.0  # m
SPEED, DRIVING_S, STANDING_S = 4.0, 0.1, 5.0  # m/s; s between the rows of what drives, of what stands
PARKED_AFTER = 10.0  # s


def car_park() -> Site:
    """Two levels, one above the other, with 410 stalls each and 24 cameras."""
    tall = MODULES * (2 * DEEP + AISLE)
    names, stalls, zones, cameras = ("P1", "P2"), [], [], []
    for k, level in enumerate(names):
        for module in range(MODULES):
            y = module * (2 * DEEP + AISLE)
            aisle = box(2, y + DEEP, X1 + 6, y + DEEP + AISLE)
            zones.append(Place(f"{level} aisle {module + 1}", level, aisle, "lane"))
            for side, y0 in enumerate((y, y + DEEP + AISLE)):
                for i in range(ROW):
                    name = f"{'AB'[k]}{module * 2 * ROW + side * ROW + i + 1:03d}"
                    stalls.append(Place(name, level, box(X0 + WIDE * i, y0, X0 + WIDE * (i + 1), y0 + DEEP), "stall"))
        for i, (x, y) in enumerate((x, y) for x in (0.5, 42.0, 77.0, X1 + 7) for y in (8.0, 40.0, 72.0)):
            target = np.array([min(max(x, 25.0), 95.0) + 0.1, 40.0 + 0.3 * (y - 40.0), 3.5 * k])
            pose = look_at(np.array([x, y, 3.5 * k + 3.0]), target)
            lens = Pinhole(np.array([900.0, 900.0, 959.5, 539.5]))
            cov = np.diag([1e-3, 1e-3, 1e-3, 0.02, 0.02, 0.02]) ** 2
            cameras.append(Camera(f"{level}-{i + 1:02d}", lens, (1920, 1080), pose, cov))
    levels = tuple(
        Level(name, (Surface((0, 0, 3.5 * k), box(0, 0, X1 + 8, tall), 0.02),)) for k, name in enumerate(names)
    )
    return Site("car park", tuple(cameras), SiteMap(levels, Datum(48.137, 11.576, 519.0), tuple(stalls), tuple(zones)))


@dataclass(frozen=True, eq=False)
class Cars:
    """Tracks of all cars, a piece each, made anew whenever they are walked."""

    site: Site
    n: int
    seconds: float
    drives: int  # of each car, from one stall to another
    seed: int = 1

    def __iter__(self) -> Iterator[Tracks]:
        """A table for each car."""
        taken = np.random.default_rng(self.seed).permutation(len(self.site.site_map.stalls))
        for car in range(self.n):
            yield self._car(car, int(taken[car % len(taken)]), np.random.default_rng((self.seed, car)))

    def _car(self, car: int, home: int, rng: np.random.Generator) -> Tracks:
        begin = 0.0 if rng.random() < 0.7 else float(rng.uniform(0, 0.15 * self.seconds))
        leaves = np.sort(rng.uniform(begin + 60, self.seconds - 200, self.drives))
        leaves = leaves[np.diff(leaves, prepend=begin - 300) > 300]
        times, xy, level, stands, now, here = [], [], [], [], begin, home
        for until in [*leaves.tolist(), self.seconds]:
            own = np.arange(now, until, STANDING_S)
            times.append(own)
            xy.append(np.tile(self._middle(here), (len(own), 1)))
            level.append(np.full(len(own), self._level(here)))
            stands.append(np.ones(len(own), bool))
            if until < self.seconds:
                # another stall of the same level, near its own; whether it is free does not matter to the page
                there = int(np.clip(here + rng.integers(-60, 60), 0, len(self.site.site_map.stalls) - 1))
                there = there if self._level(there) == self._level(here) else here
                way = self._way(here, there)
                length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(way, axis=0).T))])
                own = until + np.arange(0, length[-1] / SPEED, DRIVING_S)
                at = SPEED * (own - until)
                times.append(own)
                xy.append(np.column_stack([np.interp(at, length, way[:, k]) for k in (0, 1)]))
                level.append(np.full(len(own), self._level(here)))
                stands.append(np.zeros(len(own), bool))
                now, here = float(own[-1]) + DRIVING_S, there
        time_s, place, on, still = (np.concatenate(parts) for parts in (times, xy, level, stands))
        return _table(car + 1, time_s, place, on, still, rng)

    def _middle(self, stall: int) -> np.ndarray:
        return np.array(self.site.site_map.stalls[stall].polygon.centroid.coords[0])

    def _level(self, stall: int) -> str:
        return self.site.site_map.stalls[stall].level

    def _way(self, a: int, b: int) -> np.ndarray:
        """Out of a stall, along its aisle, by the lane at the west to another aisle, and in: (K, 2) m."""
        (xa, ya), (xb, yb) = self._middle(a), self._middle(b)
        aisles = [16.0 * np.floor(y / 16.0) + 8.0 for y in (ya, yb)]
        between = [] if aisles[0] == aisles[1] else [(4.0, aisles[0]), (4.0, aisles[1])]
        return np.array([(xa, ya), (xa, aisles[0] - 1.4), *between, (xb, aisles[1] + 1.4), (xb, yb)])


def _table(
    car: int, time: np.ndarray, xy: np.ndarray, level: np.ndarray, stands: np.ndarray, rng: np.random.Generator
) -> Tracks:
    """Tracks with a filter's noise: 5 cm that lasts about a second where it drives, and 2 cm where it stands."""
    from scipy.signal import lfilter

    n = len(time)
    noise = lfilter([np.sqrt(1 - 0.9**2)], [1, -0.9], rng.normal(0, 0.05, (n, 2)), axis=0)
    noise[stands] = rng.normal(0, 0.02, (int(stands.sum()), 2))
    sigma = np.where(stands, 0.08, 0.15 + 0.1 * np.sin(xy[:, 0] / 9) ** 2)
    cov = np.zeros((n, 4, 4))
    cov[:, 0, 0], cov[:, 1, 1] = (1.5 * sigma) ** 2, sigma**2
    cov[:, 2:, 2:] = 0.04 * np.eye(2)
    since = time - np.maximum.accumulate(np.where(~stands, time, time[0]))
    life = np.where(stands & ((since > PARKED_AFTER) | (since == time - time[0])), "parked", "confirmed")
    return Tracks(
        time=START + time, track=np.full(n, car), object=np.zeros(n, int), level=level, xy=xy + noise,
        velocity=np.zeros((n, 2)), cov=cov, bias_cov=np.tile(0.05**2 * np.eye(2), (n, 1, 1)),
        label=np.full(n, "car"), state=np.full(n, "confirmed"), life=life,
    )  # fmt: skip


def measure(page: Path, width: int = 1280, height: int = 800) -> dict[str, float]:
    """Seconds until the page shows its objects, and frames a second while it plays, 1 x and 60 x, and is dragged."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        window = browser.new_page(viewport={"width": width, "height": height})
        started = time.perf_counter()
        window.goto(page.as_uri(), wait_until="commit", timeout=120_000)
        there = "() => { try { return scene.present.length > 0; } catch { return false; } }"
        window.wait_for_function(there, timeout=120_000)
        found = {"open_s": time.perf_counter() - started, "objects": window.evaluate("scene.present.length")}
        for name, script in (("fps_1x", "setSpeed(1)"), ("fps_60x", "setSpeed(60)")):
            window.evaluate(f"() => {{ {script}; setPlaying(true); frames.length = 0; }}")
            window.wait_for_timeout(5000)
            found[name] = window.evaluate("() => 1000 * (frames.length - 1) / (frames.at(-1) - frames[0])")
        found["fps_dragged"] = window.evaluate(
            """() => new Promise(done => { let n = 0; const start = performance.now(), step = () => {
              view.pan(2, 1); change();
              if (++n < 90) requestAnimationFrame(step); else done(1000 * n / (performance.now() - start)); };
              requestAnimationFrame(step); })"""
        )
        found["paint_ms"] = window.evaluate(
            """() => { setPlaying(false); const start = performance.now();
              for (let i = 0; i < 20; i++) { scene.present = store.at(scene.time); paint(context, view, scene); }
              context.getImageData(0, 0, 1, 1); return (performance.now() - start) / 20; }"""
        )
        browser.close()
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    """Make the page, and open it."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/page_load.html"))
    parser.add_argument("--cars", type=int, default=800)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--drives", type=int, default=6, help="of each car, from stall to stall (default: 6)")
    parser.add_argument("--only-open", action="store_true", help="the page is there already")
    args = parser.parse_args()
    said: dict[str, object] = {}
    if not args.only_open:
        cars = Cars(car_park(), args.cars, 3600.0 * args.hours, args.drives)
        began, cpu = time.perf_counter(), time.process_time()
        options = PageOptions(gap_s=1.5 * STANDING_S)
        write_map_page(cars.site, cars, args.out, title=f"{args.cars} cars, {args.hours:g} hours", options=options)
        said["build_s"] = round(time.perf_counter() - began, 1)
        said["build_cpu_s"] = round(time.process_time() - cpu, 1)
        said["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    said["file_mb"] = round(args.out.stat().st_size / 1e6, 2)
    said |= measure(args.out)
    said["load"] = [round(value, 1) for value in os.getloadavg()]
    print(json.dumps(said))


if __name__ == "__main__":
    main()
