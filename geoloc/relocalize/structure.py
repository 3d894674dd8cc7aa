"""Cameras of images whose poses are unknown, by pycolmap: incrementally and globally, whichever places more images.

The frame and its unit of length are the reconstruction's own until `align` brings them to places that are known.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geoloc.errors import GeometryError, InputError
from geoloc.features.local import LocalFeatures
from geoloc.features.matches import Matches
from geoloc.features.matching import MatchingOptions, match
from geoloc.geometry.se3 import from_rt
from geoloc.relocalize.colmap import load_pycolmap
from geoloc.relocalize.map_frame import Tie, align_to
from geoloc.relocalize.mapping import Tell, silent
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import RadialTangential

FEWEST_MATCHES = 15
FEWEST_IMAGES = 2
TRIES = 4  # of building a model, with other random draws, while pictures that hang together are left out
MOST_LEFT = 0.1  # of them, with which one try is enough
USUAL_FOCAL = 1.2  # of the longer side
HALF_PIXEL = 0.5  # COLMAP counts from the image's corner

Pairs = dict[tuple[int, int], np.ndarray]  # rows (M, 2) of features that match in two pictures


@dataclass(frozen=True, eq=False)
class Picture:
    """An image to be placed: `size` (width, height) px, and its lens where it is known.

    Images of one `device` (none: each has its own) and size share one unknown lens: a walk with a phone, a film.
    """

    name: str
    features: LocalFeatures
    size: tuple[int, int]
    lens: Camera | None = None
    device: str = ""


@dataclass(frozen=True)
class StructureOptions:
    """How a model is built."""

    matching: MatchingOptions = field(default_factory=MatchingOptions)
    seed: int = 1  # of pycolmap's random draws


def reconstruct(
    pictures: Sequence[Picture], options: StructureOptions | None = None, tell: Tell = silent
) -> tuple[Camera, ...]:
    """Cameras of the pictures that one model holds, in its own frame and unit; GeometryError where there is none.

    Both of pycolmap's mappers run, again with other draws where pictures that match are left out; the model with more
    images is taken, of two equally large the one with more points.
    """
    options = options or StructureOptions()
    pairs = _match_pictures(pictures, options, tell)
    return _reconstructed(pictures, pairs, options.seed)


def reconstruct_halves(
    pictures: Sequence[Picture], options: StructureOptions | None = None, tell: Tell = silent
) -> tuple[tuple[Camera, ...], tuple[tuple[Camera, ...], ...]]:
    """As `reconstruct`, and what each half of the points that pictures share would have it: two models, or none.

    The halves have no point in common, so where they disagree the whole is bent by half of that, as far as chance bends
    it. A half that makes no model leaves both out.
    """
    options = options or StructureOptions()
    pairs = _match_pictures(pictures, options, tell)
    whole = _reconstructed(pictures, pairs, options.seed)
    try:
        halves = tuple(_reconstructed(pictures, half, options.seed) for half in _halves(pictures, pairs, options.seed))
    except GeometryError:
        return whole, ()
    return whole, halves


def _reconstructed(pictures: Sequence[Picture], pairs: Pairs, seed: int) -> tuple[Camera, ...]:
    linked = _most_linked(len(pictures), pairs)
    models: list = []
    with tempfile.TemporaryDirectory(prefix="geoloc-") as folder:
        numbers = _fill_database(Path(folder) / "database.db", pictures, pairs)
        fixed = {numbers[each.name] for each in pictures if each.lens is not None}
        for again in range(TRIES):
            models += _models(Path(folder), seed + again, fixed)
            if max((model.num_reg_images() for model in models), default=0) >= (1 - MOST_LEFT) * linked:
                break
    if not models:
        raise GeometryError(
            f"structure: no model holds even {FEWEST_IMAGES} of the {len(pictures)} pictures; "
            "give pictures that overlap by half, taken from different places"
        )
    best = max(models, key=lambda model: (model.num_reg_images(), model.num_points3D()))
    by_name = {each.name: each for each in pictures}
    placed = {image.name: image for image in best.images.values() if image.has_pose}
    return tuple(_camera(by_name[name], placed[name], best) for name in by_name if name in placed)


def _most_linked(n: int, pairs: Pairs) -> int:
    """How many of n pictures hang together by matches, at most."""
    ends = np.array([pair for pair, rows in pairs.items() if len(rows) >= FEWEST_MATCHES], int).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(n, n))
    return int(np.bincount(connected_components(graph, directed=False)[1]).max())


def _match_pictures(pictures: Sequence[Picture], options: StructureOptions, tell: Tell) -> Pairs:
    if len(pictures) < FEWEST_IMAGES or len({each.name for each in pictures}) < len(pictures):
        raise InputError(f"structure: {len(pictures)} pictures; give two or more, each with a name of its own")
    n_pairs, done = len(pictures) * (len(pictures) - 1) // 2, 0
    found: Pairs = {}
    for j in range(len(pictures)):
        for i in range(j):
            sizes = pictures[i].size, pictures[j].size
            matches = match(pictures[i].features, pictures[j].features, options.matching, sizes)
            if len(matches) >= FEWEST_MATCHES:
                found[i, j] = _rows(matches)
            done += 1
            tell(done, n_pairs)
    return found


def _halves(pictures: Sequence[Picture], pairs: Pairs, seed: int) -> tuple[Pairs, Pairs]:
    """The matches of each half of the points: chains of matches stay whole, and a coin says which half has them."""
    starts = np.concatenate([[0], np.cumsum([len(each.features) for each in pictures])])
    ends = np.concatenate([rows + starts[[i, j]] for (i, j), rows in pairs.items()] or [np.zeros((0, 2), int)])
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(starts[-1], starts[-1]))
    n, chain = connected_components(graph, directed=False)
    side = np.random.default_rng(seed).integers(0, 2, n)[chain]
    first, second = (
        {(i, j): rows[side[starts[i] + rows[:, 0]] == half] for (i, j), rows in pairs.items()} for half in (0, 1)
    )
    return first, second


def _fill_database(path: Path, pictures: Sequence[Picture], pairs: Pairs) -> dict[str, int]:
    """Write features and verified matches; the number of each picture's camera."""
    pycolmap = load_pycolmap()

    numbers: dict[str, int] = {}
    images: list[int] = []
    lenses = [_lens(each) for each in pictures]
    points = [each.features.pixels.astype(float) + HALF_PIXEL for each in pictures]
    with pycolmap.Database.open(path) as database:
        shared: dict[tuple[str, tuple[int, int]], tuple[int, int]] = {}
        for picture, lens in zip(pictures, lenses, strict=True):
            device = (picture.device or f"\0{picture.name}", picture.size)
            rig = pycolmap.Rig()
            if picture.lens is not None or device not in shared:
                lens.camera_id = database.write_camera(lens)
                rig.add_ref_sensor(lens.sensor_id)
                numbers[picture.name], rig.rig_id = lens.camera_id, database.write_rig(rig)
                if picture.lens is None:
                    shared[device] = lens.camera_id, rig.rig_id
            else:
                lens.camera_id, rig.rig_id = shared[device]
                numbers[picture.name] = lens.camera_id
            image = pycolmap.Image(name=picture.name, camera_id=lens.camera_id)
            image.image_id = database.write_image(image)
            frame = pycolmap.Frame()
            frame.rig_id = rig.rig_id
            frame.add_data_id(image.data_id)
            frame.frame_id = database.write_frame(frame)
            images.append(image.image_id)
            database.write_keypoints(image.image_id, (picture.features.pixels + HALF_PIXEL).astype(np.float32))
        for (i, j), rows in pairs.items():
            if len(rows) >= FEWEST_MATCHES:
                pair = pycolmap.estimate_two_view_geometry(lenses[i], points[i], lenses[j], points[j], rows)
                database.write_matches(images[i], images[j], rows)
                database.write_two_view_geometry(images[i], images[j], pair)
    return numbers


