"""`geoloc survey`: the layout of a site from stills: mosaic, lines, stalls to accept, landmarks."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geoloc.cli.arguments import add_json, add_options, add_site
from geoloc.errors import InputError
from geoloc.files import write_whole
from geoloc.io.marks import write_marks
from geoloc.io.pictures import PICTURES, read_colours
from geoloc.io.points import write_points
from geoloc.io.world_files import write_world_file
from geoloc.options import load_options, options_to_dict
from geoloc.scene.proposals import ProposedPlace, save_proposals
from geoloc.scene.site import Site
from geoloc.scene.storage import load_site

if TYPE_CHECKING:
    from geoloc.perception.survey import LevelSurvey, Survey

DESCRIPTION = """\
What stills of a site's calibrated cameras show of its layout: a mosaic of each level from above, painted lines and
kerbs in metres, arrows, crossings, stalls as a regular grid fitted to the lines, and landmarks. Several stills of a
camera, taken at other times, are better: what differs between them is no part of the site. STILLS is a folder with
CAMERA.jpg, or with a folder CAMERA/ of several. Stalls are proposals: `geoloc mark --proposals` shows each of them."""
EXAMPLES = """\
examples:
  geoloc survey garage stills/ -o out/survey
      LEVEL-mosaic.png with a world file, LEVEL-survey.png, stalls.geojson, landmarks.csv, marks.csv, survey.json
  geoloc survey garage stills/ -o out/survey --set lines.width=0.15 --set stalls.least=0.5
      paint is 15 cm wide; only stalls that are likelier than not
  geoloc mark garage --stills stills/ --proposals out/survey/stalls.geojson --plan out/survey/P1-mosaic.png
      look at each proposed stall, accept or reject it
  geoloc relocalize garage phone.jpg --named marks-of-phone.csv
      named corners that were accepted on the map place a picture"""
EDGE_PX = 1.0  # of marks on features, beside their own sigma


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("stills", type=Path, metavar="STILLS", help="folder: CAMERA.jpg, or CAMERA/ with several")
    parser.add_argument("-o", "--out", type=Path, help="folder of the results (default: out/SITE/survey)")
    parser.add_argument("--no-pictures", action="store_true", help="only the mosaic and the data files")
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Read stills, survey, write, tell."""
    from geoloc.perception.survey import SurveyOptions, survey

    options = load_options(SurveyOptions(), args.options, args.set)
    site = load_site(args.site, args.root)
    stills = read_stills(args.stills, site)
    out = args.out or Path("out") / site.name / "survey"
    found = survey(site, stills, options, _progress())
    written = _write(found, site, out, pictures=not args.no_pictures)
    report = describe(found, site)
    record = {"command": args.command_line, "options": options_to_dict(options), **report}
    write_whole(out / "survey.json", json.dumps(record, indent=1) + "\n")
    report["written"] = [str(path) for path in (*written, out / "survey.json")]
    print(json.dumps(report) if args.json else _text(report))


def read_stills(folder: Path, site: Site) -> dict[str, dict[str, np.ndarray]]:
    """Pictures (H, W, 3) uint8 BGR by camera and name; what is of no camera of the site is refused by name."""
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; give one with CAMERA.jpg or CAMERA/ of several stills")
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            inside = [file for file in sorted(path.iterdir()) if file.suffix.lower() in PICTURES]
            if inside:
                files.setdefault(site.camera(path.name).name, []).extend(inside)
        elif path.suffix.lower() in PICTURES:
            files.setdefault(site.camera(path.stem).name, []).append(path)
    if not files:
        raise InputError(f"{folder}: no stills in it; name them after their cameras, such as gate.jpg or gate/08.jpg")
    return {camera: {str(path): read_colours(path) for path in paths} for camera, paths in files.items()}


def describe(found: "Survey", site: Site) -> dict[str, Any]:
    """The report."""
    return {
        "site": site.name,
        "stills": found.n_stills,
        "left_out": found.left_out,
        "levels": {name: _level(each) for name, each in found.levels.items()},
        "landmarks": {
            "named": len(found.things),
            "on_map": sum(thing.known for thing in found.things),
            "by_two_cameras": sum(len(thing.sightings) > 1 for thing in found.things),
            "median_sigma_m": _median([thing.sigma for thing in found.things]),
            "features": {each.camera.name: len(each) for each in found.features},
            "shared_points": len(found.shared),
        },
    }


def _level(found: "LevelSurvey") -> dict[str, Any]:
    laid, stalls = found.mosaic, found.stalls.stalls
    return {
        "seen_m2": round(laid.seen_m2, 1),
        "pixel_m": round(laid.pixel, 4),
        "footprint_median_m": _median(laid.footprint[np.isfinite(laid.footprint)].tolist()),
        "sigma_median_m": _median(laid.sigma[np.isfinite(laid.sigma)].tolist()),
        "painted_lines": sum(line.kind == "paint" for line in found.lines),
        "kerbs": sum(line.kind == "kerb" for line in found.lines),
        "arrows": len(found.arrows),
        "crossings": len(found.crossings),
        "stalls_proposed": len(stalls),
        "stalls_on_map": found.stalls.known,
        "confidence_median": _median([stall.confidence for stall in stalls]),
        "corner_sigma_median_m": _median([stall.sigma for stall in stalls]),
        "refusal": found.stalls.refusal,
    }


def _median(values: list[float]) -> float | None:
    return round(float(np.median(values)), 4) if len(values) else None


