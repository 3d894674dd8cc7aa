"""`geoloc check SITE --images`: whether the site's cameras still look where they looked when they were calibrated."""

import json
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from geoloc.calibrate.changes import compare
from geoloc.cli.landmarks import add_extractor
from geoloc.errors import InputError, unknown_name
from geoloc.evaluation.text_table import aligned
from geoloc.features.extraction import find_extractor
from geoloc.features.local import Extractor
from geoloc.io.pictures import find_pictures, read_pictures
from geoloc.options import load_options, options_to_dict
from geoloc.relocalize.drift import DriftCheck, DriftOptions, check_drift
from geoloc.relocalize.healing import proposed_camera
from geoloc.relocalize.monitor import DriftMonitor
from geoloc.relocalize.pins import load_references, save_pin
from geoloc.relocalize.reference import FEW, Reference
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.versions import save_version

DEGREE = np.pi / 180.0
FRAMES = 60  # of a film
SAME = 1e-9  # rad and m
OTHER_CALIBRATION = "pinned under another calibration"


@dataclass(frozen=True)
class Frame:
    """A picture of one camera: grey values (H, W) uint8, and when it was taken, Unix s (or its number)."""

    camera: str
    name: str
    time: float
    image: np.ndarray


@dataclass(frozen=True)
class Proposal:
    """What a moved camera is proposed to be, and what that changes on the ground, in words."""

    camera: str
    change: str
    overlay: str


def add_image_arguments(parser: ArgumentParser) -> None:
    """Declare what the check of images takes."""
    group = parser.add_argument_group("has it moved?")
    group.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="CAMERA.jpg or CAMERA/*.jpg (names that are numbers are Unix s): held against the pinned references",
    )
    group.add_argument("--pin", nargs="?", const="", metavar="NAME", help="pin these images as references and end")
    group.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the checks over time")
    group.add_argument("--propose", type=Path, metavar="FOLDER", help="overlays of moved cameras, before and after")
    group.add_argument("--accept", action="store_true", help="keep what is proposed as a new version, and pin it")
    group.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="of the check, such as false_alarms=0.001"
    )
    add_extractor(parser)


def run_images(args: Namespace, site: Site) -> None:
    """Check, pin, draw and propose."""
    if args.pin is not None:
        names = [save_pin(site.name, _camera(site, f.camera), f.image, args.pin, args.root) for f in _firsts(args)]
        print(f"pinned {len(names)} references of site {site.name}: {', '.join(pin.camera.name for pin in names)}")
        return
    options = load_options(DriftOptions(), None, args.set)
    monitors, latest = _checked(args, site, options)
    proposals = _propose(args, site, monitors, latest) if args.propose or args.accept else []
    if args.plot:
        from geoloc.draw.drift_plot import plot_drift

        plot_drift(monitors, args.plot)
    if args.json:
        report = {
            "site": site.name,
            "options": options_to_dict(options),
            "images": [_plain(m, i) for m in monitors for i in range(len(m.times))],
            "alarms": [_without_nan(asdict(alarm)) for m in monitors for alarm in m.alarms],
            "proposals": [asdict(proposal) for proposal in proposals],
        }
        print(json.dumps(report, allow_nan=False))
    else:
        print(_text(site, monitors, proposals))


def _checked(args: Namespace, site: Site, options: DriftOptions) -> tuple[list[DriftMonitor], dict[str, Frame]]:
    """The checks of all pictures by camera, and the last picture of each."""
    paths = _by_camera(args.images)
    for name in paths:
        _camera(site, name)
    references = load_references(site.name, args.root, site.site_map, tuple(paths), _extractor(args))
    missing = [name for name in paths if name not in references]
    if missing:
        raise InputError(
            f"site {site.name!r}: no reference of camera {missing[0]!r} is pinned ({len(missing)} such cameras); "
            f"pin pictures from calibration time: geoloc check {site.name} --images FOLDER --pin"
        )
    monitors, latest = [], {}
    for name, files in paths.items():
        monitor = DriftMonitor(name)
        others = {r.name for r in references[name] if not _is_in_force(r.camera, site.camera(name))}
        for frame in _frames(name, files):
            check = _named(references[name], frame, options)
            note = (OTHER_CALIBRATION,) if check.reference in others else ()
            monitor.add(frame.time, replace(check, conditions=(*check.conditions, *note)))
            latest[name] = frame
        monitors.append(monitor)
    return monitors, latest


