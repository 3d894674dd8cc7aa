"""What `geoloc map` draws: plan views, films, the page, stills with tracks, the stills on the map."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.cli.ask import seconds
from geoloc.errors import InputError
from geoloc.files import read_json
from geoloc.io.marks import read_marks
from geoloc.io.track_store import is_store, read_store
from geoloc.io.tracks import read_tracks
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks
from geoloc.service.stills import find_stills

if TYPE_CHECKING:
    from geoloc.draw.page_cameras import CameraAlarm

PRINT_DPI = 300.0
MARKS = "marks.csv"
MOSAIC, STILLS = "mosaic.png", "stills"  # in a folder of results


def add_pictures(parser: ArgumentParser) -> None:
    """--from, --to, --speed, --dark, --dpi, --stills: what is drawn, and how."""
    parser.add_argument(
        "--from", dest="span_from", metavar="TIME", default="", help="from this time on: +40 (s after the start), "
        "Unix seconds, or 2026-03-01T08:00 (UTC)",
    )  # fmt: skip
    parser.add_argument("--to", dest="span_to", metavar="TIME", default="", help="up to this time, as --from")
    parser.add_argument("--speed", type=float, default=4.0, help="films: times as fast as it was (default: 4)")
    parser.add_argument("--dark", action="store_true", help="plan views and films: dark")
    parser.add_argument("--dpi", type=float, default=PRINT_DPI, help="plan views: dots an inch (default: 300)")
    parser.add_argument(
        "--stills", type=Path, metavar="DIR", help="one picture a camera, named after it: in the page's cameras, below "
        "plan views; a folder also gets each of them with map lines and tracks, and mosaic.png",
    )  # fmt: skip
    parser.add_argument(
        "--alarms", type=Path, metavar="FILE", help="page: alarms of cameras, of geoloc check --images --json"
    )
    parser.add_argument("--gallery", type=Path, metavar="FOLDER", help="page: what objects look like, of a gallery")


class Pictures:
    """Draws a site and its tracks as the command line wants it; what is read is read once."""

    def __init__(self, args: Namespace, site: Site) -> None:
        self.args, self.site = args, site

    @cached_property
    def tracks(self) -> Tracks:
        """The tracks of the time that is asked for."""
        path, span = self.args.tracks, self._store_span
        tracks = Tracks() if not path else read_store(path, *span) if is_store(path) else read_tracks(path)
        if not self._cut or not len(tracks):
            return self._some(tracks)
        first = float(np.nanmin(tracks.time))
        start, end = moment(self.args.span_from, first, -np.inf), moment(self.args.span_to, first, np.inf)
        return self._some(tracks.take((tracks.time >= start) & (tracks.time <= end)))

    @property
    def recording(self) -> tuple[Tracks | Path, tuple[float, float]]:
        """What an export reads, and within which times (UTC Unix s): a file piece by piece where that is possible."""
        everything = (-np.inf, np.inf)
        if not self.args.tracks or (self._cut and self._store_span == everything):
            return self.tracks, everything
        return self.args.tracks, self._store_span

    @property
    def _cut(self) -> bool:
        return bool(self.args.span_from or self.args.span_to)

    @property
    def _store_span(self) -> tuple[float, float]:
        """The times that a store itself is asked for: those that do not hang on its first one."""
        given = self.args.span_from, self.args.span_to
        if not is_store(self.args.tracks or "") or any(one.startswith("+") for one in given):
            return -np.inf, np.inf
        return moment(given[0], 0.0, -np.inf), moment(given[1], 0.0, np.inf)

    def _some(self, tracks: Tracks) -> Tracks:
        if self._cut and self.args.tracks and not len(tracks):
            span = f"from {self.args.span_from or 'its start'} to {self.args.span_to or 'its end'}"
            raise InputError(f"{self.args.tracks}: it has no tracks {span}")
        return tracks

    @cached_property
    def stills(self) -> Mapping[str, np.ndarray]:
        """The stills of the site's cameras, BGR; a camera that the site lacks is refused."""
        if not self.args.stills:
            return {}
        import cv2

        found = find_stills(self.args.stills)
        for still in found:
            self.site.camera(still.camera)
        return {still.camera: np.asarray(cv2.imread(str(still.path))) for still in found}

    @property
    def n_tracks(self) -> int:
        """How many tracks there are; the page alone is written without holding them."""
        return len(np.unique(self.tracks.track))

    def draw(self, path: Path) -> None:
        """The picture, film or page that the path's ending asks for."""
        drawn: dict[str, Callable[[Path], object]] = {".png": self._plan, ".svg": self._plan, ".html": self._page}
        drawn.get(path.suffix.lower(), self._clip)(path)

    def of_folder(self, folder: Path) -> list[Path]:
        """What a folder gets of stills: each with map and tracks, and all on the map; the paths."""
        if not self.stills:
            return []
        from geoloc.draw.still_tracks import draw_still_tracks

        self._plan(folder / MOSAIC)
        paths = [folder / MOSAIC]
        for name, still in self.stills.items():
            paths.append(draw_still_tracks(self.site, name, self.tracks, still, folder / STILLS / f"{name}.jpg"))
        return paths

    def _plan(self, path: Path) -> None:
        from geoloc.draw.plan import PlanOptions, draw_plan

        options = PlanOptions(dpi=self.args.dpi, dark=self.args.dark)
        with_stills = path.name == MOSAIC or path in (self.args.out or ())
        draw_plan(self.site, self.tracks, path, options=options, stills=self.stills if with_stills else None)

    def _page(self, path: Path) -> None:
        from geoloc.draw.page import PageExtras, write_map_page

        marks = self.args.root / "calibration" / self.site.name / MARKS
        extras = PageExtras(
            stills=self.stills, marks=read_marks(marks).marks if marks.is_file() else None,
            alarms=read_alarms(self.args.alarms) if self.args.alarms else (),
            crops=best_crops(self.args.gallery) if self.args.gallery else {},
        )  # fmt: skip
        whole = self.args.tracks and not self._cut and not is_store(self.args.tracks)
        write_map_page(self.site, self.args.tracks if whole else self.tracks, path, extras=extras)

    def _clip(self, path: Path) -> None:
        from tqdm import tqdm

        from geoloc.draw.clip import ClipOptions, draw_clip

        with tqdm(desc=f"drawing {path.name}", unit=" pictures", file=sys.stderr) as bar:

            def progress(done: int, of: int) -> None:
                bar.total = of
                bar.update(done - bar.n)

            options = ClipOptions(speed=self.args.speed, dark=self.args.dark)
            draw_clip(self.site, self.tracks, path, options=options, progress=progress)


