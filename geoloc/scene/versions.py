"""Calibrations over the years: each a file that is never changed, `calibration/<site>/versions/NNNN.json`.

A version holds all cameras of the site as they were believed to be from `valid_from` on, who made it, when, out of
which files (by their hashes) and why. `cameras.json` beside it is the newest version's; rolling back writes the old
cameras as a new version, so that nothing is lost.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from geoloc.errors import InputError
from geoloc.files import read_bytes, write_whole
from geoloc.scene import jsonfile
from geoloc.scene.camera import Camera
from geoloc.scene.fingerprint import calibration_fingerprint
from geoloc.scene.site import Site
from geoloc.scene.storage import (
    calibration_folder,
    cameras_text,
    load_cameras,
    load_site,
    parse_cameras,
    save_cameras,
)

SCHEMA = 2
KEYS = ("schema", "number", "created", "author", "note", "valid_from", "doubted_from", "inputs", "cameras")
FIRST = 1  # schema of versions whose cameras came to be so at a known time


@dataclass(frozen=True, eq=False)
class Version:
    """One calibration of a site: `number` from 1; `created` and `valid_from` in UTC Unix s.

    Cameras that changed since the version before may have been so from `doubted_from` (s) on already: a camera moved
    at some time between the last look that found it in place and the first that did not.
    `inputs` are the SHA-256 of the files that it was made of, by name.
    """

    number: int
    created: float
    author: str
    note: str
    valid_from: float
    inputs: Mapping[str, str]
    cameras: tuple[Camera, ...]
    doubted_from: float = float("nan")

    def __post_init__(self) -> None:
        if not self.doubted_from <= self.valid_from:  # NaN: it is known since when
            object.__setattr__(self, "doubted_from", self.valid_from)

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.created, UTC).strftime("%Y-%m-%d %H:%M UTC")
        since = datetime.fromtimestamp(self.valid_from, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        made = f"version {self.number}, {when}, by {self.author or 'nobody named'}: {self.note or 'no note'}"
        return f"{made}; true from {since}; {len(self.cameras)} cameras"


def list_versions(name: str, root: str | Path = ".") -> tuple[Version, ...]:
    """All versions of a site, the oldest first; none where it was never versioned."""
    files = sorted(_folder(name, root).glob("[0-9]*.json"))
    return tuple(_read(file) for file in files)


def version_at(name: str, time_s: float, root: str | Path = ".") -> Version:
    """The version that was true at a time (UTC Unix s): of those valid from then or before, the newest.

    InputError where none was yet.
    """
    versions = list_versions(name, root)
    before = [version for version in versions if version.valid_from <= time_s]
    if not before:
        known = f"the first is true from {min(v.valid_from for v in versions):.0f} s" if versions else "it has none"
        raise InputError(f"site {name!r}: no version of its calibration was true at {time_s:.0f} s; {known}")
    return max(before, key=lambda version: (version.valid_from, version.number))


def load_site_at(name: str, time_s: float, root: str | Path = ".") -> Site:
    """A site with the cameras that were true at a time (UTC Unix s)."""
    return load_site(name, root).with_cameras(version_at(name, time_s, root).cameras)


def save_version(
    name: str,
    cameras: Sequence[Camera],
    root: str | Path = ".",
    author: str = "",
    note: str = "",
    valid_from: float | None = None,
    inputs: Iterable[str | Path] = (),
    doubted_from: float | None = None,
) -> Version:
    """Keep `cameras` as the site's newest version, and make them its current ones (`cameras.json`).

    `valid_from` (UTC Unix s) is now unless given: when the cameras came to be so, or from `doubted_from` on already.
    `inputs` are hashed. A site that
    has cameras but no version yet has them kept as the first, so that one can go back to them.
    """
    now = time.time()
    versions = list_versions(name, root)
    current = calibration_folder(name, root) / "cameras.json"
    if not versions and current.is_file():
        first = Version(1, now, "", "as found, before versions were kept", 0.0, {}, load_cameras(current))
        _write(first, name, root)
        versions = (first,)
    number = max((version.number for version in versions), default=0) + 1
    since = now if valid_from is None else float(valid_from)
    hashes = {Path(file).name: hashlib.sha256(read_bytes(file)).hexdigest() for file in inputs}
    doubted = since if doubted_from is None else float(doubted_from)
    version = Version(number, now, author, note, since, hashes, tuple(cameras), doubted)
    _write(version, name, root)
    save_cameras(version.cameras, current)
    return version


def roll_back(name: str, number: int, root: str | Path = ".", author: str = "", note: str = "") -> Version:
    """Make the cameras of an old version the newest; the versions between stay on record."""
    found = {version.number: version for version in list_versions(name, root)}
    if number not in found:
        raise InputError(f"site {name!r}: no version {number}; there are {', '.join(map(str, found)) or 'none'}")
    return save_version(name, found[number].cameras, root, author, note or f"back to version {number}")


def calibration_name(site: Site, root: str | Path = ".") -> str:
    """The fingerprint of a site's calibration, and which version it is where the site has that on record."""
    mine = calibration_fingerprint(site)
    for version in reversed(list_versions(site.name, root)):
        if calibration_fingerprint(Site(site.name, version.cameras, site.site_map)) == mine:
            return f"{mine} (version {version.number})"
    return mine


def _folder(name: str, root: str | Path) -> Path:
    return calibration_folder(name, root) / "versions"


def _write(version: Version, name: str, root: str | Path) -> None:
    path = _folder(name, root) / f"{version.number:04d}.json"
    if path.exists():
        raise InputError(f"{path}: is there already; another calibration was saved meanwhile, run it again")
    head = {
        "schema": SCHEMA,
        "number": version.number,
        "created": version.created,
        "author": version.author,
        "note": version.note,
        "valid_from": version.valid_from,
        "doubted_from": version.doubted_from,
        "inputs": dict(version.inputs),
    }
    text = json.dumps(head, indent=1, ensure_ascii=False)
    write_whole(path, f'{text[:-2]},\n "cameras": {cameras_text(version.cameras)}\n}}\n')


def _read(path: Path) -> Version:
    document = jsonfile.read_object(path)
    with jsonfile.naming(path):
        if document.get("schema") == FIRST:
            document = {**document, "schema": SCHEMA, "doubted_from": document.get("valid_from")}
        jsonfile.check_keys("the file", document, KEYS)
        jsonfile.check_schema(document, SCHEMA)
        number = float(jsonfile.numbers("'number'", document["number"], ()))
        if number != int(number) or not re.fullmatch(f"0*{int(number)}", path.stem):
            raise InputError(f"'number' is {document['number']}, the file is called {path.name}")
        inputs = jsonfile.mapping("'inputs'", document["inputs"])
        return Version(
            number=int(number),
            created=float(jsonfile.numbers("'created'", document["created"], ())),
            author=jsonfile.text("'author'", document["author"], empty=True),
            note=jsonfile.text("'note'", document["note"], empty=True),
            valid_from=float(jsonfile.numbers("'valid_from'", document["valid_from"], ())),
            inputs={name: jsonfile.text(f"hash of {name}", value) for name, value in inputs.items()},
            cameras=parse_cameras(document["cameras"]),
            doubted_from=float(jsonfile.numbers("'doubted_from'", document["doubted_from"], ())),
        )
