"""Sites on disk: `sitemaps/<site>.geojson` and `calibration/<site>/cameras.json` below one root folder."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError, unknown_name
from geoloc.files import write_whole
from geoloc.scene import jsonfile
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import LENSES, Lens, parameter_names
from geoloc.scene.map_storage import load_map, save_map
from geoloc.scene.site import Site

SCHEMA = 1
NOT_A_ROTATION = 1e-6  # largest departure of R Rᵀ from the identity
POSE_KEYS = ("cam_from_world", "calib_cov", "freed")
HOMOGRAPHY_KEYS = ("homography_level", "homography_sigma_px")


def load_site(name_or_path: str | Path, root: str | Path = ".", *, calibrated: bool = True) -> Site:
    """Read a site: a name below `root`, or the path of its map file or of a folder that holds one site.

    A camera under the ground is refused, as is everything in the files that geoloc does not know. A site that is
    not `calibrated` yet may lack its cameras file: it has no cameras then.
    """
    root, name = _locate(name_or_path, Path(root))
    site_map = load_map(_map_path(root, name))
    if not calibrated and not _cameras_path(root, name).exists():
        return Site(name, (), site_map)
    cameras = load_cameras(_cameras_path(root, name))
    with jsonfile.naming(_cameras_path(root, name)):
        site = Site(name, cameras, site_map)
        site.require_cameras_above_ground()
    return site


def site_root(name_or_path: str | Path, root: str | Path = ".") -> Path:
    """The folder below which a site's files lie; the site is named as in `load_site`."""
    return _locate(name_or_path, Path(root))[0]


def save_site(site: Site, root: str | Path = ".") -> None:
    """Write the site's two files below `root`, each whole or not at all. What was there is replaced."""
    if not re.fullmatch(r"\w[\w.-]*", site.name):
        raise InputError(f"site {site.name!r}: use letters, digits, '_', '-' and '.', for it names files")
    site.require_cameras_above_ground()
    save_map(site.site_map, _map_path(Path(root), site.name))
    save_cameras(site.cameras, _cameras_path(Path(root), site.name))


def load_cameras(path: str | Path) -> tuple[Camera, ...]:
    """Read a cameras file; InputError names the file, the camera and what to change."""
    path = Path(path)
    document = jsonfile.read_object(path)
    with jsonfile.naming(path):
        jsonfile.check_keys("the file", document, ("schema", "cameras"))
        jsonfile.check_schema(document, SCHEMA)
        return parse_cameras(document["cameras"])


def save_cameras(cameras: tuple[Camera, ...], path: str | Path) -> None:
    """Write a cameras file, whole or not at all; every number comes back exactly as it was."""
    write_whole(path, f'{{"schema": {SCHEMA}, "cameras": {cameras_text(cameras)}}}\n')


def cameras_text(cameras: tuple[Camera, ...]) -> str:
    """Cameras as a JSON list that `parse_cameras` takes, once it is parsed: every number exactly."""
    blocks = []
    for camera in cameras:
        items = _camera_to_dict(camera).items()
        lines = (f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in items)
        blocks.append(" {\n" + ",\n".join(lines) + "\n }")
    return "[\n" + ",\n".join(blocks) + "\n]"


def parse_cameras(value: object) -> tuple[Camera, ...]:
    """Cameras of a JSON list; InputError names the camera and what to change."""
    members = jsonfile.sequence("'cameras'", value)
    return tuple(_read_camera(i, member) for i, member in enumerate(members))


def calibration_folder(name: str, root: str | Path = ".") -> Path:
    """Where a site's cameras, marks and versions lie."""
    return Path(root) / "calibration" / name


def _camera_to_dict(camera: Camera) -> dict[str, Any]:
    params = dict(zip(camera.lens.parameter_names, camera.lens.params.tolist(), strict=True))
    out = {
        "name": camera.name,
        "size": [int(camera.size[0]), int(camera.size[1])],
        "lens": {"model": camera.lens.model, "params": params},
    }
    if camera.is_homography:
        return out | {key: getattr(camera, key) for key in HOMOGRAPHY_KEYS}
    pose = camera.cam_from_world
    return out | {
        "cam_from_world": {
            "rotation": pose.as_matrix()[:3, :3].tolist(),
            "translation": pose.translation.tolist(),
        },
        "calib_cov": camera.calib_cov.tolist(),
        "freed": list(camera.freed),
    }


