"""A short film of a time span: the plan view, and on it what moved. MP4 (VP9) and GIF."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.draw.layers import TrackPath, as_far_as_seen, drawable, track_paths
from geoloc.draw.plan import PlanOptions, PlanPicture, render_parts
from geoloc.draw.style import DARK, FONT, LIGHT, Palette
from geoloc.draw.words import time_text
from geoloc.errors import InputError
from geoloc.files import whole_file
from geoloc.geometry.gaussian import ellipse
from geoloc.options import check_range
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

FILMS = (".mp4", ".gif")
SHIFT = 4  # bits below a pixel in which OpenCV takes positions
MOST_FRAMES = 20_000
MOST_NAMES = 60  # objects in a picture, of more none is named
TAIL_PARTS = 10
CODEC = "vp09"  # what browsers and players take, and what OpenCV brings along


@dataclass(frozen=True)
class ClipOptions:
    """How a film looks and how fast it runs."""

    start: float = np.nan  # s; NaN: from the first row
    end: float = np.nan  # s; NaN: up to the last
    speed: float = 4.0  # seconds of the recording in one of the film
    fps: float = 0.0  # pictures a second; 0: 25 of an MP4, 10 of a GIF
    width_px: int = 0  # of a picture; 0: 1280 of an MP4, 800 of a GIF
    tail_s: float = 8.0  # s of its way that is shown behind what moves
    probability: float = 0.95  # that the error ellipses hold
    gap_s: float = 2.0  # what is not seen for longer is not shown meanwhile, s
    dark: bool = False

    def __post_init__(self) -> None:
        check_range(self, speed=(1e-3, 1e6), fps=(0, 60), width_px=(0, 4096), tail_s=(0, 1e6))
        check_range(self, probability=(0.01, 0.9999), gap_s=(0, 1e6))


def draw_clip(
    site: Site,
    tracks: Tracks,
    path: str | Path,
    *,
    levels: Sequence[str] = (),
    title: str = "",
    options: ClipOptions | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Path:
    """Write a film of `tracks` on the site's map, by the path's ending; returns the path.

    `progress` is told how many pictures are done, of how many. InputError for a span without any tracks, and for one of
    more than MOST_FRAMES pictures.
    """
    path, options = Path(path), options or ClipOptions()
    kind = path.suffix.lower()
    if kind not in FILMS:
        raise InputError(f"{path}: unknown ending {path.suffix!r} of a film; use {' or '.join(FILMS)}")
    options = replace(
        options,
        fps=options.fps or (25.0 if kind == ".mp4" else 10.0),
        width_px=options.width_px or (1280 if kind == ".mp4" else 800),
    )
    moments = _moments(tracks, path, options)
    tracks = tracks.take((tracks.time >= moments[0] - options.tail_s) & (tracks.time <= moments[-1] + options.gap_s))
    plan = PlanOptions(width_in=10, height_in=7, dpi=options.width_px / 10, dark=options.dark)
    picture = render_parts(site, tracks, levels, title, plan)
    film = _Film(site, tracks, picture, options)
    with whole_file(path) as temporary:
        write = _write_mp4 if kind == ".mp4" else _write_gif
        write(temporary, _counted(film.frames(moments), len(moments), progress), options)
    return path


def _moments(tracks: Tracks, path: Path, options: ClipOptions) -> np.ndarray:
    """Times (s) of the pictures."""
    finite = tracks.time[np.isfinite(tracks.time)]
    start = options.start if np.isfinite(options.start) else finite.min(initial=np.inf)
    end = options.end if np.isfinite(options.end) else finite.max(initial=-np.inf)
    if not ((finite >= start) & (finite <= end)).any():
        if not len(finite):
            raise InputError(f"{path}: no tracks, so nothing to film; a plan view (.png, .svg) shows the site alone")
        whole = f"there are some from {time_text(finite.min(), True)} to {time_text(finite.max(), True)}"
        raise InputError(f"{path}: no tracks from {start:g} to {end:g} s; {whole}")
    n = int((end - start) / options.speed * options.fps) + 1
    if n > MOST_FRAMES:
        raise InputError(f"{path}: {n:,} pictures; give a shorter span (--from, --to) or a higher --speed")
    return start + np.arange(n) * options.speed / options.fps


def _counted(
    frames: Iterator[np.ndarray], n: int, progress: Callable[[int, int], None]
) -> Iterator[np.ndarray]:
    for i, frame in enumerate(frames, 1):
        yield frame
        progress(i, n)


def _write_mp4(path: Path, frames: Iterator[np.ndarray], options: ClipOptions) -> None:
    import cv2

    first = next(frames)
    height, width = (side // 2 * 2 for side in first.shape[:2])  # codecs want even sides
    part = path.with_suffix(".mp4")  # OpenCV goes by the ending
    writer = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*CODEC), options.fps, (width, height))
    try:
        if not writer.isOpened():
            raise InputError(f"{path}: OpenCV was built without the codec {CODEC}; write a .gif instead")
        writer.write(first[:height, :width])
        for frame in frames:
            writer.write(frame[:height, :width])
        writer.release()
        part.replace(path)
    finally:
        writer.release()
        part.unlink(missing_ok=True)


def _write_gif(path: Path, frames: Iterator[np.ndarray], options: ClipOptions) -> None:
    from PIL import Image

    def pictures() -> Iterator[Image.Image]:
        for frame in frames:
            yield Image.fromarray(frame[..., ::-1]).quantize(128, dither=Image.Dither.NONE)

    every = pictures()
    first = next(every)
    first.save(
        path, format="GIF", save_all=True, append_images=every, duration=round(1000 / options.fps), loop=0,
        optimize=False,
    )  # fmt: skip


class _Film:
    """The pictures, one after the other, on one background."""

    def __init__(self, site: Site, tracks: Tracks, picture: PlanPicture, options: ClipOptions) -> None:
        import cv2

        self.cv2, self.options, self.picture = cv2, options, picture
        self.palette: Palette = DARK if options.dark else LIGHT
        self.tracks = as_far_as_seen(drawable(tracks, site.site_map))
        self.paths = track_paths(self.tracks, options.gap_s)
        self.axes = np.column_stack(ellipse(self.tracks.position_cov, options.probability))
        self.font, self.small = _font(options.width_px / 60), _font(options.width_px / 105)

    def frames(self, moments: np.ndarray) -> Iterator[np.ndarray]:
        """BGR pictures (H, W, 3) uint8."""
        for time in moments.tolist():
            yield self._frame(time)

    def _frame(self, time: float) -> np.ndarray:
        from PIL import Image, ImageDraw

        image = self.picture.image.copy()
        there = [(path, spot) for path in self.paths if (spot := self._spot(path, time)) is not None]
        for path, spot in there:
            self._tail(image, path, spot, time)
        for path, (row, xy) in there:
            self._object(image, path, row, xy)
        page = Image.fromarray(np.ascontiguousarray(image[..., ::-1]))
        pen = ImageDraw.Draw(page)
        for path, (row, xy) in there if len(there) <= MOST_NAMES else ():
            (at,) = self.picture.to_pixel(str(self.tracks.level[row]), xy[None])
            pen.text(
                (at[0] + 6, at[1] - 6), str(path.track), fill=self.palette.track(path.track), font=self.small,
                anchor="lb", stroke_width=2, stroke_fill=self.palette.ground,
            )  # fmt: skip
        width, _ = page.size
        pen.text((width / 2, self.font.size), time_text(time, True), fill=self.palette.ink, font=self.font, anchor="ma")
        return np.ascontiguousarray(np.asarray(page)[..., ::-1])

    def _spot(self, path: TrackPath, time: float) -> tuple[int, np.ndarray] | None:
        """The row before a time, and where the track was then (2,) m; None where it was not seen."""
        own = self.tracks.time[path.rows]
        row = path.rows.start + int(np.searchsorted(own, time, "right")) - 1
        if row < path.rows.start:
            return None
        piece = next(piece for piece in path.pieces if piece.start <= row < piece.stop)
        if row == piece.stop - 1:
            return (row, self.tracks.xy[row]) if time - self.tracks.time[row] < 0.05 else None
        share = (time - self.tracks.time[row]) / max(self.tracks.time[row + 1] - self.tracks.time[row], 1e-9)
        return row, self.tracks.xy[row] + share * (self.tracks.xy[row + 1] - self.tracks.xy[row])

    def _tail(self, image: np.ndarray, path: TrackPath, spot: tuple[int, np.ndarray], time: float) -> None:
        row, xy = spot
        piece = next(piece for piece in path.pieces if piece.start <= row < piece.stop)
        begin = piece.start + int(np.searchsorted(self.tracks.time[piece], time - self.options.tail_s))
        way = np.concatenate([self.tracks.xy[begin : row + 1], xy[None]])
        pixels = self._fixed(self.picture.to_pixel(str(self.tracks.level[row]), way))
        colour, ground = _bgr(self.palette.track(path.track)), _bgr(self.palette.ground)
        for k in range(TAIL_PARTS):
            part = pixels[k * len(pixels) // TAIL_PARTS : (k + 1) * len(pixels) // TAIL_PARTS + 1]
            share = 0.25 + 0.75 * (k + 1) / TAIL_PARTS
            mixed = tuple(share * a + (1 - share) * b for a, b in zip(colour, ground, strict=True))
            if len(part) > 1:
                self.cv2.polylines(image, [part], False, mixed, 2, self.cv2.LINE_AA, SHIFT)

    def _object(self, image: np.ndarray, path: TrackPath, row: int, xy: np.ndarray) -> None:
        cv2, colour = self.cv2, _bgr(self.palette.track(path.track))
        (centre,) = self._fixed(self.picture.to_pixel(str(self.tracks.level[row]), xy[None]))
        long, across, angle = self.axes[row]
        if np.isfinite([long, across, angle]).all():
            size = tuple(int(v * self.picture.px_per_m * 2**SHIFT) for v in (long, across))
            turn = -float(np.degrees(angle))
            cv2.ellipse(image, centre.tolist(), size, turn, 0, 360, colour, 1, cv2.LINE_AA, SHIFT)
        radius = int(self.options.width_px / 320 * 2**SHIFT)
        seen = self.tracks.state[row] != "coasting"
        edge = _bgr(self.palette.ground)
        cv2.circle(image, centre.tolist(), radius + 24, edge if seen else colour, -1, cv2.LINE_AA, SHIFT)
        cv2.circle(image, centre.tolist(), radius, colour if seen else edge, -1, cv2.LINE_AA, SHIFT)

    @staticmethod
    def _fixed(pixels: np.ndarray) -> np.ndarray:
        return np.round(np.clip(pixels, -1e5, 1e5) * 2**SHIFT).astype(np.int32)


def _bgr(colour: str) -> tuple[int, int, int]:
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)


def _font(size: float) -> "FreeTypeFont":
    from matplotlib.font_manager import findfont
    from PIL import ImageFont

    return ImageFont.truetype(findfont(FONT), size)
