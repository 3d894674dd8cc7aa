"""Relocalization beside an hloc-style pipeline with the same features and retrieval: recall, time, a map's memory."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.row import Row

CONTESTANT = Path(__file__).with_name("relocalization_contestant.py")
DATA = Path(os.environ.get("GEOLOC_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
N_IMAGES = 2000
TIMEOUT_S = 1500.0
ASKED = "<= 0.5 x at equal recall"
ASKED_MS = "< 500"
QUARTER = "<= 0.25"
STILLS = "stills enlarged to 1920 x 1080, two cores"


def bench_relocalization() -> list[Row]:
    """Strecha's stills in maps of their own sequences, then among 2,000 images most of which are drawn."""
    folder = DATA / "strecha"
    if not folder.is_dir():
        print(f"Strecha is not in {DATA}: left out; set GEOLOC_DATA", file=sys.stderr)
        return []
    command = [sys.executable, str(CONTESTANT), str(folder), "--images", str(N_IMAGES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{CONTESTANT.name} ended with {done.returncode}:\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    return rows_of(found)


def rows_of(found: dict[str, Any]) -> list[Row]:
    """The contestant's figures as rows."""
    weighed = found["map"]
    small = f"relocalization, Strecha, {found['strecha']['geoloc']['n']} stills"
    images = f"{weighed['images']:,} images"
    large = f"relocalization, map of {images}, {found['drawn']['geoloc']['n']} stills"
    made = "real maps of three sequences among copies whose looks are mixed anew"
    rows = _duel(small, found["strecha"], STILLS) + _duel(large, found["drawn"], f"{STILLS}; {made}")
    for part, seconds in found["drawn"]["geoloc"]["parts"].items():
        theirs = found["drawn"]["hloc-style"]["parts"][part]
        ratio = seconds / max(theirs, 1e-9)
        rows.append(Row(large, f"geoloc: {part}", 1e3 * seconds, "ms", ratio, note="of the query"))
    usual = next(iter(found["features"].values()))
    few = f"relocalization, Strecha, {usual['n']} stills"
    for name, each in found["features"].items():
        said = f"recall {_recall(each)}, median {each['median_mm']:.2f} mm; extraction {_ms(each, 'extraction')} ms"
        ratio = each["seconds"] / usual["seconds"]
        rows.append(Row(few, f"geoloc, features {name}", 1e3 * each["seconds"], "ms", ratio, note=said))
    return rows + _weights(f"landmark map of {images}", weighed)


def _duel(name: str, found: dict[str, Any], note: str) -> list[Row]:
    ours, theirs = found["geoloc"], found["hloc-style"]
    rows = [
        Row(name, "geoloc: query", 1e3 * ours["seconds"], "ms", ours["seconds"] / theirs["seconds"], ASKED,
            f"median, of which asked {ASKED_MS} ms; slowest {1e3 * ours['slowest']:.0f} ms; {note}"),
        Row(name, "hloc-style: query", 1e3 * theirs["seconds"], "ms", 1.0, note=_split(theirs)),
    ]  # fmt: skip
    for who, each in (("geoloc", ours), ("hloc-style", theirs)):
        for level, said in enumerate(("0.25 m, 2 deg", "0.5 m, 5 deg")):
            note = f"median {each['median_mm']:.2f} mm"
            rows.append(Row(name, f"{who}: recall at {said}", 100 * each["recall"][level], "%", note=note))
    return rows


def _weights(name: str, weighed: dict[str, Any]) -> list[Row]:
    thousands = weighed["images"] / 1000
    made = f"{weighed['landmarks']:,} landmarks, {weighed['observations']:,} observations"
    rows = []
    for how, said in (("whole", "in memory"), ("mapped", "with descriptors left in the file")):
        size = weighed["memory"][how]
        ratio = size / weighed["raw_all"]
        alone = f"{size / weighed['raw_observed']:.2f} of those of its observations alone"
        note = f"ratio to the float32 descriptors of its images' features; {alone}; {made}"
        rows.append(Row(name, f"a thousand images, {said}", size / 1e6 / thousands, "MB", ratio, QUARTER, note))
    for how, said in (("whole", "read"), ("mapped", "read, descriptors left in it")):
        note = f"a file of {weighed['file'] / 1e6:,.0f} MB, in the system's cache"
        rows.append(Row(name, f"file {said}", weighed["load_s"][how], "s", note=note))
    rows.append(Row(name, "index made", weighed["index_s"], "s", note="once, when the map is written"))
    return rows


def _recall(found: dict[str, Any]) -> str:
    return " and ".join(f"{100 * share:.0f} %" for share in found["recall"])


def _ms(found: dict[str, Any], part: str) -> str:
    return f"{1e3 * found['parts'][part]:.0f}"


def _split(found: dict[str, Any]) -> str:
    parts = ", ".join(f"{part} {_ms(found, part)}" for part in found["parts"])
    return f"top ten, mutual nearest neighbours by BLAS, PnP-RANSAC at 12 px; {parts} ms"