def _rows(matches: Matches) -> np.ndarray:
    return np.stack([matches.rows_a, matches.rows_b], axis=1).astype(np.uint32)


def _models(folder: Path, seed: int, fixed: set[int]) -> list:
    """Models of both mappers; a mapper that fails has none."""
    pycolmap = load_pycolmap()

    threads = 1  # with more, the same pictures give another model each time
    step = pycolmap.IncrementalPipelineOptions()
    step.num_threads, step.random_seed, step.min_model_size, step.extract_colors = threads, seed, FEWEST_IMAGES, False
    step.ba_global_function_tolerance = step.ba_local_function_tolerance = 1e-6
    step.constant_cameras = fixed
    whole = pycolmap.GlobalPipelineOptions()
    whole.num_threads, whole.random_seed, whole.min_model_size = threads, seed, FEWEST_IMAGES
    level, pycolmap.logging.minloglevel = pycolmap.logging.minloglevel, int(pycolmap.logging.FATAL)
    try:
        models = list(pycolmap.incremental_mapping(folder / "database.db", folder, folder, step).values())
        if not fixed:  # it would free the lenses that are known
            models += list(pycolmap.global_mapping(folder / "database.db", folder, folder, whole).values())
        return models
    finally:
        pycolmap.logging.minloglevel = level


