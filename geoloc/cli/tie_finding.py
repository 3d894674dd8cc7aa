"""Ties for `geoloc calibrate`: of stills that overlap, and of objects that cameras see at one time."""

import sys
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from geoloc.calibrate.moving import Sightings, moving_ties
from geoloc.calibrate.ties import Finder, TieOptions, Ties, overlap_ties
from geoloc.errors import InputError
from geoloc.pipeline.association import associate
from geoloc.pipeline.localizer import LocalizerOptions, windows
from geoloc.pipeline.projection import feet_of, project_to_ground
from geoloc.scene.camera import Camera
from geoloc.scene.kinds import family_of
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections

MOST_WINDOWS = 600  # spread over the recording; more say little more


def finder(
    site: Site, stills: Mapping[str, np.ndarray], detections: Detections | None, options: TieOptions
) -> Finder | None:
    """What finds ties by cameras that marks have placed; None where neither stills nor detections are to be used."""
    if not stills and detections is None:
        return None

    def find(cameras: tuple[Camera, ...]) -> Ties:
        found = Ties()
        if stills:
            found += _of_stills(cameras, stills, site, options)
        if detections is not None:
            found += _of_objects(detections, replace(site, cameras=cameras), options)
        return found

    return find


def walkers(detections: Detections) -> Detections:
    """The people of a table: of a car, two cameras' boxes do not stand on one spot. InputError if there are none."""
    rows = np.array([family_of(label) == "person" for label in detections.label.tolist()], dtype=bool)
    if not rows.any():
        labels = ", ".join(sorted(set(detections.label.tolist()))[:5]) or "none"
        raise InputError(f"detections: no person among them (labels: {labels}); only people tie cameras")
    return detections.take(rows)


def _of_stills(cameras: tuple[Camera, ...], stills: Mapping[str, np.ndarray], site: Site, options: TieOptions) -> Ties:
    n = sum(camera.name in stills for camera in cameras)
    with tqdm(total=n * (n - 1) // 2, desc="overlap", unit="pair", file=sys.stderr) as bar:
        return overlap_ties(cameras, stills, site.site_map, options=options, progress=lambda _: bar.update() and None)


def _of_objects(detections: Detections, site: Site, options: TieOptions) -> Ties:
    """People grouped by where the cameras put them, window by window."""
    people = detections.take(np.isin(detections.camera, [camera.name for camera in site.cameras]))
    if not len(people):
        raise InputError("detections: none is of a camera that was calibrated; are cameras named as in the marks?")
    local = LocalizerOptions()
    parts = list(windows(people, local.window_s))
    chosen = np.unique(np.linspace(0, len(parts) - 1, min(MOST_WINDOWS, len(parts))).round().astype(int))
    found, n = [], 0
    for i in tqdm(chosen.tolist(), desc="moving objects", unit="window", file=sys.stderr):
        points, _ = project_to_ground(parts[i], site, local.projection)
        group = associate(points, None, local.association).group
        at = np.argsort(parts[i].id)[np.searchsorted(np.sort(parts[i].id), points.detection)]
        pixel, cov = feet_of(parts[i].take(at), site, local.projection)
        sigma = np.sqrt(np.trace(cov, axis1=1, axis2=2) / 2)
        found.append(Sightings(group + n, points.camera, pixel, sigma, points.level, points.xy))
        n += int(group.max(initial=-1)) + 1
    return moving_ties(_joined(found), site.site_map, options)


def _joined(parts: list[Sightings]) -> Sightings:
    names = ("object", "camera", "pixel", "sigma", "level", "xy")
    return Sightings(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
