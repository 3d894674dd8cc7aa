"""What goes out, as plain lists and numbers: positions, whole tables of tracks, events, answers to questions."""

import json
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from geoloc.pipeline.lineage import Event
from geoloc.scene.tables import Tracks

Json = dict[str, Any]


def as_text(data: object) -> str:
    """JSON, short; a number that is not finite is a fault of ours."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def plain(value: Any) -> Any:
    """Dataclasses as objects, numbers that are not finite as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def event_data(event: Event) -> Json:
    """An event, with `told` the same in words."""
    return {**plain(event), "told": str(event)}


def positions_data(tracks: Tracks, window: int) -> Json:
    """The objects of a window that the engine stands by: place (m), velocity (m/s), covariance xx, xy, yy (m²)."""
    tracks = tracks.take(tracks.state != "tentative")
    cov = tracks.position_cov
    table = {
        "id": tracks.track, "level": tracks.level, "x": tracks.xy[:, 0], "y": tracks.xy[:, 1], "z": tracks.z,
        "vx": tracks.velocity[:, 0], "vy": tracks.velocity[:, 1], "label": tracks.label, "life": tracks.life,
        "state": tracks.state, "score": tracks.score,
    }  # fmt: skip
    columns = {name: _cells(np.round(v, 4) + 0.0 if v.dtype.kind == "f" else v) for name, v in table.items()}
    columns["cov"] = _cells(np.stack([cov[:, 0, 0], cov[:, 0, 1], cov[:, 1, 1]], axis=1).round(6) + 0.0)
    objects = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {"type": "positions", "window": window, "time": _latest(tracks), "objects": objects}


def tracks_data(tables: tuple[Tracks, ...], window: int, revised: bool) -> Json:
    """All that was said of a window, number for number: `tracks_of` brings back the same bytes."""
    steps = [{name: _cells(values) for name, values in table} for table in tables]
    return {"type": "tracks", "window": window, "revised": revised, "steps": steps}


def tracks_of(step: Json) -> Tracks:
    """A table of tracks out of what `tracks_data` made of it."""
    if not step["time"]:
        return Tracks()
    arrays = {}
    for name, cells in step.items():
        kind = Tracks.columns[name].dtype
        arrays[name] = np.array(cells) if kind is str else np.array(cells, float).astype(kind)
    return Tracks(**arrays)


def _latest(tracks: Tracks) -> float | None:
    return float(tracks.time[0]) if len(tracks) else None


def _cells(values: np.ndarray) -> list[Any]:
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return list(values.tolist())
    cells = values.astype(object)
    cells[~np.isfinite(values)] = None
    return list(cells.tolist())