def _extractor(args: Namespace) -> Extractor:
    """What finds the features by which motions of many degrees are looked for."""
    return find_extractor(args.extractor, replace(FEW, weights=args.weights))


def _is_in_force(pinned: Camera, now: Camera) -> bool:
    """Whether a reference was pinned under the calibration that the site has now."""
    away = (pinned.cam_from_world * now.cam_from_world.inv()).as_exp_coords()
    return bool(np.abs(away).max() < SAME and np.array_equal(pinned.lens.params, now.lens.params))


def _named(references: list[Reference], frame: Frame, options: DriftOptions) -> DriftCheck:
    try:
        return check_drift(references, frame.image, options)
    except InputError as error:
        raise InputError(f"{frame.name}: {error}") from error


def _propose(
    args: Namespace, site: Site, monitors: list[DriftMonitor], latest: dict[str, Frame]
) -> list[Proposal]:
    """New calibrations of the cameras whose last picture says that they moved; written where that is accepted."""
    references = load_references(site.name, args.root, site.site_map, tuple(m.camera for m in monitors))
    found, cameras, since = [], [], []
    doubted: list[float] = []
    for monitor in monitors:
        check, frame = monitor.checks[-1], latest[monitor.camera]
        if check.state != "moved":
            continue
        before = site.camera(monitor.camera)
        pinned = next(r.camera for r in references[monitor.camera] if r.name == check.reference)
        after = proposed_camera(pinned, check)
        overlay = ""
        if args.propose:
            from geoloc.draw.moved_overlay import draw_moved

            overlay = str(draw_moved(before, after, site.site_map, frame.image, args.propose / f"{before.name}.png"))
        found.append(Proposal(before.name, str(compare(before, after, site.site_map)), overlay))
        cameras.append(after)
        first, before_that = moved_since(monitor)
        since.append(first)
        doubted.append(before_that)
    if args.accept and cameras:
        _accept(args, site, cameras, (min(since), min(doubted)), latest)
    return found


def moved_since(monitor: DriftMonitor) -> tuple[float, float]:
    """When the last run of frames began that say that a camera moved; those that do not tell end no run.

    And when it was last found in place before; the former again where it never was.
    """
    since = monitor.times[-1]
    for time, state, check in zip(monitor.times[::-1], monitor.states[::-1], monitor.checks[::-1], strict=True):
        if check.known and state != "moved":
            break
        since = time if state == "moved" else since
    before = zip(monitor.times, monitor.states, strict=True)
    steady = [time for time, state in before if time < since and state in ("unchanged", "shaken")]
    return since, steady[-1] if steady else since


def _accept(
    args: Namespace, site: Site, cameras: list[Camera], since: tuple[float, float], latest: dict[str, Frame]
) -> None:
    """Keep the cameras as a new version, and pin what they see now."""
    names = ", ".join(camera.name for camera in cameras)
    kept = site.with_cameras(cameras).cameras
    # names of pictures that are no times are numbers from 0: then the version begins now
    valid_from, doubted = since if since[1] > 1e8 else (None, None)
    said = f"moved, found again by its pictures: {names}"
    save_version(site.name, kept, args.root, "geoloc check", said, valid_from, doubted_from=doubted)
    for camera in cameras:
        if latest[camera.name].image.shape == camera.size[::-1]:
            save_pin(site.name, camera, latest[camera.name].image, "", args.root)


