"""Site plans: points and lines of a floor plan in DXF or GeoJSON, as control points and occluders.

A plan in metres lies on the site as it stands; one in degrees or a grid (`PointOptions.crs`) is placed by the
site's datum. Points take their names from the file (a block's attribute, a text beside the point, a property).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely import Geometry, LineString, Point, Polygon

from geoloc.errors import InputError, unknown_name
from geoloc.files import parse_json, read_text
from geoloc.io.cells import Cells
from geoloc.io.dxf import dxf_items
from geoloc.io.plan_items import PlanItem
from geoloc.io.references import DEGREES, METRES, PointOptions, named_crs, place_checks, world_points
from geoloc.io.rows import ReadReport
from geoloc.scene.sitemap import ControlPoint, Occluder

STANDS = r"wall|w[aä]nd|mauer|mur|pillar|column|s[aä]ule|st[uü]tze|pfeiler|fence|zaun|occluder|a-cols"
USUAL = (0.1, 0.1)  # m, across and in height: a plan is drawn to scale, not surveyed
NAMED = ("name", "id", "label", "point", "title")


@dataclass(frozen=True, eq=False)
class PlanLine:
    """A line or outline of a plan in ENU m, and the layer on which it was drawn."""

    layer: str
    geometry: Geometry


@dataclass(frozen=True, eq=False)
class SitePlan:
    """What a plan holds: control points, lines, and the report on its reading."""

    points: tuple[ControlPoint, ...]
    lines: tuple[PlanLine, ...]
    report: ReadReport

    def occluders(self, level: str, layers: str = STANDS, height: float = 3.0) -> tuple[Occluder, ...]:
        """Lines of layers whose name matches the pattern `layers` as walls and pillars of a level, `height` m high."""
        standing = [line for line in self.lines if re.search(layers, line.layer, re.IGNORECASE)]
        names = [f"{line.layer} {i}" for i, line in enumerate(standing, 1)]
        pairs = zip(names, standing, strict=True)
        return tuple(Occluder(name, level, line.geometry, height) for name, line in pairs if line.geometry.is_valid)


def read_plan(path: Path | str, options: PointOptions | None = None) -> SitePlan:
    """Read a site plan by its ending: .dxf (needs the extra `plans`), .geojson or .json."""
    options = options or PointOptions()
    ending = Path(path).suffix.lower()
    if ending not in FORMS:
        raise unknown_name("ending of a site plan", ending, FORMS)
    items, crs, unit_m, notes = FORMS[ending](path, options)
    crs = named_crs(options.crs) or crs
    options = replace(options, unit_m=options.unit_m or unit_m)
    points, report = _points_of([item for item in items if isinstance(item.geometry, Point)], crs, options, path)
    lines, lost = _lines_of([item for item in items if not isinstance(item.geometry, Point)], crs, options, path)
    notes += [f"{lost} lines are in no place of this site and are left out"] if lost else []
    notes += [f"{len(lines)} lines on {len({line.layer for line in lines})} layers"]
    return SitePlan(points, lines, replace(report, notes=(*report.notes, *notes), kind=ending[1:]))


Read = tuple[list[PlanItem], str, float, list[str]]


def _points_of(
    items: list[PlanItem], crs: str, options: PointOptions, path: Path | str
) -> tuple[tuple[ControlPoint, ...], ReadReport]:
    cells = Cells(path, ("name",), [[item.name] for item in items], [item.number for item in items])
    coordinates = np.array([_xyz(item) for item in items]).reshape(-1, 3)
    points = world_points(coordinates, crs, options, path)
    usual = options.sigmas(*USUAL)
    sigma = np.array([usual if item.sigma is None else item.sigma for item in items]).reshape(-1, 3)
    name = np.char.strip(cells.text("name"))
    keep = cells.usable(("no name", name == ""), *place_checks(coordinates, points, crs, options).items())
    keep &= cells.usable(("a name for the second time", _repeated(name, keep)))
    rows = np.flatnonzero(keep).tolist()
    found = tuple(ControlPoint(str(name[i]), tuple(points[i].tolist()), tuple(sigma[i].tolist())) for i in rows)
    report = replace(cells.report("plan", len(found), "control points"), unit="item", notes=())
    stated = all(item.sigma is not None for item in items)
    notes = () if stated else (f"states no sigma: {usual[0]:g} m across and {usual[2]:g} m in height are taken",)
    return found, replace(report, notes=notes)


def _xyz(item: PlanItem) -> list[float]:
    x, y = item.geometry.x, item.geometry.y
    return [x, y, item.geometry.z if item.geometry.has_z and item.has_height else np.nan]


def _repeated(names: np.ndarray, keep: np.ndarray) -> np.ndarray:
    first = {name: row for row, name in reversed(list(enumerate(names.tolist()))) if keep[row]}
    return np.array([keep[row] and first[name] != row for row, name in enumerate(names.tolist())], dtype=bool)


def _lines_of(
    items: list[PlanItem], crs: str, options: PointOptions, path: Path | str
) -> tuple[tuple[PlanLine, ...], int]:
    lines, lost = [], 0
    for item in items:
        flat = shapely.force_2d(item.geometry)
        xy = shapely.get_coordinates(flat)
        coordinates = np.column_stack([xy, np.full(len(xy), np.nan)])
        points = world_points(coordinates, crs, options, path)
        if any(bad.any() for bad in place_checks(coordinates, points, crs, options).values()):
            lost += 1
        else:
            lines.append(PlanLine(item.layer, shapely.set_coordinates(flat, points[:, :2])))
    return tuple(lines), lost


def _read_dxf(path: Path | str, options: PointOptions) -> Read:
    items, unit_m = dxf_items(path)
    notes = []
    if not unit_m and not options.unit_m and not options.crs:
        raise InputError(f"{path}: the drawing does not say its unit; give unit_m, such as 0.001 for millimetres")
    if unit_m and unit_m != 1.0 and not options.unit_m:
        notes.append(f"its unit is {unit_m:g} m")
    return items, METRES, unit_m, notes


def _read_geojson(path: Path | str, options: PointOptions) -> Read:
    document = parse_json(read_text(path), path, finite=True)
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise InputError(f"{path}: is no GeoJSON FeatureCollection; it must have a list 'features'")
    local = options.site_map.datum is None or _is_local(document)
    crs = METRES if local else DEGREES
    named = document.get("crs")
    if isinstance(named, dict) and isinstance(named.get("properties"), dict):
        code = re.search(r"EPSG:+(\d+)", str(named["properties"].get("name", "")))
        crs = named_crs(f"EPSG:{code[1]}") if code else crs
    items: list[PlanItem] = []
    broken = 0
    for number, feature in enumerate(features, 1):
        found = _feature_items(number, feature)
        broken += found is None
        items += found or []
    return items, crs, 0.0, [f"{broken} features have no geometry that can be read"] if broken else []


def _is_local(document: dict[str, Any]) -> bool:
    """Whether a map of geoloc itself says that it has no datum."""
    own = document.get("geoloc")
    return isinstance(own, dict) and "datum" in own and own["datum"] is None


def _feature_items(number: int, feature: Any) -> list[PlanItem] | None:
    if not isinstance(feature, dict):
        return None
    properties = feature.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    geometry = _shape(feature.get("geometry"))
    if geometry is None:
        return None
    name = next((str(properties[key]) for key in NAMED if properties.get(key) not in (None, "")), "")
    layer = next((str(properties[key]) for key in ("layer", "Layer", "kind", "class") if properties.get(key)), "")
    sigma = _sigma(properties.get("sigma"))
    parts = [part for part in shapely.get_parts(geometry) if isinstance(part, (Point, LineString, Polygon))]
    return [
        PlanItem(number, name if len(parts) == 1 else f"{name}-{i}" if name else "", layer or name, part, sigma)
        for i, part in enumerate(parts, 1)
    ]


def _shape(value: Any) -> Geometry | None:
    try:
        geometry = shapely.geometry.shape(value)
    except (shapely.errors.ShapelyError, AttributeError, KeyError, TypeError, ValueError, IndexError):
        return None
    coordinates = shapely.get_coordinates(geometry)
    return geometry if len(coordinates) and np.isfinite(coordinates).all() else None


def _sigma(value: Any) -> tuple[float, float, float] | None:
    """One number or three (m) as a standard deviation per axis; None where there is none that can be used."""
    triple = [value] * 3 if isinstance(value, (int, float)) else value
    good = isinstance(triple, list) and len(triple) == 3
    if not good or not all(isinstance(part, (int, float)) and 0 <= part < np.inf for part in triple):
        return None
    x, y, z = map(float, triple)
    return x, y, z


FORMS: dict[str, Callable[[Path | str, PointOptions], Read]] = {
    ".dxf": _read_dxf,
    ".geojson": _read_geojson,
    ".json": _read_geojson,
}