def _read_camera(index: int, value: object) -> Camera:
    entry = jsonfile.mapping(f"camera {index}", value)
    what = f"camera {entry.get('name', index)!r}"
    lens = _read_lens(what, entry.get("lens"))
    if lens.model == "homography":
        jsonfile.check_keys(what, entry, ("name", "size", "lens", *HOMOGRAPHY_KEYS))
        extra: dict[str, Any] = {
            "homography_level": jsonfile.text(f"{what}: 'homography_level'", entry["homography_level"]),
            "homography_sigma_px": float(
                jsonfile.numbers(f"{what}: 'homography_sigma_px'", entry["homography_sigma_px"], ())
            ),
        }
    else:
        jsonfile.check_keys(what, entry, ("name", "size", "lens", *POSE_KEYS))
        freed = tuple(
            jsonfile.text(f"{what}: 'freed'", parameter)
            for parameter in jsonfile.sequence(f"{what}: 'freed'", entry["freed"])
        )
        n = 6 + len(freed)
        extra = {
            "cam_from_world": _read_pose(f"{what}: 'cam_from_world'", entry["cam_from_world"]),
            "calib_cov": jsonfile.numbers(f"{what}: 'calib_cov'", entry["calib_cov"], (n, n)),
            "freed": freed,
        }
    size = jsonfile.numbers(f"{what}: 'size'", entry["size"], (2,))
    if (size != np.floor(size)).any():
        raise InputError(f"{what}: 'size' is {entry['size']}; width and height are whole pixels")
    name = jsonfile.text(f"{what}: 'name'", entry["name"])
    return Camera(name, lens, (int(size[0]), int(size[1])), **extra)


def _read_lens(what: str, value: object) -> Lens:
    entry = jsonfile.mapping(f"{what}: 'lens'", value)
    jsonfile.check_keys(f"{what}: 'lens'", entry, ("model", "params"))
    model = jsonfile.text(f"{what}: 'model'", entry["model"])
    if model not in LENSES:
        raise unknown_name("lens", model, LENSES, what)
    params = jsonfile.mapping(f"{what}: 'params'", entry["params"])
    names = parameter_names(model, len(params))
    any_size = parameter_names(model, 18)  # one that is missing is named, not one that stands in its place
    jsonfile.check_keys(f"lens {model} of {what}", params, names, any_size)
    with jsonfile.naming(what):
        return LENSES[model](jsonfile.numbers("'params'", [params[name] for name in names], (len(names),)))


def _read_pose(what: str, value: object) -> RigidTransform:
    entry = jsonfile.mapping(what, value)
    jsonfile.check_keys(what, entry, ("rotation", "translation"))
    matrix = np.eye(4)
    matrix[:3, :3] = jsonfile.numbers(f"{what}: 'rotation'", entry["rotation"], (3, 3))
    matrix[:3, 3] = jsonfile.numbers(f"{what}: 'translation'", entry["translation"], (3,))
    rotation = matrix[:3, :3]
    off = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if off > NOT_A_ROTATION or np.linalg.det(rotation) < 0:
        mirrored = "; it mirrors" if np.linalg.det(rotation) < 0 else ""
        raise InputError(f"{what}: 'rotation' is off a rotation matrix by {off:.2g}{mirrored}")
    # what save_cameras wrote is a rotation to the last digit: left as it is, it comes back exactly
    return RigidTransform(matrix, normalize=off > 1e-12)


def _locate(name_or_path: str | Path, root: Path) -> tuple[Path, str]:
    """Root folder and name of the site."""
    path = Path(name_or_path)
    if path.suffix == ".geojson":
        if path.absolute().parent.name != "sitemaps":
            raise InputError(f"{path}: a site's map lies in a folder 'sitemaps' beside 'calibration'")
        return path.absolute().parents[1], path.stem
    if isinstance(name_or_path, str) and _map_path(root, name_or_path).is_file():
        return root, name_or_path
    inside = sorted(file.stem for file in path.glob("sitemaps/*.geojson"))
    if len(inside) == 1:
        return path, inside[0]
    if inside:
        raise InputError(f"{path} holds the sites {', '.join(inside)}; say which: load_site(name, root)")
    known = (file.stem for file in (root / "sitemaps").glob("*.geojson"))
    raise unknown_name("site", str(name_or_path), known, str(root / 'sitemaps'))


def _map_path(root: Path, name: str) -> Path:
    return root / "sitemaps" / f"{name}.geojson"


def _cameras_path(root: Path, name: str) -> Path:
    return calibration_folder(name, root) / "cameras.json"
