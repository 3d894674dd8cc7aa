"""Small sites and tracks to draw: a plaza full of people, a garage of two levels, a bare site."""

import numpy as np
from shapely import LineString, Polygon, box

from geoloc.geometry.geodesy import Datum
from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography, Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, Level, Occluder, Place, SiteMap, Surface
from geoloc.scene.tables import Tracks

SIZE = (1920, 1080)


def camera(name, centre, target, focal=1100.0):
    lens = Pinhole(np.array([focal, focal, 959.5, 539.5]))
    return Camera(name, lens, SIZE, look_at(np.array(centre, float), np.array(target, float)))


def homography_camera(name, centre, target, level):
    """A camera of which only the homography of the plane z = 0 is known."""
    known = camera(name, centre, target)
    pose = known.cam_from_world.as_matrix()[:3]
    matrix = np.array([[1100, 0, 959.5], [0, 1100, 539.5], [0, 0, 1.0]]) @ pose[:, [0, 1, 3]]
    return Camera(name, Homography((matrix / matrix[2, 2]).ravel()), SIZE, homography_level=level)


def plaza():
    """20 × 16 m, four cameras at its corners, one known by a homography only."""
    corners = [(-2, -2), (22, -2), (22, 18), (-2, 18)]
    cameras = [camera(f"C{i + 1}", (*xy, 3.0), (10, 8, 0)) for i, xy in enumerate(corners)]
    cameras.append(homography_camera("H5", (10, -4, 3.5), (10, 6, 0), "plaza"))
    level = Level("plaza", (Surface((0, 0, 0), box(0, 0, 20, 16)),))
    fountain = Place("fountain", "plaza", Polygon([(8, 6), (12, 6), (12, 10), (8, 10)]), "fountain")
    control = tuple(ControlPoint(f"P{x}", (x, y, 0.0)) for x, y in [(1, 1), (19, 1), (10, 15)])
    site_map = SiteMap((level,), Datum(46.5191, 6.5668, 400.0), zones=(fountain,), control_points=control)
    return Site("plaza", tuple(cameras), site_map)


def garage():
    """Two decks of 60 × 32 m, 3 m apart, joined by a ramp; stalls, lanes, pillars and walls on both."""
    deck = box(0, 0, 60, 32)
    ramp = box(46, 12, 58, 20)
    low = Level("level 1", (Surface((0, 0, 0), deck, 0.02),))
    roof = Surface((0, 0, 3.0), deck.difference(ramp))
    high = Level("level 2", (Surface((0.25, 0, -11.5), ramp, 0.02), roof))
    stalls, zones, occluders, cameras = [], [], [], []
    for k, level in enumerate(("level 1", "level 2")):
        letter, z = "AB"[k], 3.0 * k
        for i in range(16):
            for row, (y0, y1) in enumerate(((0.5, 5.5), (26.5, 31.5))):
                outline = box(6 + 3.0 * i, y0, 9 + 3.0 * i, y1)
                stalls.append(Place(f"{letter}{row * 16 + i + 1:02d}", level, outline, "stall"))
        zones += [
            Place("lane south", level, box(2, 6, 58, 12), "lane"),
            Place("lane north", level, box(2, 20, 58, 26), "lane"),
            Place("entrance", level, box(0, 12, 3, 20), "entrance"),
        ]
        outline = LineString([(0, 12), (0, 0), (60, 0), (60, 32), (0, 32), (0, 20)])
        occluders.append(Occluder("outer wall", level, outline))
        for i in range(5):
            for y in (14.0, 18.0):
                x = 6 + 9.0 * i
                occluders.append(Occluder("pillar", level, box(x, y, x + 0.6, y + 0.6)))
        places = [((1, 1), (30, 16)), ((59, 1), (30, 16)), ((59, 31), (30, 16)), ((1, 31), (30, 16))]
        for i, (xy, to) in enumerate(places):
            cameras.append(camera(f"{letter}-cam{i + 1}", (*xy, z + 2.6), (*to, z - 1), 950.0))
    datum = Datum(48.137, 11.575, 520.0)
    site_map = SiteMap((low, high), datum, tuple(stalls), tuple(zones), tuple(occluders))
    return Site("North garage", tuple(cameras), site_map)


def bare():
    """No datum, no outline, one camera."""
    return Site("bare", (camera("only", (0, 0, 4), (12, 3, 0)),))


def walk(track, times, xy, level, sigma=0.15, label="person", state="confirmed"):
    """Tracks of one object along positions (N, 2) m at `times` (N,) s."""
    n = len(times)
    velocity = np.gradient(xy, times, axis=0) if n > 1 else np.zeros((n, 2))
    heading = np.arctan2(velocity[:, 1], velocity[:, 0])
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.moveaxis(np.array([[cos, -sin], [sin, cos]]), 2, 0)
    cov = np.zeros((n, 4, 4))
    cov[:, :2, :2] = turn @ np.diag([(2 * sigma) ** 2, sigma**2]) @ turn.swapaxes(1, 2)
    cov[:, 2:, 2:] = 0.04 * np.eye(2)
    same = {"track": track, "level": level, "label": label, "state": state}
    bias_cov = np.tile(0.05**2 * np.eye(2), (n, 1, 1))
    columns = {name: np.full(n, value) for name, value in same.items()}
    return Tracks(time=times, object=np.arange(n), xy=xy, velocity=velocity, cov=cov, bias_cov=bias_cov, **columns)


def crowd(rng, n=30, seconds=20.0, start=0.0):
    """People who stroll over the plaza, some of whom leave early."""
    parts = []
    for i in range(n):
        times = start + np.arange(0, seconds if i % 5 else seconds * 0.6, 0.2)
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.07, len(times)))
        step = 0.2 * rng.uniform(0.2, 1.2) * np.column_stack([np.cos(heading), np.sin(heading)])
        xy = rng.uniform((2, 2), (18, 14)) + np.cumsum(step, axis=0)
        half = np.array([9.5, 7.5])
        xy = (0.5, 0.5) + 2 * half - abs((xy - 0.5) % (4 * half) - 2 * half)  # they turn round at the edge
        parts.append(walk(i + 1, times, xy, "plaza"))
    return Tracks.concat(parts)


def traffic(start=1_520_778_000.0):
    """Cars that drive lanes of both levels, one of which takes the ramp and one that parks."""
    parts = []
    for i in range(6):
        times = start + 3.0 * i + np.arange(0, 18, 0.1)
        x = 2 + 3.1 * np.arange(0, 18, 0.1)
        y = np.full(len(x), 9.0 if i % 2 else 23.0)
        x = x if i % 2 else 60 - x
        parts.append(walk(i + 1, times, np.column_stack([x, y]), f"level {1 + (i > 2)}", 0.3, "car"))
    times = start + np.arange(0, 30, 0.1)
    x = np.clip(2 + 3 * (times - start), 2, 28.5)
    y = np.clip(9 - 2.0 * np.clip(times - start - 9, 0, None), 3.0, 9.0)
    parts.append(walk(7, times, np.column_stack([x, y]), "level 1", 0.4, "car"))
    times = start + np.arange(0, 12, 0.1)
    x = 34 + 2 * (times - start)
    xy = np.column_stack([x, np.full(len(x), 16.0)])
    level = np.where(x < 46, "level 1", "level 2")
    parts.append(walk(8, times, xy, "level 1", 0.3, "van").replace(level=level))
    return Tracks.concat(parts)
