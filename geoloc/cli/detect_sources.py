"""Which camera each source of frames is of: CAMERA=SOURCE, or named after its camera."""

from pathlib import Path

from geoloc.errors import InputError
from geoloc.perception.frames import PICTURES, STREAMS, Source, open_source
from geoloc.perception.streams import LatestFrames
from geoloc.scene.site import Site

FILMS = (".avi", ".mp4", ".mkv", ".mov", ".ts", ".m4v", ".webm", ".mpg", ".mjpeg", ".h264")


def find_sources(site: Site, given: list[str], start: float, fps: float, pace: float) -> list[Source]:
    """A source of each camera; InputError where it is not said whose frames they are."""
    named: list[tuple[str, str]] = []
    for word in given:
        camera, equals, where = word.partition("=")
        if equals and not word.lower().startswith(STREAMS) and camera in site.camera_index:
            named.append((camera, where))
        elif equals and not Path(word).exists() and not word.lower().startswith(STREAMS):
            site.camera(camera)  # refuses it with the nearest name
        else:
            named += _named_after(site, word)
    sources = [open_source(camera, where, start, fps) for camera, where in named]
    return [LatestFrames(source, pace) if pace and not source.live else source for source in sources]


def _named_after(site: Site, where: str) -> list[tuple[str, str]]:
    path = Path(where)
    if path.is_dir():
        inside = [p for p in sorted(path.iterdir()) if p.is_dir() or p.suffix.lower() in FILMS]
        found = [(p.stem if p.is_file() else p.name, str(p)) for p in inside]
        found = [(camera, each) for camera, each in found if camera in site.camera_index]
        if found:
            return found
        if not any(p.suffix.lower() in PICTURES for p in path.iterdir()):
            names = ", ".join(list(site.camera_index)[:6])
            said = f"{path}: holds neither pictures nor films named after cameras of site {site.name!r} ({names}, ...)"
            raise InputError(f"{said}; name them so, or give CAMERA=SOURCE")
    camera = path.stem if path.suffix else path.name
    if camera in site.camera_index:
        return [(camera, where)]
    if len(site.cameras) == 1:
        return [(site.cameras[0].name, where)]
    raise InputError(f"{where}: of which camera? give it as CAMERA={where}; site {site.name!r} has {len(site.cameras)}")
