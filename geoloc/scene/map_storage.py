"""A site's map as a RFC 7946 GeoJSON file, which any GIS opens.

One feature per surface, stall, zone, occluder, control point, lane and transit, told apart by the property `kind`.
With a datum, coordinates are longitude, latitude (degrees) and ellipsoidal height (m); without one, local metres.
The foreign member `geoloc` says which, and carries the datum and the version of the schema.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely import Polygon

from geoloc.errors import InputError, unknown_name
from geoloc.files import write_whole
from geoloc.geometry.geodesy import Datum
from geoloc.scene import jsonfile
from geoloc.scene.learned import LaneLine, TransitTime
from geoloc.scene.map_coordinates import (
    Heights,
    from_file,
    read_geometry,
    to_file,
    write_geometry,
)
from geoloc.scene.sitemap import ControlPoint, Level, Occluder, Place, SiteMap, Surface

SCHEMA = 1
MAX_PLANE_RESIDUAL = 0.05  # m; vertices farther than this from their plane are no plane
GEODETIC = "longitude, latitude (degrees, WGS84), ellipsoidal height (m)"
LOCAL = "local metres: x east, y north, z up; not longitude and latitude, for the site has no datum"
STATED = ("sigma", "confidence", "source")  # of what was not drawn by hand
LANE_NUMBERS = ("width_sigma", "sigma", "speed", "speed_sigma", "confidence")
# kind of feature: properties that it must have, those that it may have, types of its geometry
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "surface": (("level",), ("plane", "sigma_z"), ("Polygon",)),
    "stall": (("name", "level"), ("use", *STATED), ("Polygon",)),
    "zone": (("name", "level"), ("use", "direction_deg", *STATED), ("Polygon",)),
    "occluder": (
        ("name", "level"),
        ("height",),
        ("LineString", "Polygon", "MultiLineString", "MultiPolygon"),
    ),
    "control_point": (("name",), ("sigma",), ("Point",)),
    "lane": (("name", "level", "width"), (*LANE_NUMBERS, "one_way", "source"), ("LineString",)),
    "transit": (("name", "level", "start", "end", "seconds", "seconds_sigma"), ("n", "source"), ("LineString",)),
}


def load_map(path: str | Path) -> SiteMap:
    """Read a map; InputError names the file, the feature and what to change."""
    path = Path(path)
    document = jsonfile.read_object(path)
    with jsonfile.naming(path):
        return map_from_geojson(document)


def save_map(site_map: SiteMap, path: str | Path) -> None:
    """Write a map, whole or not at all; coordinates come back to better than 1e-6 m."""
    document = geojson_from_map(site_map)
    features = ",\n".join(json.dumps(feature, ensure_ascii=False) for feature in document["features"])
    header = json.dumps(document["geoloc"], ensure_ascii=False)
    text = f'{{"type": "FeatureCollection",\n"geoloc": {header},\n"features": [\n{features}\n]}}\n'
    write_whole(path, text)


def map_from_geojson(document: dict[str, Any]) -> SiteMap:
    """The map in a FeatureCollection of geoloc's schema."""
    if document.get("type") != "FeatureCollection" or "geoloc" not in document:
        raise InputError(
            "is no map of geoloc: it must be a GeoJSON FeatureCollection with a member 'geoloc', such as "
            f'{{"schema": {SCHEMA}, "datum": {{"lat_deg": 49.2, "lon_deg": 16.6, "height": 240}}}}'
        )
    jsonfile.check_keys("the map", document, ("type", "geoloc", "features"), ("bbox", "name", "crs"))
    if "crs" in document and "CRS84" not in str(document["crs"]):
        raise InputError(f"is in the reference system {document['crs']}; save it as GeoJSON of RFC 7946 (CRS84)")
    datum = _datum(jsonfile.mapping("'geoloc'", document["geoloc"]))
    members = jsonfile.sequence("'features'", document["features"])
    features = [_Feature(i, member) for i, member in enumerate(members)]
    levels = _levels([feature for feature in features if feature.kind == "surface"], datum)
    if not levels:
        raise InputError("has no level: add a feature of kind 'surface', with a plane [a, b, c] or heights")
    heights: dict[str, Heights] = {level.name: level.z_extended for level in levels}
    things: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for feature in features:
        if feature.kind != "surface":
            with jsonfile.naming(feature.what):
                things[feature.kind].append(_thing(feature, datum, heights))
    return SiteMap(
        levels=levels,
        datum=datum,
        stalls=tuple(things["stall"]),
        zones=tuple(things["zone"]),
        occluders=tuple(things["occluder"]),
        control_points=tuple(things["control_point"]),
        lanes=tuple(things["lane"]),
        transits=tuple(things["transit"]),
    )


