"""Stalls at the end of a recording for parking systems: APDS occupancy and NGSI-LD ParkingSpot.

APDS 4 (ISO TS 5206-1): an array of the site as a place and an element for each level that has stalls, with `supply`
their number and `demandTable` the count of those taken. NGSI-LD: a ParkingSpot of the Smart Data Models for each
stall, normalized, with `status` (occupied, free, or unknown where no camera sees it) at the time it was observed, and
of a stall that is taken the sigma of the object's place as `accuracy` of the status, in m.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.geometry.geodesy import geodetic_from_enu
from geoloc.io.stall_states import StallState, stall_states
from geoloc.io.track_geojson import DEGREE_DIGITS, METRE_DIGITS, utc_text
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_pieces import Recording
from geoloc.scene.sitemap import SiteMap

CONTEXT = [
    "https://raw.githubusercontent.com/smart-data-models/dataModel.Parking/master/context.jsonld",
    "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld",
]


def apds_lines(recording: Recording, options: WriteOptions) -> Iterator[str]:
    """A JSON array of the place and its levels; InputError for a map without stalls."""
    states = _states(recording, options)
    name = recording.site.name
    of_level: dict[str, list[StallState]] = {}
    for one in states:
        of_level.setdefault(one.stall.level, []).append(one)
    place = _element(name, name, "parkingPlace", states)
    place |= {"timeZone": "Etc/UTC", "childIds": [_reference(f"{name}/{level}") for level in of_level]}
    below = [
        _element(f"{name}/{level}", level, "subplaceElement", mine) | {"layer": 1, "parentId": _reference(name)}
        for level, mine in of_level.items()
    ]
    yield json.dumps([place, *below], ensure_ascii=False, indent=1) + "\n"


def ngsi_lines(recording: Recording, options: WriteOptions) -> Iterator[str]:
    """A JSON array of entities, a stall each; InputError for a map without stalls or without a datum."""
    entities = [_spot(one, recording.site.name, recording.site.site_map) for one in _states(recording, options)]
    yield json.dumps(entities, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _states(recording: Recording, options: WriteOptions) -> tuple[StallState, ...]:
    if not recording.site.site_map.stalls:
        raise InputError(f"site {recording.site.name!r}: its map has no stalls, so there is no occupancy to tell")
    return stall_states(recording, options.stall_s)


def _element(identity: str, name: str, kind: str, states: Sequence[StallState]) -> dict[str, Any]:
    """An element of the hierarchy with its supply and demand."""
    taken, when = sum(one.status == "occupied" for one in states), utc_text(states[0].time)
    demand = {
        "occupancyCalculation": "counted",
        "count": taken,
        "percentage": round(100.0 * taken / len(states), 2),
        "recordDateTime": when,
    }
    return {
        "id": identity,
        "version": 1,
        "name": [{"language": "en", "string": name}],
        "layer": 0,
        "type": kind,
        "hierarchyElementRecord": {"creationTime": when},
        "hierarchyElementReference": {
            "elementId": _reference(identity),
            "supply": [{"supplyViewType": "spaceView", "supplyQuantity": len(states)}],
            "demandTable": [{"timestamp": when, "demandType": [demand]}],
        },
    }


def _reference(identity: str) -> dict[str, Any]:
    return {"id": identity, "version": 1}


def _spot(one: StallState, site: str, site_map: SiteMap) -> dict[str, Any]:
    middle = shapely.get_coordinates(one.stall.polygon.centroid)
    z = site_map.level(one.stall.level).z_extended(middle)
    lat, lon, _ = geodetic_from_enu(site_map.require_datum("NGSI-LD"), np.column_stack([middle, z]))
    place = [round(float(lon[0]), DEGREE_DIGITS), round(float(lat[0]), DEGREE_DIGITS)]
    when = utc_text(one.time)
    status: dict[str, Any] = {"type": "Property", "value": one.status, "observedAt": when}
    if one.status == "occupied":
        status["accuracy"] = {"type": "Property", "value": round(one.sigma, METRE_DIGITS), "unitCode": "MTR"}
        status["track"] = {"type": "Property", "value": one.track}
    return {
        "id": _urn("ParkingSpot", site, one.stall.name),
        "type": "ParkingSpot",
        "name": {"type": "Property", "value": one.stall.name},
        "category": {"type": "Property", "value": ["offStreet"]},
        "status": status,
        "level": {"type": "Property", "value": one.stall.level},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": place}},
        "refParkingSite": {"type": "Relationship", "object": _urn("OffStreetParking", site)},
        "@context": CONTEXT,
    }


def _urn(kind: str, *names: str) -> str:
    """An NGSI-LD identifier; what may not stand in one becomes %XX of its UTF-8."""
    safe = [re.sub(r"[^\w.~-]", lambda m: "".join(f"%{b:02X}" for b in m[0].encode()), n, flags=re.A) for n in names]
    return ":".join(("urn:ngsi-ld", kind, *safe))
