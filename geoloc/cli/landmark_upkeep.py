"""`geoloc landmarks --update`: a landmark map after another visit to its site."""

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geoloc.errors import GeometryError
from geoloc.options import load_options
from geoloc.relocalize.landmark_storage import load_landmarks, save_landmarks
from geoloc.relocalize.mapping import Tell
from geoloc.relocalize.relocalization import Query
from geoloc.relocalize.structure import Picture
from geoloc.relocalize.upkeep import Seen, Upkeep, UpkeepOptions, update_landmarks


def run_update(args: Namespace, path: Path, pictures: Sequence[Picture], faults: Sequence[str], tell: Tell) -> None:
    """Update the map at `path` (or write it to --out) from one visit's pictures."""
    options = load_options(UpkeepOptions(), args.options, args.set)
    landmarks = load_landmarks(path)
    seen = [_seen(each) for each in pictures]
    found = update_landmarks(landmarks, seen, np.random.default_rng(args.seed), options, tell)
    if not found.found:
        told = "; ".join(f"{name}: {why}" for name, why in found.refused)
        raise GeometryError(f"{path}: stays as it is, for no picture could be placed: {told}")
    out = args.out or path
    save_landmarks(found.landmarks, out)
    report = describe_update(found, out, faults)
    print(json.dumps(report) if args.json else _text(report))


def _seen(picture: Picture) -> Seen:
    """A picture of a camera of the site is where that camera is, unless only its homography is known."""
    known = picture.lens is not None and not picture.lens.is_homography
    return Seen(picture.name, Query(picture.features, picture.size, picture.lens if known else None),
                picture.lens if known else None)  # fmt: skip


def describe_update(found: Upkeep, path: Path, faults: Sequence[str]) -> dict[str, object]:
    """The report."""
    presence = found.landmarks.presence
    return {
        "file": str(path),
        "landmarks": len(found.landmarks),
        "in_use": int(found.landmarks.present.sum()),
        "median_presence": round(float(np.median(presence)), 4) if len(presence) else 0.0,
        "looked_for": found.expected,
        "confirmed": found.confirmed,
        "demoted": found.demoted,
        "born": found.born,
        "forgotten": found.forgotten,
        "pictures": {name: round(share, 3) for name, share in found.found.items()},
        "left_out": [*faults, *(f"{name}: {why}" for name, why in found.refused)],
        "megabytes": round(found.landmarks.n_bytes / 1e6, 2),
    }


def _text(report: dict[str, object]) -> str:
    pictures, left_out = report["pictures"], report["left_out"]
    assert isinstance(pictures, dict)
    assert isinstance(left_out, list)
    lines = [
        f"{report['file']}: {report['landmarks']:,} landmarks, {report['in_use']:,} in use, {report['megabytes']} MB",
        f"of {report['looked_for']:,} looked for in {len(pictures)} pictures {report['confirmed']:,} confirmed, "
        f"{report['demoted']:,} demoted; {report['born']:,} born, {report['forgotten']:,} forgotten",
    ]
    return "\n".join([*lines, *(f"left out: {each}" for each in left_out)])
