"""A site to try calibration on: a garage's map with surveyed points, stills of its cameras, and marks in them.

The marks are as people make them: a pixel off, one at the wrong thing, one camera hardly begun.
"""

from dataclasses import dataclass, replace

import numpy as np
import shapely

from geoloc.scene.camera import Camera
from geoloc.scene.known import KnownCamera, KnownLens
from geoloc.scene.marks import Marks
from geoloc.scene.occlusion import Occlusion
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, SiteMap
from geoloc.synthetic.garage import garage
from geoloc.synthetic.stills import render_still

SURVEY = 0.02  # m; how well a point of the map is surveyed, on each axis
CARE = 1.0  # px; how well a person marks
MOST, FARTHEST = 14, 40.0  # marks in a still, and m from its camera
CAMERAS = (
    "p1-aisle-s-east", "p1-aisle-s-west", "p1-row-b", "p2-middle", "p2-northwest", "p2-ramp-head", "p2-southeast",
    "p2-southwest",
)  # fmt: skip
BEGUN, N_BEGUN = "p2-ramp-head", 3  # this one has so many marks only
WRONG, OFF = "p2-southeast", 9.0  # in this one a mark is at the wrong thing, so many m from the right one
CLEAR = 0.02  # m over a point: it lies on a floor, not in it
FISHEYE = "wide"  # the name of the lens that is known beforehand


@dataclass(frozen=True, eq=False)
class Trial:
    """What a person has who is to calibrate `site`, which has no cameras yet, and what they do not have: the `truth`.

    `known` and `lenses` are what is known of cameras beforehand: a fisheye's lens.
    """

    site: Site
    marks: Marks
    known: tuple[KnownCamera, ...]
    lenses: tuple[KnownLens, ...]
    truth: tuple[Camera, ...]

    def still(self, camera: Camera, rng: np.random.Generator) -> np.ndarray:
        """What a camera of the truth sees (H, W, 3) uint8 BGR."""
        return render_still(camera, self.site.site_map, rng)


def calibration_trial(rng: np.random.Generator) -> Trial:
    """The garage with eight of its cameras still to be calibrated."""
    world = garage().site
    cameras = tuple(world.camera(name) for name in CAMERAS)
    true = _points(world.site_map)
    places = np.array([point.xyz for point in true])
    marks = Marks.concat([_marked(world, camera, true, rng) for camera in cameras])
    surveyed = places + rng.normal(0.0, SURVEY, places.shape)
    points = tuple(replace(point, xyz=tuple(xyz)) for point, xyz in zip(true, surveyed.round(3).tolist(), strict=True))
    wide = [camera for camera in cameras if camera.lens.model == "fisheye"]
    return Trial(
        site=Site(world.name, (), replace(world.site_map, control_points=points)),
        marks=marks,
        known=tuple(KnownCamera(camera.name, lens=FISHEYE) for camera in wide),
        lenses=tuple(KnownLens(FISHEYE, camera.lens, camera.size) for camera in wide[:1]),
        truth=cameras,
    )


def _points(site_map: SiteMap) -> list[ControlPoint]:
    """The map's own points, corners of every other stall and the tops of parapets, where they truly are."""
    points = [replace(point, sigma=(SURVEY,) * 3) for point in site_map.control_points]
    for stall in site_map.stalls[::2]:
        xy = np.array(stall.polygon.exterior.coords[0])[:2]
        z = float(site_map.level(stall.level).z_at(xy[None])[0])
        points.append(ControlPoint(f"{stall.name} corner", (*xy.tolist(), z), (SURVEY,) * 3))
    for thing in (thing for thing in site_map.occluders if " parapet " in thing.name):
        xy = shapely.get_coordinates(thing.geometry)
        tops = site_map.level(thing.level).z_extended(xy) + thing.height
        for i, top in enumerate(np.column_stack([xy, tops]).tolist(), 1):
            points.append(ControlPoint(f"{thing.name} {i}", tuple(top), (SURVEY,) * 3))
    return points


def _marked(site: Site, camera: Camera, points: list[ControlPoint], rng: np.random.Generator) -> Marks:
    """What a person marks of the points that a camera sees, from the nearest on."""
    xyz = np.array([point.xyz for point in points])
    pixel = camera.project(xyz)
    seen = np.isfinite(pixel).all(axis=1)
    seen[seen] = camera.inside(pixel[seen])
    seen &= ~Occlusion(site.site_map)(camera.centre_world, xyz + np.array([0.0, 0.0, CLEAR]))
    distance = np.linalg.norm(xyz - camera.centre_world, axis=1)
    rows = np.flatnonzero(seen & (distance < FARTHEST))
    rows = rng.permutation(rows)[: N_BEGUN if camera.name == BEGUN else MOST]
    at = pixel[rows] + rng.normal(0.0, CARE, (len(rows), 2))
    if camera.name == WRONG:
        # the next stall's corner instead of its own
        others = np.linalg.norm(xyz - xyz[rows[0]], axis=1)
        others[~seen | (others == 0)] = np.inf
        at[0] = pixel[np.argmin(np.abs(others - OFF))]
    names = [points[row].name for row in rows.tolist()]
    at = np.clip(at, 0, np.array(camera.size) - 1).round(1)
    return Marks(camera=[camera.name] * len(rows), point=names, pixel=at)
