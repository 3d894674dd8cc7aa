"""`geoloc relocalize`: where an image was taken, by a site's landmarks."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from geoloc.cli.arguments import add_json, add_options, add_site
from geoloc.cli.landmarks import add_extractor, chosen_extractor, landmarks_path
from geoloc.errors import GeometryError, InputError
from geoloc.features.local import extract
from geoloc.io.pictures import find_pictures, read_pictures
from geoloc.options import load_options
from geoloc.relocalize.estimate import Hypothesis, PoseEstimate
from geoloc.relocalize.landmark_storage import load_landmarks
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.picture_check import picture_fault
from geoloc.relocalize.pose_knowledge import Knowledge
from geoloc.relocalize.relocalization import Query, RelocalizationOptions, relocalize
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

Exit code 2 where there is no answer, with the reason on stderr."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("image", type=Path, help="the picture")
    parser.add_argument("--landmarks", type=Path, metavar="FILE", help="the map (default: the site's)")
    parser.add_argument("--camera", default="", help="camera of the site whose lens took it (default: unknown lens)")
    parser.add_argument("--height", type=float, metavar="M", help="height of the lens over z = 0 of the map")
    parser.add_argument("--height-sigma", type=float, default=0.3, metavar="M", help="of --height (default: 0.3)")
    add_extractor(parser)
    parser.add_argument("--seed", type=int, default=1, help="of the random draws (default: 1)")
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Read, place, tell."""
    site = load_site(args.site, args.root)
    options = load_options(RelocalizationOptions(), args.options, args.set)
    path = args.landmarks or landmarks_path(site.name, site_root(args.site, args.root))
    landmarks = load_landmarks(path, mapped=True)
    files = find_pictures([args.image])
    if len(files) > 1:
        raise InputError(f"{args.image}: holds {len(files)} pictures; give one")
    _, grey = next(iter(read_pictures(files, 1)))
    try:
        found = place(grey, site, landmarks, args, options)
    except InputError as error:
        raise InputError(f"{args.image}: {error}") from error
    report = describe(found, landmarks)
    if args.json:
        print(json.dumps(report))
    if not found.answered:
        raise GeometryError(f"{args.image}: refused: {found.refusal}")
    if not args.json:
        print(_text(report))


def place(
    grey: np.ndarray, site: Site, landmarks: LandmarkMap, args: Namespace, options: RelocalizationOptions
) -> PoseEstimate:
    """The pose of grey values (H, W) uint8, with what the arguments say of it."""
    fault = picture_fault(grey)
    if fault:
        return PoseEstimate((), fault)
    lens: Camera | None = site.camera(args.camera) if args.camera else None
    known = Knowledge()
    if args.height is not None:
        known = Knowledge(plane=(0.0, 0.0, args.height), plane_sigma=args.height_sigma)
    query = Query(extract(grey, chosen_extractor(args)), (int(grey.shape[1]), int(grey.shape[0])), lens, known)
    return relocalize(query, landmarks, np.random.default_rng(args.seed), options, site.site_map)


def describe(found: PoseEstimate, landmarks: LandmarkMap) -> dict[str, object]:
    """The report: the best hypothesis's fields if it is an answer, why not otherwise, and all hypotheses."""
    report: dict[str, object] = {"answered": found.answered, "refusal": found.refusal, "images": len(landmarks.cameras)}
    if found.answered:
        report |= _plain(found.best)
    report["hypotheses"] = [_plain(each) for each in found.hypotheses]
    return report


def _plain(one: Hypothesis) -> dict[str, object]:
    pose, camera = one.camera.cam_from_world, one.camera
    turn = pose.rotation.as_matrix()
    sigma = np.sqrt(np.diag(turn.T @ camera.calib_cov[3:6, 3:6] @ turn))
    return {
        "position_m": camera.centre_world.round(4).tolist(),
        "position_sigma_m": sigma.round(5).tolist(),
        "quaternion_wxyz": np.roll(pose.rotation.as_quat(canonical=True), 1).round(9).tolist(),
        "translation_m": pose.translation.round(6).tolist(),
        "cov": camera.calib_cov[:6, :6].tolist(),
        "lens": dict(zip(camera.lens.parameter_names, camera.lens.params.round(5).tolist(), strict=True)),
        "level": one.level,
        "level_probability": one.level_probability,
        "probability": round(one.probability, 6),
        "inliers": len(one.points),
        "looked_for": one.evidence.n,
        "found": one.evidence.wins,
        "log_odds": round(one.evidence.log_odds, 2),
    }


def _text(report: dict[str, object]) -> str:
    position, sigma = report["position_m"], report["position_sigma_m"]
    assert isinstance(position, list)
    assert isinstance(sigma, list)
    level = f", level {report['level']} ({report['level_probability']:.0%})" if report["level"] else ""
    where = ", ".join(f"{axis} {at:.3f} ± {by:.3f}" for axis, at, by in zip("xyz", position, sigma, strict=True))
    told = f"{report['inliers']} landmarks; {report['found']} of {report['looked_for']} others where they should be"
    return f"{where} m{level}\nprobability {report['probability']:.3f}: {told}"
