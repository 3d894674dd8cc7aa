"""Cameras' stills with the map's lines and the tracks drawn in: what the map says, held against the picture."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from geoloc.draw.layers import TrackPath, as_far_as_seen, drawable, track_paths
from geoloc.draw.still_lines import still_lines
from geoloc.draw.style import DARK
from geoloc.errors import InputError
from geoloc.files import write_whole
from geoloc.geometry.gaussian import ellipse
from geoloc.scene.camera import Camera
from geoloc.scene.occlusion import Occlusion
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks

SHIFT = 4  # bits below a pixel in which OpenCV takes positions
APART = 0.1  # m between the points of a way that are drawn
ROUND = 48  # points of an ellipse
QUALITY = 92  # of JPEG
KINDS = {"grid": "level"}  # whose colour a kind of line has, if not its own
FORMS = (".jpg", ".jpeg", ".png")


def draw_still_tracks(
    site: Site, camera: str, tracks: Tracks, still: np.ndarray, path: str | Path, *, gap_s: float = 2.0
) -> Path:
    """Write a camera's still (H, W, 3) uint8 BGR with map lines and tracks as JPEG or PNG; returns the path.

    Each track's way on the ground, paler where it is older, as far as nothing of the map hides it from the camera; at
    its end the ellipse that holds it with 95 % and its number. A still of another size than its camera is scaled.
    """
    import cv2  # here and not above: `import geoloc` does not load OpenCV

    path = Path(path)
    if path.suffix.lower() not in FORMS:
        raise InputError(f"{path}: unknown ending {path.suffix!r} of a still; use {', '.join(FORMS)}")
    form = [] if path.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    _, content = cv2.imencode(path.suffix, still_with_tracks(site, camera, tracks, still, gap_s), form)
    write_whole(path, content.tobytes())
    return path


def still_with_tracks(site: Site, camera: str, tracks: Tracks, still: np.ndarray, gap_s: float = 2.0) -> np.ndarray:
    """As `draw_still_tracks`, but for the file: (H, W, 3) uint8 BGR, of the camera's size."""
    import cv2

    from geoloc.draw.still_svg import PHOTO
    from geoloc.perception.rectify import check_still

    seen_by = site.camera(camera)
    image = check_still(still, camera, seen_by.size).copy()
    if image.shape[1::-1] != tuple(seen_by.size):
        image = cv2.resize(image, seen_by.size, interpolation=cv2.INTER_AREA)
    width = max(1, round(seen_by.size[0] / 900))
    for line in still_lines(seen_by, site.site_map):
        colour = _bgr(PHOTO[f"{KINDS.get(line.kind, line.kind)}-line"])
        cv2.polylines(image, [_fixed(line.pixels)], False, (0, 0, 0), width + 2, cv2.LINE_AA, SHIFT)
        cv2.polylines(image, [_fixed(line.pixels)], False, colour, width, cv2.LINE_AA, SHIFT)
    tracks = as_far_as_seen(drawable(tracks, site.site_map))
    for path in track_paths(tracks, gap_s):
        _draw_track(image, seen_by, site.site_map, tracks, path, width)
    return image


def _draw_track(
    image: np.ndarray, camera: Camera, site_map: SiteMap, tracks: Tracks, path: TrackPath, width: int
) -> None:
    import cv2

    colour = _bgr(DARK.track(path.track))
    start, end = float(tracks.time[path.rows.start]), float(tracks.time[path.rows.stop - 1])
    for piece in path.pieces:
        rows = np.arange(piece.start, piece.stop)[_apart(tracks.xy[piece])]
        pixels = pixels_seen(camera, site_map, str(tracks.level[piece.start]), tracks.xy[rows])
        age = (tracks.time[rows] - start) / max(end - start, 1e-9)
        for part in _runs(np.isfinite(pixels[:, 0])):
            if len(part) > 1:
                shade = 0.35 + 0.65 * float(age[part[-1]])
                faded = tuple(shade * value for value in colour)
                cv2.polylines(image, [_fixed(pixels[part])], False, faded, width + 1, cv2.LINE_AA, SHIFT)
    last = path.rows.stop - 1
    level = str(tracks.level[last])
    outline = pixels_seen(camera, site_map, level, _ellipse(tracks, last))
    spot = pixels_seen(camera, site_map, level, tracks.xy[last][None])[0]
    if not np.isfinite(spot).all():
        return
    if np.isfinite(outline).all():
        cv2.polylines(image, [_fixed(outline)], True, colour, width, cv2.LINE_AA, SHIFT)
    u, v = np.round(spot).astype(int).tolist()
    cv2.circle(image, (u, v), 3 * width, colour, -1, cv2.LINE_AA)
    size = image.shape[1] / 1900
    for thick, ink in ((4 * width, (0, 0, 0)), (max(1, width), (255, 255, 255))):
        at = (u + 4 * width, v - 4 * width)
        cv2.putText(image, str(path.track), at, cv2.FONT_HERSHEY_SIMPLEX, size, ink, thick, cv2.LINE_AA)


def pixels_seen(camera: Camera, site_map: SiteMap, level: str, xy: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) of points xy (N, 2) m of a level; NaN where the camera does not see them."""
    if camera.is_homography:
        if level != camera.homography_level:
            return np.full((len(xy), 2), np.nan)
        u, v, w = np.linalg.inv(camera.ground_from_image) @ np.column_stack([xy, np.ones(len(xy))]).T
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = np.where((w > 0)[:, None], np.column_stack([u / w, v / w]), np.nan)
    else:
        xyz = np.column_stack([xy, site_map.level(level).z_extended(xy) + 0.02])  # over its own floor
        pixels = camera.project(xyz)
        pixels[Occlusion(site_map)(camera.centre_world, xyz)] = np.nan
    known = np.asarray(np.isfinite(pixels).all(axis=1))
    known[known] = camera.inside(pixels[known])
    return np.where(known[:, None], pixels, np.nan)


def _ellipse(tracks: Tracks, row: int) -> np.ndarray:
    """Outline (ROUND, 2) m of the ellipse that holds a state with 95 %; NaN where its covariance is not known."""
    cov = tracks.position_cov[row]
    if not np.isfinite(cov).all():
        return np.full((ROUND, 2), np.nan)
    long, across, angle = (float(np.ravel(value)[0]) for value in ellipse(cov[None], 0.95))
    turn = np.linspace(0, 2 * np.pi, ROUND, endpoint=False)
    ahead, aside = long * np.cos(turn), across * np.sin(turn)
    cos, sin = np.cos(angle), np.sin(angle)
    return tracks.xy[row] + np.column_stack([cos * ahead - sin * aside, sin * ahead + cos * aside])


def _apart(xy: np.ndarray) -> np.ndarray:
    """Rows, the last among them, between which a way goes on by about APART."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    rows = np.flatnonzero(np.diff(np.floor(along / APART), prepend=-1.0) > 0)
    return np.unique(np.append(rows, len(xy) - 1))


def _runs(seen: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of each run of what is seen."""
    rows = np.flatnonzero(seen)
    yield from np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)


def _fixed(pixels: np.ndarray) -> np.ndarray:
    return np.round(np.clip(pixels, -1e5, 1e5) * 2**SHIFT).astype(np.int32)


def _bgr(colour: str) -> tuple[int, int, int]:
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)
