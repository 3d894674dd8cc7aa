"""`geoloc landmarks`: a landmark map of a site from its images."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from geoloc.cli.arguments import add_json, add_options, add_site
from geoloc.cli.landmark_frame import NO_AIDS, Aids, Brought, add_alignment, aids_of, bring
from geoloc.cli.landmark_upkeep import run_update
from geoloc.errors import GeometryError, InputError
from geoloc.features.extraction import EXTRACTORS, extract, find_extractor
from geoloc.features.local import ExtractionOptions, Extractor, LocalFeatures
from geoloc.io.pictures import FILMS, find_pictures, read_pictures
from geoloc.options import load_options
from geoloc.relocalize.bends import straight_only
from geoloc.relocalize.landmark_storage import save_landmarks
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.mapping import MappingOptions, build_landmarks
from geoloc.relocalize.picture_check import picture_fault
from geoloc.relocalize.structure import Picture, StructureOptions, reconstruct_halves
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye
from geoloc.scene.storage import calibration_folder, load_cameras, load_site, site_root

DESCRIPTION = """\
A landmark map of a site: points in space with what they look like, from images of it. An image whose name, less its
ending, is that of a camera of the site, is taken as that camera's: its calibration stands, and it is what brings all
others to the site's place. Images of other names (a walk with a phone) are placed by structure from motion; those of
one size in one folder, and all frames of a film, are taken to share one lens."""
EXAMPLES = """\
examples:
  geoloc landmarks garage stills/                    stills/gate.jpg is of the camera "gate"
  geoloc landmarks garage stills/ walk.mp4 --frames 60
  geoloc landmarks garage tonight/ --update          what is gone is demoted, what is new is added
  geoloc landmarks lot walk/ --gps exif              by the phone's GPS
  geoloc landmarks lot walk/ --gps fixes.csv --points marks.csv
  geoloc landmarks garage stills/ -o garage.landmarks --json | jq .landmarks"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("images", nargs="+", type=Path, help="pictures, films, or folders of them")
    parser.add_argument(
        "--cameras", type=Path, metavar="FILE.json",
        help="lens, pose and covariance of images that are no camera of the site: of a robot, of a tracked phone",
    )
    parser.add_argument("--frames", type=int, default=40, help="frames spread over each film (default: 40)")
    parser.add_argument("--update", action="store_true",
                        help="keep the site's map up: what these pictures of one visit show, miss or add")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of the random draws of --update (default: 1)")
    add_alignment(parser)
    parser.add_argument("-o", "--out", type=Path, help="file of the map (default: beside the site's calibration)")
    add_extractor(parser)
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Read, find features, place what is unknown, build, write."""
    site = load_site(args.site, args.root)
    path = args.out or landmarks_path(site.name, site_root(args.site, args.root))
    known = {camera.name: camera for camera in site.cameras}
    if args.cameras:
        known |= {Path(camera.name).stem: camera for camera in load_cameras(args.cameras)}
    pictures, faults = read_all(args.images, args.frames, known, chosen_extractor(args))
    if args.update:
        standing = landmarks_path(site.name, site_root(args.site, args.root))
        return run_update(args, standing, pictures, faults, progress("place", "picture"))
    options = load_options(MappingOptions(), args.options, args.set)
    aids = aids_of(args, site, find_pictures(args.images))
    cameras, features, placed = place_unknown(pictures, options, aids)
    landmarks = replace(build_landmarks(features, cameras, options, progress("match")), frame=placed.frame)
    save_landmarks(landmarks, path)
    left_out = _left_out(pictures, cameras, placed)
    report = describe(landmarks, path, [*faults, *left_out]) | {"aligned": placed.told}
    print(json.dumps(report) if args.json else _text(report))


def add_extractor(parser: ArgumentParser) -> None:
    """--extractor and --weights."""
    names = ", ".join(EXTRACTORS)
    parser.add_argument("--extractor", default="rootsift", help=f"what finds features: {names} (default: rootsift)")
    parser.add_argument("--weights", default="", metavar="PATH", help="file or folder of the extractor's network")


def chosen_extractor(args: Namespace) -> Extractor:
    """What the arguments name, ready to run."""
    return find_extractor(args.extractor, ExtractionOptions(weights=args.weights))


def landmarks_path(site: str, root: Path) -> Path:
    """Where a site's landmark map lies if nothing else is said."""
    return calibration_folder(site, root) / "landmarks.npz"


