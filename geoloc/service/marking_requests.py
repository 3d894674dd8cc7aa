"""What the marking page asks for, checked: changes, picks in the scan, verdicts by a camera's number."""

from typing import Any

import numpy as np

from geoloc.errors import GeolocError, InputError
from geoloc.scene import jsonfile
from geoloc.service.marking import MarkingSession
from geoloc.service.marking_data import Json, verdict_data
from geoloc.service.marking_state import DrawnLine, Spot
from geoloc.service.scan_view import ScanPicture

HIGHEST_CUT = 1000.0  # m


def apply_change(session: MarkingSession, content: Any) -> None:
    """One change that the page asks for; InputError where it is not whole or cannot be made."""
    change = jsonfile.mapping("the change", content)
    action = jsonfile.text("'action'", change.get("action"))
    if action in ("undo", "redo", "reload"):
        getattr(session, action)()
    elif action == "mark":
        u, v = jsonfile.numbers("'pixel'", change.get("pixel"), (2,)).tolist()
        sigma = float(jsonfile.numbers("'sigma'", change.get("sigma"), ()))
        spot = _spot(change["spot"]) if change.get("spot") is not None else None
        session.mark(_text(change, "camera"), _text(change, "point"), (u, v), sigma, spot)
    elif action == "unmark":
        session.unmark(_text(change, "camera"), _text(change, "point"))
    elif action == "remove_point":
        session.remove_point(_text(change, "point"))
    elif action == "draw":
        old = change.get("instead_of")
        session.draw(_line(change, change.get("line")), _line(change, old) if old is not None else None)
    elif action in ("accept", "reject"):
        session.decide(action, _text(change, "stall"))
    elif action == "take_back":
        session.decide(action)
    elif action == "erase":
        session.erase(_line(change, change.get("line")))
    else:
        raise InputError(f"unknown action {action!r}")


def picked(session: MarkingSession, content: Any) -> Json:
    """The scan's surface at a place: its height over the level, and how well it is known (m)."""
    click = jsonfile.mapping("the click", content)
    x, y, cut, size = (float(jsonfile.numbers(repr(key), click.get(key), ())) for key in ("x", "y", "cut", "size"))
    if session.scan is None or not 0 < size < np.inf:
        raise InputError(f"no scan is shown, or a click of {size} m; start geoloc mark with --scan")
    level = session.site.site_map.level_index[session.site.site_map.level(_text(click, "level")).name]
    found = session.scan.pick(level, _cut(cut), x, y, size)
    sigmas = {"sigma_xy": round(found.sigma_xy, 4), "sigma_z": round(found.sigma_z, 4)}
    return {"z": round(found.z, 4), "height": round(found.height, 4), **sigmas}


def scan_picture(session: MarkingSession, which: str) -> ScanPicture:
    """The scan's picture of "LEVEL/CUT": the level's number, and the cut over it in cm."""
    level, _, cut = which.partition("/")
    whole = all(word.isascii() and word.isdecimal() and len(word) < 7 for word in (level, cut))
    if session.scan is None or not whole or int(level) >= len(session.site.site_map.levels):
        raise InputError(f"no picture {which[:20]!r} of a scan")
    return session.scan.picture(int(level), _cut(int(cut) / 100))


def solved(session: MarkingSession, index: str) -> Json:
    """The verdict on a camera by its number, and the revision of the marks that it is about."""
    if not (index.isascii() and index.isdecimal() and len(index) < 6 and int(index) < len(session.stills)):
        raise InputError(f"no still {index[:20]!r}")
    revision, camera = session.revision, session.stills[int(index)].camera
    try:
        revision, verdict = session.solve(camera)
        return {"revision": revision, **verdict_data(session, camera, verdict)}
    except GeolocError as error:
        return {"revision": revision, "message": str(error)}


def _cut(cut: float) -> float:
    if not 0.1 <= cut <= HIGHEST_CUT:
        raise InputError(f"the scan is cut {cut:g} m over the level; give 0.1 to {HIGHEST_CUT:.0f} m")
    return round(cut, 2)


def _spot(value: Any) -> Spot:
    spot = jsonfile.mapping("'spot'", value)
    sizes = {
        key: float(jsonfile.numbers(f"{key!r} of the spot", spot.get(key), ()))
        for key in ("x", "y", "height", "sigma_xy", "sigma_z")
    }
    return Spot(level=_text(spot, "level"), **sizes)


def _line(change: dict[str, Any], value: Any) -> DrawnLine:
    """A line of the camera that the change is about."""
    line = jsonfile.mapping("'line'", value)
    u1, v1 = jsonfile.numbers("'start'", line.get("start"), (2,)).tolist()
    u2, v2 = jsonfile.numbers("'end'", line.get("end"), (2,)).tolist()
    group = jsonfile.text("'group'", line.get("group", ""), empty=True).strip()
    return DrawnLine(_text(change, "camera"), _text(line, "kind"), (u1, v1), (u2, v2), group)


def _text(change: dict[str, Any], key: str) -> str:
    return jsonfile.text(repr(key), change.get(key)).strip()
