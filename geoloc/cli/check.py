"""`geoloc check`: what a site's cameras see, and how sharply; with images, whether they have moved."""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict, dataclass

import numpy as np
import shapely

from geoloc.cli.arguments import add_json, add_mesh, add_site, seen_through_mesh
from geoloc.cli.check_images import add_image_arguments, run_images
from geoloc.errors import InputError
from geoloc.evaluation.text_table import aligned
from geoloc.geometry.gaussian import worst_sigma
from geoloc.pipeline.projection import ProjectionOptions, project_to_ground
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.storage import load_site
from geoloc.scene.tables import Detections

DESCRIPTION = """\
What each camera of a site sees, and how sharply a foot marked to one pixel lies on the ground: the noise of
that pixel, and the bias that calibration and ground heights leave, as median and 90 % over what it sees.
With --images: whether each camera still looks where it looked when it was calibrated, against references that
were pinned then: unchanged, shaken, moved by so much, blocked, blurred, dark, overexposed, another scene."""
EXAMPLES = """\
examples:
  geoloc check garage
  geoloc check ~/sites/harbour/sitemaps/quay.geojson
  geoloc check garage --images stills/ --pin               what the calibrated cameras see now is their reference
  geoloc check garage --images tonight/ --plot drift.png   has any of them moved since?
  geoloc check garage --images tonight/ --propose moved/   overlays of what moved; --accept keeps the new version
  geoloc check garage --json | jq '.cameras[] | select(.area_m2 == 0) | .name'"""
IMAGES_ONLY = ("pin", "plot", "propose", "accept", "set", "extractor", "weights")  # arguments
UNSAID: tuple[object, ...] = (None, False, [], "", "rootsift")  # what those are if they are not given
STEP_PX = 24.0  # between the pixels that are looked at
EVERYTHING = ProjectionOptions(max_sigma=1e6)


