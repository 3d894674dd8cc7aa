"""`geoloc recompute`: what rests on cameras that had moved before it was found out, and the state without that."""

import csv
import io
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from geoloc.cli.arguments import add_json, add_mesh, add_site, seen_through_mesh
from geoloc.errors import InputError
from geoloc.files import write_whole
from geoloc.io.track_csv import read_tracks
from geoloc.pipeline.doubts import Doubt, Touched, find_doubts, flag_rows, touched_by
from geoloc.pipeline.queries import State, clock
from geoloc.pipeline.recompute import Recomputed, recompute
from geoloc.pipeline.state_folder import StateFolder
from geoloc.pipeline.stored_state import load_state
from geoloc.scene.storage import load_site, site_root
from geoloc.scene.versions import list_versions

DESCRIPTION = """\
A camera that moved is found out later than it moved, and what was said between rests on where it had been. This lists
those stretches of a state that `geoloc localize --state FOLDER` keeps, by the versions of the site's calibration, and
the objects whose positions rest on those cameras; flags the rows of tracks; and works the state out again from its log
with the cameras as they were, into a new folder. The old state stays as it is."""
EXAMPLES = """\
examples:
  geoloc recompute garage state/garage               what is in doubt, and since when
  geoloc recompute garage state/garage --tracks out/tracks.csv --flags doubt.csv
  geoloc recompute garage state/garage --out state/again
  geoloc ask garage state/again where 17 --time 2024-06-07T10:02:11"""
SAMPLES = 50  # times at which positions before and after are held against each other


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("state", type=Path, metavar="FOLDER", help="folder that localize --state keeps")
    parser.add_argument("--tracks", type=Path, metavar="FILE.csv", help="tracks that localize wrote: flag their rows")
    parser.add_argument("--flags", type=Path, metavar="FILE.csv", help="write time, track and doubt (0 or 1) of each")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="work the state out again into this new folder")
    add_mesh(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Find, flag, work out again, tell."""
    site = seen_through_mesh(load_site(args.site, args.root), args.mesh)
    if args.flags is not None and args.tracks is None:
        raise InputError("--flags: give the tracks whose rows are to be flagged as --tracks FILE.csv")
    versions = list_versions(site.name, site_root(args.site, args.root))
    state, folder = load_state(site, args.state), StateFolder.find(args.state, site)
    doubts = find_doubts(folder, versions, state.start, state.time)
    touched = touched_by(state, doubts)
    report: dict[str, object] = {
        "doubts": [_plain(doubt) for doubt in doubts],
        "touched": [asdict(one) for one in touched],
        "objects": len({one.object for one in touched}),
    }
    if args.tracks is not None:
        report |= _flagged(args, touched)
    if args.out is not None:
        done = recompute(site, args.state, args.out, doubts, versions)
        after = load_state(site, args.out)
        report["again"] = _again(done, state, after, doubts)
    print(json.dumps(report, allow_nan=False) if args.json else _text(report, doubts, len(versions)))


def _plain(doubt: Doubt) -> dict[str, object]:
    return {key: None if value != value else value for key, value in asdict(doubt).items()}


def _flagged(args: Namespace, touched: Sequence[Touched]) -> dict[str, object]:
    """How many rows of the tracks are in doubt; written to --flags."""
    tracks = read_tracks(args.tracks)
    flags = flag_rows(tracks, touched)
    if args.flags is not None:
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("time", "track", "doubt"))
        writer.writerows(zip(tracks.time.tolist(), tracks.track.tolist(), flags.astype(int).tolist(), strict=True))
        write_whole(args.flags, out.getvalue())
    return {"rows": len(tracks), "rows_in_doubt": int(flags.sum())}


def _again(done: Recomputed, before: State, after: State, doubts: Sequence[Doubt]) -> dict[str, object]:
    """What was worked out again, and how far objects are from where they were said to be."""
    told = {**asdict(done), "folder": str(done.folder), "start": None if done.start != done.start else done.start}
    moved = []
    for doubt in doubts:
        for time in np.linspace(doubt.start, doubt.end, SAMPLES).tolist():
            was = {one.object: one.xy for one in before.at(time)} if before.start <= time else {}
            now = {one.object: one.xy for one in after.at(time)} if after.start <= time else {}
            moved += [np.hypot(*np.subtract(now[number], xy)) for number, xy in was.items() if number in now]
    if moved:
        told |= {"moved_median_m": round(float(np.median(moved)), 4), "moved_most_m": round(float(max(moved)), 4)}
    return told


def _text(report: dict[str, object], doubts: Sequence[Doubt], n_versions: int) -> str:
    if not doubts:
        return f"nothing is in doubt: the state's cameras are those of the {n_versions} versions on record"
    lines = []
    for one in doubts:
        known = f"it had moved by {clock(one.since)}" if one.since == one.since else "it may have moved already"
        when = f"{clock(one.start)} to {clock(one.end)}"
        lines.append(f"{one.camera}: {when}: {known} (calibration version {one.version})")
    lines.append(f"{report['objects']} objects rest on these cameras then")
    if "rows" in report:
        lines.append(f"{report['rows_in_doubt']} of {report['rows']} rows of the tracks are in doubt")
    again = report.get("again")
    if isinstance(again, dict):
        lines.append(f"{again['folder']}: {again['records']} records worked out again")
        if again["start"] is not None and again["start"] > again["since"]:
            lines.append(f"the log reaches back to {clock(again['start'])} only: what was before stays as it was")
        if "moved_median_m" in again:
            lines.append(f"objects moved by {again['moved_median_m']} m (median), {again['moved_most_m']} m at most")
        lines += [f"not taken: {each}" for each in again["refused"]]
    return "\n".join(lines)
