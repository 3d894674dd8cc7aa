"""Where results go: files by their ending, or a folder that gets one of each."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from geoloc.errors import InputError
from geoloc.io.tracks import WRITERS, WriteOptions, export, format_of
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

if TYPE_CHECKING:
    from geoloc.pipeline.queries import State

PAGE_FILES = ("plan.png", "map.html")
RESULT_FILES = ("tracks.geojson", "tracks.csv", *PAGE_FILES)


def write_plan(path: Path, site: Site, tracks: Tracks) -> None:
    """The plan view as a picture."""
    from geoloc.draw.plan import draw_plan

    draw_plan(site, tracks, path)


def write_clip(path: Path, site: Site, tracks: Tracks) -> None:
    """All of it as a film."""
    from geoloc.draw.clip import draw_clip

    draw_clip(site, tracks, path)


def write_page(path: Path, site: Site, tracks: Tracks) -> None:
    """The map as one HTML page."""
    from geoloc.draw.page import write_map_page

    write_map_page(site, tracks, path)


def write_page_of(path: Path, site: Site, tracks: Tracks, state: "State", title: str = "") -> None:
    """The map as one HTML page, with who was what, and the lineage below it."""
    from geoloc.draw.page import PageExtras, write_map_page

    write_map_page(site, tracks, path, title=title, extras=PageExtras(state=state))


PICTURES: dict[str, Callable[[Path, Site, Tracks], None]] = {
    ".png": write_plan,
    ".svg": write_plan,
    ".mp4": write_clip,
    ".gif": write_clip,
    ".html": write_page,
}
ENDINGS = (*PICTURES, *(ending for form in WRITERS.values() for ending in form.endings))


def write_options(args: Namespace) -> WriteOptions:
    """What --track, --fps and --start say."""
    return WriteOptions(track=args.track, fps=args.fps, start=args.start)


def planned(
    outputs: list[Path], site: Site, names: tuple[str, ...], endings: tuple[str, ...] = ()
) -> list[Path]:
    """The files that `outputs` stand for; a path without an ending is a folder, which gets files of `names`.

    A file may have one of `endings`, or of the endings of `names` if there are none. What cannot be written is refused
    before any work is done. A folder gets no GeoJSON of a site without a datum.
    """
    files: list[Path] = []
    endings = endings or tuple(Path(name).suffix for name in names)
    for path in outputs:
        if path.suffix.lower() in endings and not path.is_dir():
            files.append(path)
            if path.suffix.lower() not in PICTURES and WRITERS[format_of(path)].on_earth:
                site.site_map.require_datum(str(path))
        elif path.suffix and not path.is_dir():
            raise InputError(f"{path}: unknown ending {path.suffix!r}; use {', '.join(endings)}, or a folder")
        else:
            on_earth = site.site_map.datum is not None
            files += [path / name for name in names if on_earth or not name.endswith(".geojson")]
    return files


def write_results(files: list[Path], site: Site, tracks: Tracks, state: "State | None" = None) -> None:
    """Write each of `files` by its ending; the map page tells the lineage that a `state` of the same numbers has."""
    for path in files:
        ending = path.suffix.lower()
        if ending == ".html" and state is not None:
            write_page_of(path, site, tracks, state)
        elif ending in PICTURES:
            PICTURES[ending](path, site, tracks)
        else:
            export(path, site, tracks)


def record_path(outputs: list[Path]) -> Path:
    """Where the run's record goes: run.json in a folder, NAME.run.json beside a file."""
    first = outputs[0]
    return first.with_name(f"{first.stem}.run.json") if first.suffix.lower() in ENDINGS else first / "run.json"
