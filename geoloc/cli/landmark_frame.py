"""How `geoloc landmarks` brings a model of unknown cameras to the site: control points, GPS, known cameras."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.geometry.geodesy import enu_from_geodetic
from geoloc.io.marks import read_marks
from geoloc.io.picture_fixes import PictureFix, exif_fixes, read_picture_fixes
from geoloc.io.pictures import PICTURES
from geoloc.relocalize.map_frame import MapFrame, align_to
from geoloc.relocalize.ties import camera_ties, fix_ties, point_ties
from geoloc.scene.camera import Camera
from geoloc.scene.marks import Marks
from geoloc.scene.named import named_landmarks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, SiteMap

HELD_SIGMA = 0.3  # m; of the height at which a picture is held
DEGREE = np.pi / 180.0
COMMON = 0.5  # share of the variance of a walk's fixes that they have in common: minutes under one sky, one phone


@dataclass(frozen=True, eq=False)
class Aids:
    """What is known of where pictures were taken: marks at named points, and fixes (m) with their covariances (m²)."""

    marks: Marks
    points: tuple[ControlPoint, ...]
    places: Mapping[str, np.ndarray]
    covs: Mapping[str, np.ndarray]

    @property
    def empty(self) -> bool:
        """Whether nothing is known."""
        return not len(self.marks) and not self.places


NO_AIDS = Aids(Marks(), (), {}, {})


@dataclass(frozen=True, eq=False)
class Brought:
    """What is open of the frame that a model was brought to, and what is told of it."""

    frame: MapFrame = field(default_factory=MapFrame)
    told: Mapping[str, object] = field(default_factory=dict)


def add_alignment(parser: ArgumentParser) -> None:
    """Declare what brings a model to the site."""
    parser.add_argument("--gps", default="", metavar="exif|FILE",
                        help="fixes of the pictures: their EXIF tags, or a CSV of image,lat,lon and alt (ellipsoidal), "
                        "sigma, sigma_alt (m)")  # fmt: skip
    parser.add_argument("--held", type=float, default=1.6, metavar="M",
                        help="height over the ground of pictures whose fix has none (default: 1.6 ± 0.3)")  # fmt: skip
    parser.add_argument("--points", type=Path, metavar="FILE",
                        help="control points, stall and pillar corners marked in pictures: camera,point,u,v; "
                        "camera is the picture's name less its ending")  # fmt: skip


def aids_of(args: Namespace, site: Site, files: Sequence[Path]) -> Aids:
    """What the arguments name, read."""
    marks = Marks()
    points: tuple[ControlPoint, ...] = ()
    if args.points is not None:
        found = read_marks(args.points)
        own = {point.name: point for point in named_landmarks(site.site_map)}
        marks, points = found.marks, tuple(({**own, **{point.name: point for point in found.points}}).values())
    fixes: tuple[PictureFix, ...] = ()
    if args.gps == "exif":
        fixes = exif_fixes([path for path in files if path.suffix.lower() in PICTURES])
        if not fixes:
            raise InputError("--gps exif: none of the pictures states where it was taken; give a CSV")
    elif args.gps:
        fixes, report = read_picture_fixes(args.gps)
        if not fixes:
            raise InputError(f"{args.gps}: no fix in it ({'; '.join(report.left_out()) or 'no rows'})")
    places = _places(fixes, site.site_map, args.held) if fixes else {}
    covs = {fix.name: _cov(fix) for fix in fixes}
    return Aids(marks, points, places, covs)


def _places(fixes: Sequence[PictureFix], site_map: SiteMap, held: float) -> dict[str, np.ndarray]:
    """Where fixes are (3,) m; one without a height is held over the first level of the map there."""
    datum = site_map.require_datum("GPS")
    lat, lon, height = (np.array([getattr(fix, name) for fix in fixes]) for name in ("lat_deg", "lon_deg", "height"))
    known = np.isfinite(height)
    xyz = enu_from_geodetic(datum, lat, lon, np.where(known, height, datum.height))
    ground = site_map.levels[0].z_extended(xyz[:, :2])
    xyz[:, 2] = np.where(known, xyz[:, 2], ground + held)
    far = np.linalg.norm(xyz[:, :2], axis=1).min()
    if far > 20_000:
        raise InputError(f"GPS: the nearest fix is {far / 1000:.0f} km from the site's datum; is it this site's?")
    return {fix.name: place for fix, place in zip(fixes, xyz, strict=True)}


def _cov(fix: PictureFix) -> np.ndarray:
    up = fix.sigma_up if np.isfinite(fix.height) else HELD_SIGMA
    return np.diag(np.square([fix.sigma, fix.sigma, up]))


def bring(found: Sequence[Camera], known: Sequence[Camera], aids: Aids) -> tuple[tuple[Camera, ...], Brought]:
    """A model's cameras in the site's frame, by all that ties it there."""
    cameras = camera_ties(found, known)
    points, notes = point_ties(found, aids.marks, aids.points)
    fixes, shared = fix_ties(found, aids.places, aids.covs, COMMON)
    aligned = align_to(found, [*cameras, *points, *fixes], shared)
    sigma = np.sqrt(np.linalg.eigvalsh(aligned.frame.cov[3:6, 3:6])[-1])
    turn = np.sqrt(np.linalg.eigvalsh(aligned.frame.cov[:3, :3])[-1]) / DEGREE
    told = {
        "cameras": len(cameras), "points": len(points), "fixes": len(fixes), "sigma_m": round(float(sigma), 4),
        "turn_sigma_deg": round(float(turn), 4), "contradicted": list(aligned.left_out), "notes": list(notes),
        "off_m": {name: round(float(np.linalg.norm(off)), 4) for name, off in aligned.off.items()},
    }  # fmt: skip
    return aligned.cameras, Brought(aligned.frame, told)