def read_alarms(path: Path) -> "list[CameraAlarm]":
    """The alarms in what `geoloc check --images --json` printed."""
    from geoloc.draw.page_cameras import CameraAlarm

    said = read_json(path)
    try:
        ends = [np.inf if row["ended"] is None else float(row["ended"]) for row in said["alarms"]]
        rows = zip(said["alarms"], ends, strict=True)
        return [CameraAlarm(row["camera"], float(row["since"]), end, row["state"]) for row, end in rows]
    except (KeyError, TypeError, ValueError) as error:
        made = "geoloc check SITE --images FOLDER --json"
        raise InputError(f"{path}: no alarms of cameras ({error!r}); it must hold what {made} prints") from error


def best_crops(folder: Path) -> dict[int, np.ndarray]:
    """Of each track in a gallery the picture that shows it best, BGR."""
    from geoloc.retrieval.gallery import Gallery

    if not folder.is_dir():
        raise InputError(f"{folder}: no gallery there; geoloc localize SITE BOXES --gallery --images FOLDER makes one")
    with Gallery.open(folder) as gallery:
        views = gallery.views()
        best: dict[int, np.ndarray] = {}
        for row in np.argsort(-views.quality, kind="stable").tolist():
            number = int(views.track[row])
            if number >= 0 and number not in best and (crop := gallery.crop(int(views.id[row]))) is not None:
                best[number] = crop
    return best


def moment(text: str, first: float, missing: float) -> float:
    """A time (Unix s) as people give it: +40 (s after the `first`), or as `seconds` takes it."""
    if text.startswith("+"):
        try:
            return first + float(text[1:])
        except ValueError as error:
            raise InputError(f"time {text!r}: write such as +40, seconds after the start") from error
    found = seconds(text or None)
    return missing if found is None else found
