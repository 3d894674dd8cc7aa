"""One thing drawn on a plan, as the readers of plans hand it on."""

from dataclasses import dataclass

from shapely import Geometry


@dataclass(frozen=True, eq=False)
class PlanItem:
    """A point or line in the file's own coordinates; `number` counts from 1, `sigma` (m) is None where not stated."""

    number: int
    name: str
    layer: str
    geometry: Geometry
    sigma: tuple[float, float, float] | None = None
    has_height: bool = True
