"""Tracks as KML 2.2 with gx:Track, as Google Earth plays them; KMZ is the same, packed.

A folder of cameras (points), one of stalls (outlines), then a placemark a track: `when` and `gx:coord` (longitude,
latitude in degrees, WGS84, m above the terrain: the height of the level over the map's datum), and for each moment
level, state, level_probability, sigma_m, ellipse_major_m, ellipse_minor_m and ellipse_azimuth_deg (as in GeoJSON).
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import shapely

from geoloc.geometry.geodesy import Datum, geodetic_from_enu
from geoloc.io.track_columns import state_measures
from geoloc.io.track_geojson import DEGREE_DIGITS, METRE_DIGITS, heights, utc_text
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_pieces import Recording, each_track
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

NUMBERS = ("level_probability", "sigma_m", "ellipse_major_m", "ellipse_minor_m", "ellipse_azimuth_deg")
TEXTS = ("level", "state")
FORBIDDEN = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF))  # that no XML may hold


def kml_lines(recording: Recording, options: WriteOptions) -> Iterator[str]:
    """The document, a track at a time; InputError without a datum."""
    site = recording.site
    datum = site.site_map.require_datum("KML")
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2" '
    yield f'xmlns:gx="http://www.google.com/kml/ext/2.2"><Document><name>{_text(site.name)}</name>\n{_schema()}\n'
    yield from _cameras(site, datum)
    yield from _stalls(site, datum)
    yield "<Folder><name>tracks</name>\n"
    for tracks in recording.pieces:
        z = heights(tracks, site.site_map)
        places = _places(datum, np.column_stack([tracks.xy, z]))
        measures = state_measures(tracks, z, options.probability)
        numbers = {"level_probability": tracks.level_probability, **measures}
        for rows in each_track(tracks):
            yield from _track(tracks.take(rows), places[rows], {name: numbers[name][rows] for name in NUMBERS})
    yield "</Folder>\n</Document></kml>\n"


def write_kmz(path: Path, recording: Recording, options: WriteOptions) -> None:
    """`kml_lines` as doc.kml in a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        inside = zipfile.ZipInfo("doc.kml")  # of 1980: the same recording gives the same bytes
        inside.compress_type = zipfile.ZIP_DEFLATED
        with packed.open(inside, "w", force_zip64=True) as file:
            for part in kml_lines(recording, options):
                file.write(part.encode("utf-8"))


def _track(track: Tracks, places: np.ndarray, numbers: dict[str, np.ndarray]) -> Iterator[str]:
    name = " ".join(part for part in (str(track.label[-1]), str(track.track[0])) if part)
    yield f"<Placemark><name>{_text(name)}</name><gx:Track><altitudeMode>relativeToGround</altitudeMode>\n"
    yield from (f"<when>{utc_text(time)}</when>\n" for time in track.time.tolist())
    yield from (f"<gx:coord>{place}</gx:coord>\n" for place in places)
    yield '<ExtendedData><SchemaData schemaUrl="#state">\n'
    for name, values in (("level", track.level), ("state", track.state)):
        yield _array(name, [_text(value) for value in values.tolist()])
    for name in NUMBERS:
        yield _array(name, [f"{value:.{METRE_DIGITS}f}" for value in numbers[name].tolist()])
    yield "</SchemaData></ExtendedData></gx:Track></Placemark>\n"


def _array(name: str, values: list[str]) -> str:
    inside = "".join(f"<gx:value>{value}</gx:value>" for value in values)
    return f"<gx:SimpleArrayData name={quoteattr(name)}>{inside}</gx:SimpleArrayData>\n"


def _schema() -> str:
    fields = [f'<gx:SimpleArrayField name="{name}" type="string"/>' for name in TEXTS]
    fields += [f'<gx:SimpleArrayField name="{name}" type="float"/>' for name in NUMBERS]
    return f'<Schema id="state" name="state">{"".join(fields)}</Schema>'


def _cameras(site: Site, datum: Datum) -> Iterator[str]:
    yield "<Folder><name>cameras</name>\n"
    for camera in site.cameras:
        if not camera.is_homography:  # it has no place
            (place,) = _places(datum, camera.centre_world[None], ",")
            yield f"<Placemark><name>{_text(camera.name)}</name><Point><altitudeMode>relativeToGround</altitudeMode>"
            yield f"<coordinates>{place}</coordinates></Point></Placemark>\n"
    yield "</Folder>\n"


def _stalls(site: Site, datum: Datum) -> Iterator[str]:
    yield "<Folder><name>stalls</name>\n"
    for stall in site.site_map.stalls:
        xy = shapely.get_coordinates(stall.polygon.exterior)
        z = site.site_map.level(stall.level).z_extended(xy)
        ring = " ".join(_places(datum, np.column_stack([xy, z]), ","))
        yield f"<Placemark><name>{_text(stall.name)}</name><description>level {_text(stall.level)}</description>"
        yield "<Polygon><altitudeMode>relativeToGround</altitudeMode><outerBoundaryIs><LinearRing>"
        yield f"<coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark>\n"
    yield "</Folder>\n"


def _places(datum: Datum, enu: np.ndarray, separator: str = " ") -> np.ndarray:
    """Longitude, latitude, height over the datum of points (N, 3) m as text (N,)."""
    lat, lon, height = geodetic_from_enu(datum, enu)
    up = height - datum.height
    rows = zip(lon.tolist(), lat.tolist(), up.tolist(), strict=True)
    digits = DEGREE_DIGITS
    return np.array([f"{a:.{digits}f}{separator}{b:.{digits}f}{separator}{c:.3f}" for a, b, c in rows], object)


def _text(value: str) -> str:
    return escape(str(value).translate(FORBIDDEN))
