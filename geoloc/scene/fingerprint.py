"""Which site is it? A hash of what its files say, so that a stored state is not continued on another one."""

import hashlib
import json

from geoloc.scene.map_storage import geojson_from_map
from geoloc.scene.site import Site
from geoloc.scene.storage import cameras_text


def site_fingerprint(site: Site) -> str:
    """Twelve hexadecimal digits that change with the site's name, map or any camera."""
    document = json.dumps(geojson_from_map(site.site_map), sort_keys=True)
    return _digest(f"{site.name}\n{document}\n{cameras_text(site.cameras)}")


def calibration_fingerprint(site: Site) -> str:
    """Twelve hexadecimal digits that change with any camera: which calibration positions were made with."""
    return _digest(cameras_text(site.cameras))


def map_fingerprint(site: Site) -> str:
    """Twelve hexadecimal digits that change with the map."""
    return _digest(json.dumps(geojson_from_map(site.site_map), sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]
