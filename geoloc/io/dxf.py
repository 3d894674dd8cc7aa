"""Points and lines of a DXF drawing, by ezdxf (the extra `plans`)."""

from pathlib import Path
from typing import Any

import numpy as np
from shapely import LineString, Point, Polygon

from geoloc.errors import InputError
from geoloc.files import read_bytes
from geoloc.io.plan_items import PlanItem

# $INSUNITS -> m: inch, foot, mile, mm, cm, m, km, ..., yard, decimetre
UNITS = {1: 0.0254, 2: 0.3048, 3: 1609.344, 4: 0.001, 5: 0.01, 6: 1.0, 7: 1000.0, 10: 0.9144, 14: 0.1}
CURVES = ("LINE", "LWPOLYLINE", "POLYLINE", "ARC", "CIRCLE", "ELLIPSE", "SPLINE")
FLATTEN = 0.01  # m by which a curve's chords may be off it
REACH = 2.0  # m from a point to the text that names it
NAMING = ("NAME", "NR", "NO", "ID", "POINT", "PUNKT", "PKT", "PNR", "NUMBER")  # attributes of a block that name it


def dxf_items(path: Path | str) -> tuple[list[PlanItem], float]:
    """Points and lines of a drawing's model space, and the metres in its unit (0: it does not say).

    A point with z = 0 has no height: drawings are mostly flat.
    """
    drawing = _open(path)
    unit_m = UNITS.get(int(drawing.header.get("$INSUNITS", 0)), 0.0)
    scale = unit_m or 1.0
    texts: list[tuple[str, np.ndarray]] = []
    items: list[PlanItem] = []
    for number, entity in enumerate(drawing.modelspace(), 1):
        kind, layer = entity.dxftype(), str(entity.dxf.layer)
        if kind in ("TEXT", "MTEXT"):
            words = entity.plain_text() if kind == "MTEXT" else str(entity.dxf.text)
            texts.append((words.strip(), np.array(entity.dxf.insert)[:2]))
        elif kind == "POINT":
            items.append(_point(number, "", layer, np.array(entity.dxf.location)))
        elif kind == "INSERT":
            items.append(_point(number, _attribute(entity), layer, np.array(entity.dxf.insert)))
        elif kind in CURVES:
            items += _line(number, layer, entity, scale)
    return [_named(item, texts, REACH / scale) for item in items], unit_m


def _open(path: Path | str) -> Any:
    try:
        import ezdxf
        from ezdxf import recover
    except ImportError as error:
        raise InputError(f"{path}: drawings need ezdxf; pip install 'geoloc[plans]'") from error
    read_bytes(path)  # a file that is not there is told as everywhere
    try:
        drawing, audit = recover.readfile(str(path))
    except (OSError, ezdxf.DXFError) as error:
        raise InputError(f"{path}: no DXF drawing that can be read ({error})") from error
    if audit.has_errors:
        raise InputError(f"{path}: the drawing is damaged ({audit.errors[0].message}); save it anew from its program")
    return drawing


def _point(number: int, name: str, layer: str, at: np.ndarray) -> PlanItem:
    return PlanItem(number, name, layer, Point(*at.tolist()), has_height=bool(at[2] != 0))


def _attribute(entity: Any) -> str:
    attributes = {str(attribute.dxf.tag).upper(): str(attribute.dxf.text).strip() for attribute in entity.attribs}
    return next((attributes[tag] for tag in NAMING if attributes.get(tag)), next(iter(attributes.values()), ""))


def _line(number: int, layer: str, entity: Any, scale: float) -> list[PlanItem]:
    from ezdxf.path import make_path

    corners = [(corner.x, corner.y) for corner in make_path(entity).flattening(FLATTEN / scale)]
    if len(set(corners)) < 2:
        return []
    closed = corners[0] == corners[-1] and len(set(corners)) > 2
    outline = Polygon(corners) if closed else LineString(corners)
    return [PlanItem(number, "", layer, outline)]


def _named(item: PlanItem, texts: list[tuple[str, np.ndarray]], reach: float) -> PlanItem:
    """A point without a name takes the nearest text within reach, or the layer and its number."""
    if not isinstance(item.geometry, Point) or item.name:
        return item
    here = np.array([item.geometry.x, item.geometry.y])
    near = min(texts, key=lambda text: float(np.linalg.norm(text[1] - here)), default=("", here + np.inf))
    close = bool(near[0]) and float(np.linalg.norm(near[1] - here)) <= reach
    name = near[0].splitlines()[0] if close else f"{item.layer}-{item.number}"
    return PlanItem(item.number, name, item.layer, item.geometry, item.sigma, item.has_height)