def _lens(picture: Picture):  # type: ignore[no-untyped-def]
    """pycolmap's camera of a picture."""
    pycolmap = load_pycolmap()

    width, height = picture.size
    if picture.lens is None:
        usual = [USUAL_FOCAL * max(width, height), width / 2, height / 2, 0]
        if picture.device:
            return pycolmap.Camera(model="RADIAL", width=width, height=height, params=[*usual, 0])
        return pycolmap.Camera(model="SIMPLE_RADIAL", width=width, height=height, params=usual)
    params = np.zeros(8)
    given = picture.lens.lens.params
    if len(given) > 8 or picture.lens.lens.model == "fisheye":
        raise InputError(f"picture {picture.name!r}: only lenses with at most four distortion terms can be held here")
    params[: len(given)] = given
    params[2:4] += HALF_PIXEL
    camera = pycolmap.Camera(model="OPENCV", width=width, height=height, params=params)
    camera.has_prior_focal_length = True
    return camera


def _camera(picture: Picture, image, model) -> Camera:  # type: ignore[no-untyped-def]
    found = image.cam_from_world()
    pose = from_rt(found.rotation.matrix(), found.translation)
    if picture.lens is not None:
        return replace(picture.lens, name=picture.name, cam_from_world=pose, calib_cov=np.zeros((6, 6)), freed=())
    f, u, v, *bends = model.cameras[image.camera_id].params.tolist()
    k1, k2 = (*bends, 0.0)[:2]
    lens = RadialTangential(np.array([f, f, u - HALF_PIXEL, v - HALF_PIXEL, k1, k2, 0.0, 0.0]))
    return Camera(picture.name, lens, picture.size, pose)


def align(
    cameras: Sequence[Camera], centres: Mapping[str, np.ndarray], covs: Mapping[str, np.ndarray]
) -> tuple[tuple[Camera, ...], np.ndarray]:
    """The cameras brought to known `centres` (3,) m of some, each with its `covs` (3, 3) m², by a similarity.

    Returned with the covariance (7, 7) of the similarity: rotation (rad), translation (m) and logarithm of the scale
    of world about the mean of the known centres. GeometryError where the known places do not determine it.
    """
    ties = [
        Tie(camera.name, camera.centre_world, np.asarray(centres[camera.name], float),
            np.asarray(covs[camera.name], float))
        for camera in cameras if camera.name in centres
    ]  # fmt: skip
    found = align_to(cameras, ties)
    return found.cameras, found.frame.cov