def read_all(
    paths: Sequence[Path], frames: int, known: dict[str, Camera], extractor: Extractor | str = "rootsift"
) -> tuple[list[Picture], list[str]]:
    """The pictures that show something, each with its camera if it is `known`, and what is wrong with the others."""
    from tqdm import tqdm

    pictures: list[Picture] = []
    faults: list[str] = []
    files = [(file, str(file if file.suffix.lower() in FILMS else file.parent)) for file in find_pictures(paths)]
    found = ((name, grey, device) for file, device in files for name, grey in read_pictures([file], frames))
    for name, grey, device in tqdm(found, desc="features", file=sys.stderr):
        stem, size = Path(name).stem, (int(grey.shape[1]), int(grey.shape[0]))
        fault = picture_fault(grey)
        if fault:
            faults.append(f"{name}: {fault}")
            continue
        camera = known.get(stem)
        if camera is not None and camera.size != size:
            raise InputError(f"{name}: {size[0]} x {size[1]} px; the camera {stem!r} has {camera.size[0]} x "
                             f"{camera.size[1]}: give a still as it was calibrated")
        pictures.append(Picture(stem, extract(grey, extractor), size, camera, device))
    return pictures, faults


def place_unknown(
    pictures: Sequence[Picture], options: MappingOptions, aids: Aids = NO_AIDS
) -> tuple[tuple[Camera, ...], list[LocalFeatures], Brought]:
    """Cameras of the pictures, in the site's frame, and their features; pictures that no model holds are left out.

    So are those that it holds by too little: their places may be metres off.
    """
    known = {each.name: each.lens for each in pictures if each.lens is not None and not each.lens.is_homography}
    cameras: dict[str, Camera] = dict(known)
    brought = Brought()
    if len(known) < len(pictures):
        if aids.empty and len(known) < 3:
            said = f"{len(known)} of the images are of cameras of the site; it takes three to place others"
            raise InputError(f"{said}, or control points (--points) or GPS (--gps)")
        # a model of straight lenses has no room for a fisheye; what it sees is matched afterwards
        straight = [each for each in pictures if each.lens is None or not isinstance(each.lens.lens, Fisheye)]
        found, halves = reconstruct_halves(straight, StructureOptions(options.matching), progress("structure"))
        aligned, brought = bring(found, tuple(known.values()), aids)
        sure = straight_only(
            [camera for camera in aligned if camera.name not in known], _brought(halves, tuple(known.values()), aids)
        )
        brought = replace(brought, told={**brought.told, "bent": dict(sure.refused)})
        cameras = {camera.name: camera for camera in sure.cameras} | known
    features = {each.name: each.features for each in pictures}
    return tuple(cameras.values()), [features[name] for name in cameras], brought


def _brought(
    halves: Sequence[Sequence[Camera]], known: Sequence[Camera], aids: Aids
) -> list[tuple[Camera, ...]]:
    """Each half of a model in the site's frame; none where one cannot be brought there."""
    try:
        return [bring(half, known, aids)[0] for half in halves]
    except GeometryError:
        return []


def progress(what: str, unit: str = "pair"):  # type: ignore[no-untyped-def]
    """A function of (done, of) that draws a bar on stderr."""
    from tqdm import tqdm

    bar = tqdm(desc=what, file=sys.stderr, unit=unit, mininterval=0.1 if sys.stderr.isatty() else 5.0)

    def tell(done: int, of: int) -> None:
        bar.total = of
        bar.update(done - bar.n)
        if done == of:
            bar.close()

    return tell


def describe(landmarks: LandmarkMap, path: Path, left_out: Sequence[str]) -> dict[str, object]:
    """The report."""
    sigma = np.sqrt(np.linalg.eigvalsh(landmarks.point_cov)[:, -1])
    return {
        "file": str(path),
        "images": len(landmarks.cameras),
        "landmarks": len(landmarks),
        "observations": len(landmarks.image),
        "median_sigma_m": round(float(np.median(sigma)), 5),
        "feature_noise_px": {name: round(value, 4) for name, value in vars(landmarks.noise).items()},
        "megabytes": round(landmarks.n_bytes / 1e6, 2),
        "left_out": list(left_out),
    }


def _left_out(pictures: Sequence[Picture], cameras: Sequence[Camera], brought: Brought) -> list[str]:
    placed = {camera.name for camera in cameras}
    bent = brought.told.get("bent", {})
    assert isinstance(bent, dict)
    return [f"{each.name}: {bent.get(each.name, 'no model holds it')}" for each in pictures if each.name not in placed]


def _text(report: dict[str, object]) -> str:
    lines = [f"{report['file']}: {report['landmarks']:,} landmarks from {report['images']} images, "
             f"{report['observations']:,} observations, {report['megabytes']} MB"]
    lines.append(f"median worst sigma of a landmark: {report['median_sigma_m']} m")
    left_out = report["left_out"]
    assert isinstance(left_out, list)
    aligned = report["aligned"]
    assert isinstance(aligned, dict)
    if aligned:
        lines.append(
            f"brought to the site by {aligned['cameras']} cameras, {aligned['points']} control points and "
            f"{aligned['fixes']} fixes: {aligned['sigma_m']} m and {aligned['turn_sigma_deg']} deg open of the whole"
        )
        lines += [f"contradicts the others: {each}" for each in aligned["contradicted"]]
        lines += [str(each) for each in aligned["notes"]]
    return "\n".join([*lines, *(f"left out: {each}" for each in left_out)])
