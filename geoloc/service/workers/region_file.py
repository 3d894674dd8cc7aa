"""`regions/SITE.json`: how a site is cut into regions, made by `geoloc regions` or by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import shapely

from geoloc.errors import InputError
from geoloc.files import write_whole
from geoloc.pipeline.regions import Region
from geoloc.scene import jsonfile
from geoloc.scene.site import Site
from geoloc.service.serve.bridges.jetstream import SiteStreams
from geoloc.service.serve.bridges.options import NatsOptions
from geoloc.service.workers.held import TracksStream

if TYPE_CHECKING:
    from nats.js import JetStreamContext

SCHEMA = 1
BETWEEN = "--"  # a site's name and a region's: the name of the region's own streams


def region_path(root: Path, site: str) -> Path:
    """Where a site's regions are."""
    return root / "regions" / f"{site}.json"


def region_name(site: str, region: Region) -> str:
    """What a region is called where sites are."""
    return f"{site}{BETWEEN}{region.name}"


def region_site(site: Site, region: Region) -> Site:
    """A region as a site of its own."""
    return replace(region.site(site), name=region_name(site.name, region))


def seam_stream(js: "JetStreamContext", options: NatsOptions, site: str, regions: tuple[Region, ...]) -> TracksStream:
    """The one stream of all regions' tracks, in whose order the seam reads them, and of its own notes."""
    whole = SiteStreams(js, options, site)
    parts = [SiteStreams(js, options, region_name(site, one)) for one in regions]
    return TracksStream(f"{whole.stem}-SEAM", (f"{whole.top}.seam", *(f"{part.top}.tracks" for part in parts)))


def write_regions(regions: tuple[Region, ...], path: Path) -> None:
    """Write them, whole or not at all."""
    listed = [
        {"name": one.name, "cameras": list(one.cameras), "area": shapely.get_coordinates(one.area).tolist()}
        for one in regions
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({"schema": SCHEMA, "regions": listed}, indent=1) + "\n")


def read_regions(path: Path, site: Site) -> tuple[Region, ...]:
    """The regions of a site; InputError names what is wrong."""
    document = jsonfile.read_object(path)
    with jsonfile.naming(path):
        jsonfile.check_keys("the file", document, ("schema", "regions"))
        jsonfile.check_schema(document, SCHEMA)
        found = tuple(_region(one, site) for one in jsonfile.sequence("regions", document["regions"]))
        if len({one.name for one in found}) < len(found) or not found:
            raise InputError("needs regions, each with a name of its own")
        if missing := set(site.camera_index) - {name for one in found for name in one.cameras}:
            raise InputError(f"camera {min(missing)!r} is in no region; add it to one")
        return found


def _region(given: object, site: Site) -> Region:
    one = jsonfile.mapping("a region", given)
    jsonfile.check_keys("a region", one, ("name", "cameras", "area"))
    name = jsonfile.text("'name'", one["name"])
    if not name.isalnum():
        raise InputError(f"region {name[:40]!r}: its name must be letters and digits")
    names = [jsonfile.text("a camera", each) for each in jsonfile.sequence("cameras", one["cameras"])]
    cameras = [site.camera(each).name for each in names]
    corners = [jsonfile.numbers("a corner", each, (2,)) for each in jsonfile.sequence("area", one["area"])]
    if len(corners) < 3 or not (area := shapely.Polygon(corners)).is_valid:
        raise InputError(f"region {name!r}: its area is no polygon")
    return Region(name, area, tuple(sorted(set(cameras))))
