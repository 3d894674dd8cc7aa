"""Stalls that are proposed for a map, as GeoJSON of the map's own form: each with how likely and how sure it is.

The file holds the levels of the map, so that it can be drawn on its own, and a stall a feature, whose properties
`confidence` (0 to 1) and `sigma` (m, of its worst corner) a map itself does not have.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geoloc.errors import InputError
from geoloc.files import write_whole
from geoloc.scene import jsonfile
from geoloc.scene.map_storage import geojson_from_map, map_from_geojson
from geoloc.scene.sitemap import Place, SiteMap

EXTRA = ("confidence", "sigma")


@dataclass(frozen=True, eq=False)
class ProposedPlace:
    """A stall as it would stand on the map, how likely (0 to 1) it is one, and the sigma (m) of its worst corner."""

    place: Place
    confidence: float
    sigma: float


def save_proposals(site_map: SiteMap, proposed: Sequence[ProposedPlace], path: Path | str) -> None:
    """Write proposals for a map, whole or not at all."""
    bare = replace(site_map, stalls=tuple(each.place for each in proposed), zones=(), occluders=(), control_points=())
    document = geojson_from_map(bare)
    stalls = [feature for feature in document["features"] if feature["properties"]["kind"] == "stall"]
    for feature, each in zip(stalls, proposed, strict=True):
        feature["properties"] |= {"confidence": round(each.confidence, 4), "sigma": round(each.sigma, 4)}
    features = ",\n".join(json.dumps(feature, ensure_ascii=False) for feature in document["features"])
    header = json.dumps(document["geoloc"], ensure_ascii=False)
    write_whole(path, f'{{"type": "FeatureCollection",\n"geoloc": {header},\n"features": [\n{features}\n]}}\n')


def load_proposals(path: Path | str, site_map: SiteMap) -> tuple[ProposedPlace, ...]:
    """Read proposals; those of another map's levels, and what is no proposal, are refused with what to do."""
    path = Path(path)
    document = jsonfile.read_object(path)
    with jsonfile.naming(path):
        extras = []
        for number, feature in enumerate(jsonfile.sequence("'features'", document.get("features"))):
            properties = jsonfile.mapping(f"feature {number}", feature).get("properties")
            properties = jsonfile.mapping(f"properties of feature {number}", properties)
            values = {key: properties.pop(key) for key in EXTRA if key in properties}
            if properties.get("kind") == "stall":
                extras.append(_extra(number, values))
        found = map_from_geojson(document)
        if found.datum != site_map.datum:
            raise InputError("is for a map with another datum; make the proposals anew of this site")
        for place in found.stalls:
            site_map.level(place.level)
    return tuple(ProposedPlace(place, *extra) for place, extra in zip(found.stalls, extras, strict=True))


def _extra(number: int, values: dict[str, Any]) -> tuple[float, float]:
    numbers = [float(jsonfile.numbers(f"{key} of feature {number}", values.get(key), ())) for key in EXTRA]
    if not (0 <= numbers[0] <= 1 and numbers[1] >= 0):
        raise InputError(f"feature {number}: confidence {numbers[0]}, sigma {numbers[1]} m; give 0 to 1, and >= 0")
    return numbers[0], numbers[1]


def accepted(site_map: SiteMap, place: Place) -> SiteMap:
    """The map with a proposed stall; InputError where a stall of that name, or on that spot, is there already."""
    if any(stall.name == place.name for stall in site_map.stalls):
        raise InputError(f"the map has a stall {place.name!r} already; give the new one another name")
    for stall in site_map.stalls:
        if stall.level == place.level and stall.polygon.intersection(place.polygon).area > 0.5 * place.polygon.area:
            raise InputError(f"stall {place.name!r} would lie on stall {stall.name!r}; reject one of them")
    return replace(site_map, stalls=(*site_map.stalls, place))