def _by_camera(folder: Path) -> dict[str, list[Path]]:
    """Pictures of each camera, in order: a file or a folder is called as its camera is."""
    if not folder.is_dir():
        raise InputError(f"--images {folder}: there is no such folder")
    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    folders = {path.name: find_pictures([path]) for path in inside if path.is_dir()}
    files = find_pictures([folder]) if any(path.is_file() for path in inside) else []
    found = {**folders}
    for path in files:
        if path.stem in found:
            raise InputError(f"--images {folder}: two files or folders of camera {path.stem!r}")
        found[path.stem] = [path]
    if not found:
        raise InputError(f"--images {folder}: no pictures there; name them after their cameras, such as gate.jpg")
    return dict(sorted(found.items()))


def _frames(camera: str, files: list[Path]) -> Iterator[Frame]:
    numbers = [float(path.stem) if re.fullmatch(r"\d+(\.\d+)?", path.stem) else np.nan for path in files]
    timed = len(files) > 1 and np.isfinite(numbers).all()
    order = np.argsort(numbers, kind="stable") if timed else np.arange(len(files))
    if timed and not all(a < b for a, b in pairwise(sorted(numbers))):
        raise InputError(f"camera {camera!r}: two pictures of one time")
    count = 0
    for index in order.tolist():
        for name, image in read_pictures([files[index]], FRAMES):
            time = numbers[index] if timed else float(count)
            yield Frame(camera, f"{camera}: {name}", time, image)
            count += 1


def _firsts(args: Namespace) -> Iterator[Frame]:
    """The first picture of each camera."""
    for name, files in _by_camera(args.images).items():
        yield next(_frames(name, files))


def _camera(site: Site, name: str) -> Camera:
    if name not in site.camera_index:
        raise unknown_name("camera", name, site.camera_index, f"site {site.name!r}; pictures are called as cameras are")
    return site.camera(name)


def _plain(monitor: DriftMonitor, index: int) -> dict[str, object]:
    check = monitor.checks[index]
    return _without_nan(
        {
            "camera": check.camera,
            "time": monitor.times[index],
            "state": monitor.states[index],
            "conditions": list(check.conditions),
            "reference": check.reference,
            "rotation_deg": (check.rotation / DEGREE).tolist() if check.known else None,
            "angle_sigma_deg": check.angle_sigma / DEGREE,
            "zoom": check.zoom,
            "translation_m": check.translation.tolist() if check.known else None,
            "cov": check.cov.tolist() if check.known else None,
            "shift_px": check.shift_px,
            "chance": check.chance,
            "log10_doubt": check.log10_doubt,
            "landmarks_found": check.found,
            "blur_px": check.blur_px.tolist() if check.known else None,
            "mean": check.mean,
            "black": check.black,
            "white": check.white,
            "reason": check.reason,
        }
    )


def _without_nan(row: dict[str, object]) -> dict[str, object]:
    """JSON has no NaN: null."""
    return {key: None if value != value else value for key, value in row.items()}


def _text(site: Site, monitors: list[DriftMonitor], proposals: list[Proposal]) -> str:
    head = ("camera", "images", "state", "turned deg", "sigma", "zoom", "px", "chance", "landmarks", "")
    rows = []
    for monitor in monitors:
        check = monitor.checks[-1]
        numbers = ("-",) * 5
        if check.known:
            angles = (f"{check.angle / DEGREE:.4f}", f"{check.angle_sigma / DEGREE:.4f}")
            numbers = (*angles, f"{check.zoom:.5f}", f"{check.shift_px:.2f}", f"{check.chance:.2g}")
        alarm = f"ALARM: {monitor.alarm.state}" if monitor.alarm else ""
        notes = "; ".join(filter(None, (alarm, ", ".join(check.conditions), check.reason)))
        rows.append(
            (monitor.camera, str(len(monitor.times)), monitor.states[-1], *numbers, f"{100 * check.found:.0f} %", notes)
        )
    title = f"site {site.name}: {len(rows)} cameras against their pinned references, the last image of each"
    lines = [title, "", aligned(head, rows)]
    if proposals:
        drawn = [f" ({proposal.overlay})" if proposal.overlay else "" for proposal in proposals]
        lines += ["", "proposed calibrations:"]
        lines += [f"  {proposal.change}{where}" for proposal, where in zip(proposals, drawn, strict=True)]
    return "\n".join(lines)
