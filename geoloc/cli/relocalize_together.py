"""`geoloc relocalize` with several pictures: those of a sequence or a rig, placed together."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from geoloc.cli.landmarks import chosen_extractor
from geoloc.cli.poses import plain_pose, where
from geoloc.errors import GeometryError, InputError
from geoloc.features.extraction import extract
from geoloc.io.pictures import read_pictures
from geoloc.options import load_options
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.picture_check import picture_fault
from geoloc.relocalize.pose_knowledge import Knowledge
from geoloc.relocalize.relocalization import Query, RelocalizationOptions
from geoloc.relocalize.rig_motion import MotionPrior, Mount
from geoloc.relocalize.together import Shot, TogetherEstimate, relocalize_together
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.storage import load_cameras


def add_together(parser: ArgumentParser) -> None:
    """Declare what several pictures take."""
    parser.add_argument("--every", type=float, default=1.0, metavar="S",
                        help="seconds between the pictures of a sequence (default: 1)")  # fmt: skip
    parser.add_argument("--speed", type=float, default=1.5, metavar="M/S",
                        help="how fast it was carried from picture to picture (sigma; default: 1.5)")  # fmt: skip
    parser.add_argument("--still", action="store_true", help="the pictures were taken from about one place")
    parser.add_argument("--rig", type=Path, metavar="FILE",
                        help="cameras of a rig, poses on it and lenses, as geoloc's cameras.json; a picture is of the "
                        "camera that its folder or the beginning of its name names")  # fmt: skip
    parser.add_argument("--frames", type=int, default=20, help="frames spread over a film (default: 20)")


def run_together(args: Namespace, site: Site, landmarks: LandmarkMap, known: Knowledge, files: list[Path]) -> None:
    """Read, place together, tell."""
    options = load_options(RelocalizationOptions(), args.options, args.set)
    rig = {camera.name: camera for camera in load_cameras(args.rig)} if args.rig else {}
    lens = site.camera(args.camera) if args.camera else None
    if not args.every > 0:
        raise InputError(f"--every {args.every}: the pictures need seconds between them")
    names, shots = _shots(args, files, rig, lens, known)
    mounts = {name: Mount(camera.cam_from_world, camera.calib_cov[:6, :6]) for name, camera in rig.items()}
    motion = MotionPrior(0.0, 0.0) if args.still else MotionPrior(args.speed)
    rng = np.random.default_rng(args.seed)
    found = relocalize_together(shots, landmarks, rng, mounts, motion, options, site.site_map)
    if args.json:
        print(json.dumps(describe_together(names, found)))
    if not found.answered.any():
        raise GeometryError(f"{len(names)} pictures: all refused; {names[0]}: {found.poses[0].refusal}")
    if not args.json:
        print(_text(names, found))


def _shots(
    args: Namespace, files: Sequence[Path], rig: Mapping[str, Camera], lens: Camera | None, known: Knowledge
) -> tuple[list[str], list[Shot]]:
    names, shots = [], []
    extractor = chosen_extractor(args)
    counts: dict[str, int] = {}
    for file in files:
        sensor = _sensor(file, rig)
        camera = rig.get(sensor, lens)
        for name, grey in read_pictures([file], args.frames):
            size = (int(grey.shape[1]), int(grey.shape[0]))
            number = counts.get(sensor, 0)
            counts[sensor] = number + 1
            fault = picture_fault(grey)
            shots.append(Shot(Query(extract(grey, extractor), size, camera, known), number * args.every, sensor, fault))
            names.append(f"{file.parent.name}/{name}" if rig else name)
    return names, shots


def _sensor(file: Path, rig: Mapping[str, Camera]) -> str:
    """The rig's camera that a file is of."""
    if not rig:
        return ""
    if file.parent.name in rig:
        return file.parent.name
    begins = [name for name in rig if file.stem.startswith(name)]
    if not begins:
        cameras = ", ".join(rig)
        raise InputError(f"{file}: neither its folder nor its name begins with a camera of the rig ({cameras})")
    return max(begins, key=len)


def describe_together(names: Sequence[str], found: TogetherEstimate) -> dict[str, object]:
    """The report: each picture's pose or refusal, in order, and what holds of all."""
    images = []
    for name, pose, carried in zip(names, found.poses, found.carried.tolist(), strict=True):
        one: dict[str, object] = {"image": name, "answered": pose.answered, "refusal": pose.refusal, "carried": carried}
        if pose.answered:
            one |= plain_pose(pose.best) | {"inliers": pose.n_inliers}
        images.append(one)
    chains = [{"landmarks": each.support, "probability": each.probability} for each in found.chains]
    return {"answered": int(found.answered.sum()), "probability": found.probability, "ways": chains, "images": images}


def _text(names: Sequence[str], found: TogetherEstimate) -> str:
    lines = []
    for name, pose, carried in zip(names, found.poses, found.carried.tolist(), strict=True):
        if not pose.answered:
            lines.append(f"{name}: refused: {pose.refusal}")
            continue
        told = f"{pose.n_inliers} landmarks{', carried by the others' if carried else ''}"
        lines.append(f"{name}: {where(pose.best)}; {told}")
    return "\n".join([*lines, f"probability of all together {found.probability:.3f}"])
