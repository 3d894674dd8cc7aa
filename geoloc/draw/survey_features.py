"""Lines, arrows and crossings of a survey as GeoJSON features, in the coordinates that the site's map file has."""

from typing import Any

import numpy as np
from shapely import LineString

from geoloc.perception.survey import LevelSurvey
from geoloc.scene.map_coordinates import write_geometry
from geoloc.scene.site import Site


def line_features(found: LevelSurvey, site: Site) -> list[dict[str, Any]]:
    """A feature each: of a line its width and how it was seen, of an arrow its direction, of a crossing its stripes."""
    level = site.site_map.level(found.mosaic.sheet.level)
    features = []
    for line in found.lines:
        said = {
            "kind": line.kind, "level": line.level, "camera": line.camera, "width": round(line.width, 3),
            "length": round(line.length, 3), "covered": round(line.covered, 3),
            "sigma": round(line.sigma(site.camera(line.camera), level), 4),
        }  # fmt: skip
        features.append(_feature(LineString(line.ends), said, level.z_extended, site))
    for arrow in found.arrows:
        ends = np.array([2 * arrow.middle - arrow.tip, arrow.tip])
        said = {
            "kind": "arrow", "level": arrow.level, "direction_deg": round(float(np.degrees(arrow.direction)), 2),
            "length": round(arrow.length, 3), "score": round(arrow.score, 3), "sigma": round(arrow.sigma, 4),
        }  # fmt: skip
        features.append(_feature(LineString(ends), said, level.z_extended, site))
    for crossing in found.crossings:
        said = {"kind": "crossing", "level": crossing.level, "stripes": crossing.n_stripes}
        said["pitch"] = round(crossing.pitch, 3)
        features.append(_feature(crossing.outline, said, level.z_extended, site))
    return features


def _feature(geometry: Any, properties: dict[str, Any], heights: Any, site: Site) -> dict[str, Any]:
    placed = write_geometry(geometry, heights, site.site_map.datum)
    return {"type": "Feature", "properties": properties, "geometry": placed}
