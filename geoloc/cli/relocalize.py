"""`geoloc relocalize`: where an image was taken, by a site's landmarks."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from geoloc.cli.arguments import add_json, add_options, add_site
from geoloc.cli.landmarks import add_extractor, chosen_extractor, landmarks_path
from geoloc.cli.poses import where
from geoloc.cli.relocalize_named import add_named, run_named, tell_names
from geoloc.cli.relocalize_together import add_together, run_together
from geoloc.errors import GeometryError, InputError
from geoloc.features.extraction import extract
from geoloc.io.pictures import FILMS, find_pictures, read_pictures
from geoloc.options import load_options
from geoloc.relocalize.estimate import PoseEstimate
from geoloc.relocalize.landmark_storage import load_landmarks
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.picture_check import picture_fault
from geoloc.relocalize.pose_knowledge import Knowledge
from geoloc.relocalize.relocalization import Query, RelocalizationOptions, relocalize
from geoloc.relocalize.told import plain_estimate
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.storage import load_site, site_root

DESCRIPTION = """\
Where an image was taken: position and level on the site's map, with covariance, by the landmarks that
`geoloc landmarks` made; or why it cannot be said. The lens is unknown unless --camera names one of the site's."""
EXAMPLES = """\
examples:
  geoloc relocalize garage phone.jpg                 where was this taken?
  geoloc relocalize garage gate_today.jpg --camera gate
  geoloc relocalize garage phone.jpg --height 1.5 --height-sigma 0.3
  geoloc relocalize garage phone.jpg --json | jq .position_m
  geoloc relocalize garage walk/ --every 0.5         pictures of one walk carry each other
  geoloc relocalize garage left/ right/ --rig rig.json
  geoloc relocalize garage phone.jpg --named marks.csv     by landmarks marked by name; --names lists them

Exit code 2 where there is no answer, with the reason on stderr."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE",
                        help="the picture; or several, a folder or a film, of one walk or rig")  # fmt: skip
    parser.add_argument("--landmarks", type=Path, metavar="FILE", help="the map (default: the site's)")
    parser.add_argument("--camera", default="", help="camera of the site whose lens took it (default: unknown lens)")
    parser.add_argument("--height", type=float, metavar="M", help="height of the lens over z = 0 of the map")
    parser.add_argument("--height-sigma", type=float, default=0.3, metavar="M", help="of --height (default: 0.3)")
    add_extractor(parser)
    parser.add_argument("--seed", type=int, default=1, help="of the random draws (default: 1)")
    add_named(parser)
    add_together(parser)
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Read, place, tell."""
    site = load_site(args.site, args.root)
    if args.names:
        return tell_names(args, site)
    if args.named is not None:
        return run_named(args, site, known_of(args))
    files = find_pictures(args.images)
    if not files:
        raise InputError("no picture; give one, several of a sequence, or marks with --named")
    options = load_options(RelocalizationOptions(), args.options, args.set)
    path = args.landmarks or landmarks_path(site.name, site_root(args.site, args.root))
    landmarks = load_landmarks(path, mapped=True)
    if len(files) > 1 or args.rig or files[0].suffix.lower() in FILMS:
        return run_together(args, site, landmarks, known_of(args), files)
    _, grey = next(iter(read_pictures(files, 1)))
    try:
        found = place(grey, site, landmarks, args, options)
    except InputError as error:
        raise InputError(f"{files[0]}: {error}") from error
    report = plain_estimate(found, len(landmarks.cameras))
    if args.json:
        print(json.dumps(report))
    if not found.answered:
        raise GeometryError(f"{files[0]}: refused: {found.refusal}")
    if not args.json:
        print(_text(found))


def place(
    grey: np.ndarray, site: Site, landmarks: LandmarkMap, args: Namespace, options: RelocalizationOptions
) -> PoseEstimate:
    """The pose of grey values (H, W) uint8, with what the arguments say of it."""
    fault = picture_fault(grey)
    if fault:
        return PoseEstimate((), fault)
    lens: Camera | None = site.camera(args.camera) if args.camera else None
    query = Query(extract(grey, chosen_extractor(args)), (int(grey.shape[1]), int(grey.shape[0])), lens, known_of(args))
    return relocalize(query, landmarks, np.random.default_rng(args.seed), options, site.site_map)


def known_of(args: Namespace) -> Knowledge:
    """What the arguments say of the pose."""
    if args.height is None:
        return Knowledge()
    return Knowledge(plane=(0.0, 0.0, args.height), plane_sigma=args.height_sigma)


def _text(found: PoseEstimate) -> str:
    best, seen = found.best, found.evidence
    told = f"{len(best.points)} landmarks; {seen.wins} of {seen.n} others where they should be"
    return f"{where(best)}\nprobability {best.probability:.3f}: {told}"