@dataclass(frozen=True)
class CameraCheck:
    """One camera: what it is, what it sees, how sharply (m; NaN where it sees nothing)."""

    name: str
    lens: str
    height_m: float
    area_m2: float
    levels: tuple[str, ...]
    noise_median_m: float
    noise_p90_m: float
    bias_median_m: float
    bias_p90_m: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class LevelCheck:
    """One level: its area (m²; 0 if it has no edge), and what is seen by how many cameras."""

    name: str
    area_m2: float
    seen_m2: float
    seen_twice_m2: float
    cameras: int


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    add_mesh(parser)
    add_image_arguments(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Look at every camera and level, or at their images."""
    if args.images is not None:
        run_images(args, load_site(args.site, args.root))
        return
    asked = [name for name in IMAGES_ONLY if getattr(args, name) not in UNSAID]
    if asked:
        raise InputError(f"--{asked[0]} is about images; give their folder as --images FOLDER")
    site = seen_through_mesh(load_site(args.site, args.root), args.mesh)
    cells = _Cells(site)
    cameras = [check_camera(site, i, cells) for i in range(len(site.cameras))]
    levels = [check_level(site, i, cells) for i in range(len(site.site_map.levels))]
    if args.json:
        report = {"site": site.name, "cameras": cameras, "levels": levels}
        plain = {**report, "cameras": [_plain(c) for c in cameras], "levels": [_plain(level) for level in levels]}
        print(json.dumps(plain, allow_nan=False))
    else:
        print(_text(site, cameras, levels))


class _Cells:
    """Cells of the visibility grid: which cameras see how much of which level."""

    def __init__(self, site: Site) -> None:
        visibility = site.visibility
        self.cell_m2 = visibility.cell**2
        self.seen = []  # a level: (cells, cameras) bool
        for offset, n_cells in zip(visibility.offset, visibility.shape.prod(axis=1), strict=True):
            bits = visibility.seen[int(offset) : int(offset + n_cells)]
            self.seen.append(np.unpackbits(bits, axis=1, count=visibility.n_cameras).astype(bool))


def check_level(site: Site, index: int, cells: _Cells) -> LevelCheck:
    """What the cameras see of one level."""
    level, seen = site.site_map.levels[index], cells.seen[index]
    count = seen.sum(axis=1)
    area = float(shapely.union_all([surface.polygon for surface in level.surfaces]).area)
    once, twice = (cells.cell_m2 * float((count >= n).sum()) for n in (1, 2))
    return LevelCheck(level.name, round(area, 1), once, twice, int(seen.any(axis=0).sum()))


def check_camera(site: Site, index: int, cells: _Cells) -> CameraCheck:
    """What one camera sees, and how sharply."""
    camera = site.cameras[index]
    areas = [cells.cell_m2 * float(seen[:, index].sum()) for seen in cells.seen]
    names = [level.name for level, area in zip(site.site_map.levels, areas, strict=True) if area > 0]
    noise, bias = ground_sigmas(site, index)
    return CameraCheck(
        name=camera.name,
        lens=camera.lens.model,
        height_m=_height(site, camera),
        area_m2=sum(areas),
        levels=tuple(names),
        noise_median_m=_quantile(noise, 0.5),
        noise_p90_m=_quantile(noise, 0.9),
        bias_median_m=_quantile(bias, 0.5),
        bias_p90_m=_quantile(bias, 0.9),
        notes=tuple(_notes(camera, sum(areas))),
    )


def ground_sigmas(site: Site, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Worst sigma (M,) m of noise and of bias, at feet marked to 1 px all over what a camera sees."""
    camera = site.cameras[index]
    u, v = (np.arange(STEP_PX / 2, size, STEP_PX) for size in camera.size)
    foot = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
    feet = Detections(
        id=np.arange(len(foot)),
        time=np.zeros(len(foot)),
        camera=np.full(len(foot), camera.name),
        box=np.concatenate([foot, foot], axis=1),
        foot=foot,
        foot_cov=np.broadcast_to(np.eye(2), (len(foot), 2, 2)),
    )
    points, _ = project_to_ground(feet, site, EVERYTHING)
    level = site.site_map.level_rows(points.level)
    seen = site.visibility.sees(np.full(len(points), index), level, points.xy)
    return worst_sigma(points.cov[seen]), worst_sigma(points.bias_cov[seen])


def _height(site: Site, camera: Camera) -> float:
    """Height (m) over the highest level below the camera; NaN where there is none."""
    if camera.is_homography:
        return float("nan")
    x, y, z = camera.centre_world.tolist()
    below = [float(level.z_at(np.array([[x, y]]))[0]) for level in site.site_map.levels]
    return z - max((at for at in below if at < z), default=float("nan"))


def _notes(camera: Camera, area: float) -> list[str]:
    notes = []
    if area == 0:
        notes.append("sees no level: wrong pose, or map?")
    if camera.is_homography:
        notes.append("homography only: no heights, no triangulation")
        if camera.homography_sigma_px == 0:
            notes.append("states no error: positions will look too sure")
    elif not camera.calib_cov.any():
        notes.append("states no calib_cov: positions will look too sure")
    return notes


def _quantile(values: np.ndarray, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else float("nan")


def _plain(check: CameraCheck | LevelCheck) -> dict[str, object]:
    """JSON has no NaN: null."""
    return {key: None if value != value else value for key, value in asdict(check).items()}


def _text(site: Site, cameras: list[CameraCheck], levels: list[LevelCheck]) -> str:
    head = ("camera", "lens", "height m", "sees m²", "of", "noise m", "90 %", "bias m", "90 %", "")
    rows = [
        (
            *(camera.name, camera.lens, f"{camera.height_m:.1f}", f"{camera.area_m2:.0f}"),
            ", ".join(camera.levels) or "-",
            *(f"{value:.3f}" for value in (camera.noise_median_m, camera.noise_p90_m)),
            *(f"{value:.3f}" for value in (camera.bias_median_m, camera.bias_p90_m)),
            "; ".join(camera.notes),
        )
        for camera in cameras
    ]
    level_head = ("level", "area m²", "seen m²", "by two m²", "cameras")
    level_rows = [
        (
            level.name,
            f"{level.area_m2:.0f}" if level.area_m2 else "endless",
            *(f"{level.seen_m2:.0f}", f"{level.seen_twice_m2:.0f}", str(level.cameras)),
        )
        for level in levels
    ]
    datum = site.site_map.datum
    place = f"datum {datum.lat_deg:.6f}, {datum.lon_deg:.6f}" if datum else "no datum: metres everywhere"
    title = f"site {site.name}: {place}; noise is of a foot marked to 1 px, bias of calibration and map"
    return "\n".join([title, "", aligned(head, rows), "", aligned(level_head, level_rows)])
