"""Tracks as GeoParquet 1.1: a point a state with the columns of `state_columns`; a row group a piece.

Geometry is WKB, longitude, latitude (degrees) and ellipsoidal height (m), OGC:CRS84 (the form's default).
"""

import json
from pathlib import Path

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.io.track_columns import state_columns
from geoloc.io.track_geojson import heights
from geoloc.io.track_gpkg import on_earth
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_pieces import Recording
from geoloc.scene.tables import Tracks

GEO = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Point Z"]}},
}


def write_parquet(path: Path, recording: Recording, options: WriteOptions) -> None:
    """Write the table, a piece at a time; InputError without a datum or pyarrow."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise InputError("GeoParquet needs pyarrow: pip install geoloc[parquet]") from error
    datum = recording.site.site_map.require_datum("GeoParquet")
    none = state_columns(Tracks(), np.zeros(0), options.probability)
    types = {"i": pa.int64(), "f": pa.float64(), "U": pa.string()}
    fields = [pa.field(name, types[values.dtype.kind]) for name, values in none.items()]
    schema = pa.schema([*fields, pa.field("geometry", pa.binary())], metadata={"geo": json.dumps(GEO)})
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for tracks in recording.pieces:
            z = heights(tracks, recording.site.site_map)
            places = shapely.points(on_earth(datum, np.column_stack([tracks.xy, z])))
            columns = {k: v.tolist() for k, v in state_columns(tracks, z, options.probability).items()}
            columns["geometry"] = shapely.to_wkb(places, byte_order=1, flavor="iso").tolist()
            writer.write_table(pa.table(columns, schema=schema))
