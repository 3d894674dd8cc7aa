"""Footprints of cameras as GeoJSON (RFC 7946): a feature a camera and level; longitude first, WGS84, heights in m.

Properties: camera, level, area_m2, range_m (how far from the camera its ground counts).
"""

import json
from pathlib import Path

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.files import write_whole
from geoloc.scene import jsonfile
from geoloc.scene.footprint import Footprint, footprints
from geoloc.scene.map_coordinates import from_file, read_geometry, write_geometry
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap


def write_footprints(path: Path | str, site: Site, range_m: float = 80.0) -> tuple[Footprint, ...]:
    """Write what each camera sees of each level, within `range_m` metres; InputError without a datum."""
    if not 0 < range_m < np.inf:
        raise InputError(f"range_m {range_m}: it must be positive metres")
    datum = site.site_map.require_datum("a GeoJSON of footprints")
    found = footprints(site, range_m)
    features = []
    for one in found:
        properties = {"camera": one.camera, "level": one.level, "area_m2": round(one.area.area, 3), "range_m": range_m}
        geometry = write_geometry(one.area, site.site_map.level(one.level).z_extended, datum)
        features.append(
            json.dumps({"type": "Feature", "properties": properties, "geometry": geometry}, allow_nan=False)
        )
    rows = ",\n".join(features)
    write_whole(path, f'{{"type": "FeatureCollection", "features": [\n{rows}\n]}}\n')
    return found


def read_footprints(path: Path | str, site_map: SiteMap) -> tuple[Footprint, ...]:
    """Footprints in metres of the site; what is no polygon of a camera on a level of the map is refused by its row."""
    document = jsonfile.read_object(Path(path))
    with jsonfile.naming(path):
        datum = site_map.require_datum("a GeoJSON of footprints")
        found = []
        for i, item in enumerate(jsonfile.sequence("'features'", document.get("features"))):
            with jsonfile.naming(f"feature {i}"):
                feature = jsonfile.mapping("it", item)
                properties = jsonfile.mapping("'properties'", feature.get("properties"))
                level = site_map.level(jsonfile.text("'level'", properties.get("level")))
                geometry = read_geometry(feature.get("geometry"), ("Polygon", "MultiPolygon"))
                corners = shapely.get_coordinates(geometry, include_z=geometry.has_z)
                xy = from_file(corners, datum, level.z_extended)[:, :2]
                area = shapely.set_coordinates(shapely.force_2d(geometry), xy)
                found.append(Footprint(jsonfile.text("'camera'", properties.get("camera")), level.name, area))
        return tuple(found)