def geojson_from_map(site_map: SiteMap) -> dict[str, Any]:
    """The FeatureCollection of a map: outlines anticlockwise, holes clockwise, heights in every vertex."""
    datum = site_map.datum
    header: dict[str, Any] = {"schema": SCHEMA, "coordinates": LOCAL if datum is None else GEODETIC}
    header["datum"] = None
    if datum is not None:
        header["datum"] = {"lat_deg": datum.lat_deg, "lon_deg": datum.lon_deg, "height": datum.height}
    features = [
        *_surface_features(site_map),
        *(_place_feature("stall", place, site_map) for place in site_map.stalls),
        *(_place_feature("zone", place, site_map) for place in site_map.zones),
        *(_occluder_feature(occluder, site_map) for occluder in site_map.occluders),
        *(_point_feature(point, datum) for point in site_map.control_points),
        *(_lane_feature(lane, site_map) for lane in site_map.lanes),
        *(_transit_feature(transit, site_map) for transit in site_map.transits),
    ]
    return {"type": "FeatureCollection", "geoloc": header, "features": features}


class _Feature:
    """One feature of the file, its keys checked: `what` names it in messages."""

    def __init__(self, index: int, value: object) -> None:
        feature = jsonfile.mapping(f"feature {index}", value)
        jsonfile.check_keys(f"feature {index}", feature, ("type", "geometry", "properties"), ("id", "bbox"))
        properties = jsonfile.mapping(f"properties of feature {index}", feature["properties"])
        # a GIS that saves the file gives every feature every property, null where it had none
        self.properties = {key: value for key, value in properties.items() if value is not None}
        self.kind = str(self.properties.get("kind", ""))
        if self.kind not in KINDS:
            raise unknown_name("kind", self.kind, KINDS, f"feature {index}")
        name = self.properties.get("name", self.properties.get("level", ""))
        self.what = f"feature {index}, {self.kind} {name!r}"
        required, optional, self.types = KINDS[self.kind]
        jsonfile.check_keys(self.what, self.properties, ("kind", *required), optional)
        for key in ("name", "level", "use", "source", "start", "end"):
            if key in self.properties:
                jsonfile.text(f"{self.what}: {key!r}", self.properties[key])
        self.geometry = feature["geometry"]

    def number(self, key: str, default: float) -> float:
        return float(jsonfile.numbers(repr(key), self.properties.get(key, default), ()))

    def triple(self, key: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z = jsonfile.numbers(repr(key), self.properties.get(key, list(default)), (3,)).tolist()
        return x, y, z


def _datum(header: dict[str, Any]) -> Datum | None:
    jsonfile.check_keys("'geoloc'", header, ("schema", "datum"), ("coordinates",))
    jsonfile.check_schema(header, SCHEMA)
    if header["datum"] is None:
        return None
    datum = jsonfile.mapping("'datum'", header["datum"])
    jsonfile.check_keys("'datum'", datum, ("lat_deg", "lon_deg", "height"))
    return Datum(**{key: float(jsonfile.numbers(f"datum's {key}", datum[key], ())) for key in datum})


def _levels(features: list[_Feature], datum: Datum | None) -> tuple[Level, ...]:
    surfaces: dict[str, list[Surface]] = {}
    for feature in features:
        with jsonfile.naming(feature.what):
            surfaces.setdefault(feature.properties["level"], []).append(_surface(feature, datum))
    return tuple(Level(name, tuple(pieces)) for name, pieces in surfaces.items())


def _surface(feature: _Feature, datum: Datum | None) -> Surface:
    sigma_z = feature.number("sigma_z", 0.0)
    plane = feature.triple("plane", (0.0, 0.0, 0.0))
    stated = "plane" in feature.properties
    if stated and feature.geometry is None:
        return Surface(plane, Polygon(), sigma_z)
    outline = read_geometry(feature.geometry, feature.types)
    if not stated and not outline.has_z:
        raise InputError("has neither 'plane' nor heights in its outline; add one of them")
    coordinates = shapely.get_coordinates(outline, include_z=outline.has_z)
    corners = from_file(coordinates, datum, Surface(plane).z_at)
    plane = plane if stated else _fit_plane(corners)
    off = np.abs(Surface(plane).z_at(corners[:, :2]) - corners[:, 2]).max()
    if off > MAX_PLANE_RESIDUAL:
        shown = ", ".join(f"{value:.4g}" for value in plane)
        raise InputError(
            f"its corners lie up to {off:.2f} m off the plane [{shown}], more than {MAX_PLANE_RESIDUAL} m; "
            "split it into flat pieces, or correct the heights or 'plane'"
        )
    return Surface(plane, shapely.set_coordinates(shapely.force_2d(outline), corners[:, :2]), sigma_z)


def _fit_plane(corners: np.ndarray) -> tuple[float, float, float]:
    """Least-squares plane z = a x + b y + c through (N, 3) m."""
    middle = corners.mean(axis=0)
    a, b = np.linalg.lstsq((corners - middle)[:, :2], (corners - middle)[:, 2])[0].tolist()
    return a, b, float(middle[2] - a * middle[0] - b * middle[1])


def _thing(
    feature: _Feature, datum: Datum | None, heights: dict[str, Heights]
) -> Place | Occluder | ControlPoint | LaneLine | TransitTime:
    geometry = read_geometry(feature.geometry, feature.types)
    coordinates = shapely.get_coordinates(geometry, include_z=geometry.has_z)
    name = feature.properties["name"]
    if feature.kind == "control_point":
        if not geometry.has_z:
            raise InputError("has no height; give it three coordinates")
        x, y, z = from_file(coordinates, datum, Surface().z_at)[0].tolist()
        return ControlPoint(name, (x, y, z), feature.triple("sigma", (0.02, 0.02, 0.02)))
    level = feature.properties["level"]
    if level not in heights:
        raise unknown_name("level", level, heights)
    xy = from_file(coordinates, datum, heights[level])[:, :2]
    shape = shapely.set_coordinates(shapely.force_2d(geometry), xy)
    if feature.kind == "occluder":
        return Occluder(name, level, shape, feature.number("height", 3.0))
    source = feature.properties.get("source", "")
    if feature.kind == "lane":
        stated = {key: feature.number(key, 0.0) for key in ("width", *LANE_NUMBERS) if key in feature.properties}
        one_way = feature.properties.get("one_way", True)
        if not isinstance(one_way, bool):
            raise InputError(f"'one_way' is {one_way!r}; it must be true or false")
        return LaneLine(name, level, shape, **stated, one_way=one_way, source=source)
    if feature.kind == "transit":
        start, end = feature.properties["start"], feature.properties["end"]
        seconds, spread, n = (feature.number(key, 0.0) for key in ("seconds", "seconds_sigma", "n"))
        return TransitTime(name, level, shape, start, end, seconds, spread, n, source)
    any_way = "direction_deg" not in feature.properties
    direction = np.nan if any_way else float(np.deg2rad(feature.number("direction_deg", 0.0)))
    sigma, confidence = (
        feature.number(key, 0.0) if key in feature.properties else np.nan for key in ("sigma", "confidence")
    )
    use = feature.properties.get("use", feature.kind)
    return Place(name, level, shape, use, direction, sigma, confidence, source)


def _surface_features(site_map: SiteMap) -> list[dict[str, Any]]:
    features = []
    for level in site_map.levels:
        for surface in level.surfaces:
            outline = None
            if not surface.polygon.is_empty:
                outline = write_geometry(surface.polygon, surface.z_at, site_map.datum)
            plane = [float(value) for value in surface.plane]
            properties = {"level": level.name, "plane": plane, "sigma_z": float(surface.sigma_z)}
            features.append(_feature("surface", outline, properties))
    return features


def _place_feature(kind: str, place: Place, site_map: SiteMap) -> dict[str, Any]:
    outline = write_geometry(place.polygon, site_map.level(place.level).z_extended, site_map.datum)
    properties: dict[str, Any] = {"name": place.name, "level": place.level, "use": place.kind}
    if not np.isnan(place.direction):
        properties["direction_deg"] = float(np.rad2deg(place.direction))  # from east, counter-clockwise
    properties |= _stated(place, ("sigma", "confidence", "source"))
    return _feature(kind, outline, properties)


def _occluder_feature(occluder: Occluder, site_map: SiteMap) -> dict[str, Any]:
    heights = site_map.level(occluder.level).z_extended
    outline = write_geometry(occluder.geometry, heights, site_map.datum)
    properties = {"name": occluder.name, "level": occluder.level, "height": float(occluder.height)}
    return _feature("occluder", outline, properties)


def _lane_feature(lane: LaneLine, site_map: SiteMap) -> dict[str, Any]:
    line = write_geometry(lane.line, site_map.level(lane.level).z_extended, site_map.datum)
    properties: dict[str, Any] = {"name": lane.name, "level": lane.level, "one_way": lane.one_way}
    return _feature("lane", line, properties | _stated(lane, ("width", *LANE_NUMBERS, "source")))


def _transit_feature(transit: TransitTime, site_map: SiteMap) -> dict[str, Any]:
    line = write_geometry(transit.line, site_map.level(transit.level).z_extended, site_map.datum)
    names = ("name", "level", "start", "end", "seconds", "seconds_sigma", "n", "source")
    return _feature("transit", line, _stated(transit, names))


def _stated(thing: Place | LaneLine | TransitTime, names: tuple[str, ...]) -> dict[str, Any]:
    """The properties of these names that say something: no empty text, no NaN."""
    found = {name: getattr(thing, name) for name in names}
    return {
        name: value if isinstance(value, str) else float(value)
        for name, value in found.items()
        if (value if isinstance(value, str) else np.isfinite(value))
    }


def _point_feature(point: ControlPoint, datum: Datum | None) -> dict[str, Any]:
    coordinates = to_file(np.array([point.xyz], float), datum)[0].tolist()
    properties = {"name": point.name, "sigma": [float(value) for value in point.sigma]}
    return _feature("control_point", {"type": "Point", "coordinates": coordinates}, properties)


def _feature(kind: str, geometry: dict[str, Any] | None, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"kind": kind, **properties}, "geometry": geometry}