def _write(found: "Survey", site: Site, out: Path, pictures: bool) -> list[Path]:
    """All files; a level's are named after it."""
    from geoloc.draw.survey_pictures import draw_level, draw_sigma, draw_sources, save_mosaic

    written: list[Path] = []

    def put(name: str, write: Callable[[Path], object]) -> None:
        write(out / name)
        written.append(out / name)

    for level, each in found.levels.items():
        stem, laid = _file_name(level), each.mosaic
        put(f"{stem}-mosaic.png", partial(save_mosaic, laid))
        put(f"{stem}-mosaic.pgw", partial(write_world_file, affine=laid.sheet.world_from_pixel))
        if pictures:
            put(f"{stem}-survey.png", partial(draw_level, each, found.things))
            put(f"{stem}-sources.png", partial(draw_sources, laid))
            put(f"{stem}-sigma.png", partial(draw_sigma, laid))
    stalls = [ProposedPlace(stall.place, stall.confidence, stall.sigma)
              for each in found.levels.values() for stall in each.stalls.stalls]  # fmt: skip
    put("stalls.geojson", lambda path: save_proposals(site.site_map, stalls, path))
    put("lines.geojson", lambda path: write_whole(path, _lines_text(found, site)))
    _write_landmarks(found, site, put)
    return written


def _write_landmarks(found: "Survey", site: Site, put: Callable[[str, Callable[[Path], object]], None]) -> None:
    from geoloc.perception.named_things import marks_of
    from geoloc.scene.marks import Marks
    from geoloc.scene.sitemap import ControlPoint

    fresh = [thing for thing in found.things if not thing.known]
    put("landmarks.csv", lambda path: write_points(path, [t.point(site.site_map.level(t.level)) for t in fresh]))
    put("marks.csv", lambda path: write_marks(path, marks_of(found.things)))
    sigma = np.sqrt(np.diagonal(found.shared.cov, axis1=1, axis2=2))
    names = [f"F{number:04d}" for number in range(1, len(found.shared) + 1)]
    points = [ControlPoint(name, tuple(xyz), tuple(s))
              for name, xyz, s in zip(names, found.shared.xyz.tolist(), sigma.tolist(), strict=True)]  # fmt: skip
    seen, camera = np.nonzero(found.shared.rows >= 0)
    of = {each.camera.name: each.features for each in found.features}
    cameras = [found.shared.cameras[c] for c in camera.tolist()]
    pixels = [of[name].pixels[found.shared.rows[row, c]] for name, row, c in zip(cameras, seen, camera, strict=True)]
    marks = Marks(camera=cameras, point=[names[row] for row in seen.tolist()],
                  pixel=np.array(pixels, float).reshape(-1, 2), sigma=np.full(len(seen), EDGE_PX))  # fmt: skip
    put("features.csv", lambda path: write_points(path, points))
    put("features-marks.csv", lambda path: write_marks(path, marks))


def _lines_text(found: "Survey", site: Site) -> str:
    """Lines, arrows and crossings as GeoJSON, in the coordinates of the map's own file."""
    from geoloc.draw.survey_features import line_features

    features = [feature for each in found.levels.values() for feature in line_features(each, site)]
    body = ",\n".join(json.dumps(feature) for feature in features)
    return f'{{"type": "FeatureCollection",\n"features": [\n{body}\n]}}\n'


def _file_name(level: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in level)


def _progress() -> Callable[[str, int, int], None]:
    """Bars on stderr, one a step."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def tell(what: str, done: int, of: int) -> None:
        if what not in bars:
            often = 0.1 if sys.stderr.isatty() else 5.0
            bars[what] = tqdm(desc=what, total=of, file=sys.stderr, mininterval=often, leave=False)
        bars[what].update(done - bars[what].n)
        if done == of:
            bars.pop(what).close()

    return tell


def _text(report: dict[str, Any]) -> str:
    lines = [f"stills     {sum(report['stills'].values())} of {len(report['stills'])} cameras"]
    lines += [f"left out   {name}: {why}" for name, why in report["left_out"].items()]
    for name, each in report["levels"].items():
        lines += _level_text(name, each)
    marks = report["landmarks"]
    lines += [
        f"landmarks  {marks['named']} named: {marks['on_map']} on the map, {marks['by_two_cameras']} by two cameras",
        f"features   {sum(marks['features'].values()):,} stable; {marks['shared_points']} points by two cameras",
    ]
    return "\n".join([*lines, *(f"wrote      {path}" for path in report["written"])])


def _level_text(name: str, each: dict[str, Any]) -> list[str]:
    known = f"{each['stalls_on_map']} are on the map" if each["stalls_on_map"] else ""
    stalls = f"none proposed: {each['refusal'] or known}"
    if each["stalls_proposed"]:
        stalls = f"{each['stalls_proposed']} proposed, confidence {each['confidence_median']}, corners good to "
        stalls += f"{each['corner_sigma_median_m']} m (medians)" + (f"; {known}" if known else "")
    pixel = f"a pixel covers {each['footprint_median_m']} m, sigma {each['sigma_median_m']} m (medians)"
    painted = f"{each['painted_lines']} lines, {each['kerbs']} kerbs, {each['arrows']} arrows"
    return [
        f"level {name}   {each['seen_m2']:,.0f} m² seen; {pixel}",
        f"  painted  {painted}, {each['crossings']} crossings",
        f"  stalls   {stalls}",
    ]
