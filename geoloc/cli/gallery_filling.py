"""A run's objects into a gallery: their looks by the recording's pictures, or the embeddings that its boxes have."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.errors import InputError
from geoloc.scene.site import Site
from geoloc.scene.storage import site_root
from geoloc.scene.tables import Detections, GroundPoints, Tracks

if TYPE_CHECKING:
    from geoloc.retrieval.gallery import Gallery
    from geoloc.retrieval.looks import Looks

SEED = 1  # of which views teach what a likeness says


def add_gallery(parser: ArgumentParser) -> None:
    """What fills a gallery."""
    group = parser.add_argument_group("what objects look like")
    group.add_argument(
        "--gallery", nargs="?", const="", metavar="FOLDER",
        help="keep what the objects look like, for `geoloc search` (default: ROOT/gallery/SITE)",
    )  # fmt: skip
    group.add_argument(
        "--images", type=Path, metavar="FOLDER",
        help="what the cameras saw: CAMERA.mp4 (with --fps, --start) or CAMERA/TIME.jpg; without it the boxes' "
        "embeddings are taken",
    )  # fmt: skip
    group.add_argument("--index", default="", metavar="NAME", help="what a new gallery lies in (default: exact)")
    group.add_argument("--embedder", default="", metavar="NAME", help="of a new gallery's pictures (default: plain)")
    group.add_argument("--weights", default="", metavar="FILE", help="of the embedder")


def gallery_folder(args: Namespace, site: Site) -> Path:
    """Where a site's gallery is."""
    return Path(args.gallery) if args.gallery else site_root(args.site, args.root) / "gallery" / site.name


def fill_gallery(
    args: Namespace, site: Site, detections: Detections, tracks: Tracks, points: GroundPoints
) -> list[str]:
    """Add the views of a run's objects; says what was done."""
    from geoloc.features.crops import EmbedderOptions
    from geoloc.pipeline.sightings import looks_of_run
    from geoloc.retrieval.gallery import Gallery

    looks, row = looks_of_run(detections, tracks, points, site.name)
    folder, width = gallery_folder(args, site), looks.vector.shape[1]
    if args.images is None and not width:
        raise InputError("--gallery: the boxes have no embeddings; give --images, the folder of what the cameras saw")
    if args.images is not None:
        how = EmbedderOptions(weights=args.weights)
        with Gallery.open(folder, args.index, embedder=args.embedder, embedder_options=how) as gallery:
            return _add_pictures(args, gallery, looks, detections, row)
    with Gallery.open(folder, args.index, dim=width) as gallery:
        known = np.isfinite(looks.vector).all(axis=1) & looks.vector.any(axis=1)
        kept = gallery.add(looks.take(known))
        return _told(gallery, folder, kept)


def _add_pictures(
    args: Namespace, gallery: "Gallery", looks: "Looks", detections: Detections, row: np.ndarray
) -> list[str]:
    """Cut each view, of the box in a `row` (N,), out of its picture, a picture at a time."""
    from geoloc.features.crop_colours import colour_name
    from geoloc.features.crops import cut_crops
    from geoloc.io.camera_frames import CameraFrames

    frames = CameraFrames(args.images, args.fps, args.start)
    seen, ids = 0, [np.zeros(0, int)]
    bare = looks.replace(vector=np.zeros((len(looks), 0), np.float32))
    for camera in sorted(set(looks.camera.tolist())):
        rows = np.flatnonzero(looks.camera == camera)
        for here, picture in frames.at(camera, looks.time[rows]):
            mine = rows[here]
            quality = _qualities(picture, detections, row[mine])
            crops = cut_crops(picture, detections.box[row[mine]])
            good = [number for number, crop in enumerate(crops) if crop.size and np.ptp(crop) > 0]
            crops = [crops[number] for number in good]
            views = bare.take(mine[good]).replace(color=[colour_name(crop) for crop in crops], quality=quality[good])
            seen += len(crops)
            ids.append(gallery.add(views, crops))
    if not seen:
        raise InputError(f"--images {args.images}: no picture shows a box at its time; are cameras and times right?")
    return _told(gallery, gallery_folder_of(gallery), np.concatenate(ids))


def _qualities(picture: np.ndarray, detections: Detections, row: np.ndarray) -> np.ndarray:
    """How well a picture shows the boxes in `row` (N,), among all that were found then: they hide each other."""
    from geoloc.features.crop_quality import view_quality

    known = (detections.camera == detections.camera[row[0]]) & np.isfinite(detections.box).all(axis=1)
    quality = np.zeros(len(row))
    for time in np.unique(detections.time[row]).tolist():
        frame, mine = np.flatnonzero(known & (detections.time == time)), detections.time[row] == time
        quality[mine] = view_quality(picture, detections.box[frame])[np.searchsorted(frame, row[mine])]
    return quality


def gallery_folder_of(gallery: "Gallery") -> Path:
    """Where a gallery in a folder lies."""
    if gallery.folder is None:
        raise InputError("the gallery lies in memory")
    return gallery.folder.path


def _told(gallery: "Gallery", folder: Path, ids: np.ndarray) -> list[str]:
    stay = np.count_nonzero(np.isin(ids, gallery.index.ids()))  # others gave way to better ones that came later
    told = [f"{folder}: {stay:,} of {len(ids):,} views kept; {len(gallery):,} in the gallery"]
    try:
        gallery.calibrate(np.random.default_rng(SEED))
    except InputError as error:
        return [*told, f"{error}; looks are judged as at other sites"]
    return [*told, f"likeness {gallery.judgement.likeness}"]
