"""Cameras and a detector over the truth of a world, with every error stated."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from geoloc.geometry.se3 import perturb
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import LENSES
from geoloc.scene.occlusion import Occlusion
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections
from geoloc.synthetic.detector import Poses, Report, SensorOptions, appearance, detect, look
from geoloc.synthetic.truth import Glimpses, Truth
from geoloc.synthetic.world import World


@dataclass(frozen=True, eq=False)
class Observation:
    """What the engine is given (`detections`, `site`), and apart from it the truth behind it."""

    detections: Detections
    site: Site  # as calibrated
    object: np.ndarray  # (N,) true object of each detection; -1: a false alarm
    true_site: Site  # as it is: cameras and floors from which the detections were made
    truth: Truth  # as it is: on the true floors, with the number of cameras that show each row
    glimpses: Glimpses
    clock_offset: dict[str, float]  # s that each camera's stamps are ahead of true time
    options: SensorOptions


def observe(world: World, truth: Truth, rng: np.random.Generator, options: SensorOptions | None = None) -> Observation:
    """What a detector reports of `truth` in every camera of `world`, one frame at each time of the truth.

    The world's site is what was calibrated; the true cameras are drawn from it and `calib_cov`. Each camera
    draws from a stream of its own name, so its errors depend neither on other cameras nor on their order.

    >>> seen = observe(world, truth, np.random.default_rng(2))         # doctest: +SKIP
    >>> tracks = localize(seen.detections, seen.site)                  # doctest: +SKIP
    """
    return next(observe_parts(world, [truth], rng, options))


def observe_parts(
    world: World, parts: Iterable[Truth], rng: np.random.Generator, options: SensorOptions | None = None
) -> Iterator[Observation]:
    """As `observe`, of a long recording's truth in parts: the same cameras and clocks through all of them.

    Detections are numbered from 0 in each part.
    """
    options = options or SensorOptions()
    seed = int(rng.integers(2**62))
    true_site = draw_true_site(world.site, options.calibration_error, seed)
    occlusion = Occlusion(true_site.site_map)
    streams = {camera.name: _stream(seed, "detector " + camera.name) for camera in true_site.cameras}
    offsets = {name: float(options.clock_sigma * stream.standard_normal()) for name, stream in streams.items()}
    for part in parts:
        truth = _on_floors(part, true_site)
        poses = Poses.of(truth)
        looks = appearance(truth, options.embedding_size, seed)
        reports = []
        n_cameras = np.zeros(len(truth), dtype=int)
        for camera in true_site.cameras:
            view = look(camera, truth, poses, occlusion, options.min_height_px)
            reports.append(detect(camera, truth, view, looks, options, streams[camera.name]))
            n_cameras[view.row] += reports[-1].glimpses.chance >= 0.5 * (1.0 - options.p_miss)
        detections, objects, glimpses = _gather(reports, offsets)
        truth = truth.replace(n_cameras=n_cameras)
        yield Observation(detections, world.site, objects, true_site, truth, glimpses, offsets, options)


def draw_true_site(site: Site, scale: float, seed: int) -> Site:
    """A site as it may truly be, given what was calibrated: poses, freed lens parameters, heights of floors.

    Every camera is drawn from `scale`² × its `calib_cov`, every surface's height from its `sigma_z`.
    """
    cameras = [_draw_camera(camera, scale, _stream(seed, "camera " + camera.name)) for camera in site.cameras]
    levels = []
    for level in site.site_map.levels:
        stream = _stream(seed, "level " + level.name)
        surfaces = []
        for surface in level.surfaces:
            a, b, c = surface.plane
            lift = float(scale * surface.sigma_z * stream.standard_normal())
            surfaces.append(replace(surface, plane=(a, b, c + lift)))
        levels.append(replace(level, surfaces=tuple(surfaces)))
    return replace(site, cameras=tuple(cameras), site_map=replace(site.site_map, levels=tuple(levels)))


def _draw_camera(camera: Camera, scale: float, stream: np.random.Generator) -> Camera:
    camera.require_pose("cannot be simulated")
    values, vectors = np.linalg.eigh(camera.calib_cov)
    error = scale * vectors @ (np.sqrt(np.maximum(values, 0.0)) * stream.standard_normal(len(values)))
    params = camera.lens.params.copy()
    params[camera.freed_index] += error[6:]
    return replace(
        camera,
        cam_from_world=perturb(camera.cam_from_world, error[:6]),
        lens=LENSES[camera.lens.model](params),
    )


def _stream(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(name.encode())])


def _on_floors(truth: Truth, site: Site) -> Truth:
    xyz = truth.xyz.copy()
    for name in np.unique(truth.level):
        rows = truth.level == name
        xyz[rows, 2] = site.site_map.level(str(name)).z_at(xyz[rows, :2])
    return truth.replace(xyz=xyz)


def _gather(reports: list[Report], offsets: dict[str, float]) -> tuple[Detections, np.ndarray, Glimpses]:
    """All cameras' reports in order of time; ids say nothing about which object it is."""
    detections = Detections.concat(
        [
            report.detections.replace(time=report.detections.time + offsets[name])
            for report, name in zip(reports, offsets, strict=True)
        ]
    )
    order = np.lexsort((detections.box[:, 0], detections.camera, detections.time))
    place = np.empty(len(order), dtype=int)
    place[order] = np.arange(len(order))
    objects = np.concatenate([report.object for report in reports])[order]
    before = np.cumsum([0] + [len(report.object) for report in reports[:-1]])
    glimpses = []
    for report, start in zip(reports, before, strict=True):
        local = report.glimpses.detection
        glimpses.append(report.glimpses.replace(detection=np.where(local < 0, -1, place[local + start])))
    return detections.take(order).replace(id=np.arange(len(order))), objects, Glimpses.concat(glimpses)
