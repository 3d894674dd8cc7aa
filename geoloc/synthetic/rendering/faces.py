"""Faces: parallelograms with a texture, of which everything in a scene is made."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.synthetic.rendering.atlas import Patch

LIGHT_CELL = 0.6  # m between the points at which the light on a face is found


@dataclass(frozen=True, eq=False)
class Faces:
    """F parallelograms: `corner` + a `right` + b `down`, a and b from 0 to 1, (F, 3) m each; right x down looks in.

    They are seen from the side that right x down points away from. `patch` (F, 4) is where their texture lies on the
    page: x, y, width, height in texels; `mask` (F,) which mask cuts them out (-1: none). `rough` (F,) is the strength
    of the grain of concrete on them, `lamp` (F,) which lamp shines there (-1: none), `cells` (F, 2) how many points
    across and down have their light found.
    """

    corner: np.ndarray
    right: np.ndarray
    down: np.ndarray
    patch: np.ndarray
    mask: np.ndarray
    rough: np.ndarray
    lamp: np.ndarray
    cells: np.ndarray

    def __len__(self) -> int:
        return len(self.corner)

    @property
    def normal(self) -> np.ndarray:
        """Unit normals (F, 3) on the side that is seen."""
        normal = np.cross(self.down, self.right)
        return normal / np.linalg.norm(normal, axis=1, keepdims=True)

    @property
    def centre(self) -> np.ndarray:
        """Middles (F, 3) m."""
        return self.corner + 0.5 * (self.right + self.down)

    @property
    def radius(self) -> np.ndarray:
        """Radius (F,) m of the sphere about the middle that holds the face."""
        ends = np.stack([self.right + self.down, self.right - self.down])
        return 0.5 * np.linalg.norm(ends, axis=2).max(axis=0)

    def moved(self, world_from_own: RigidTransform) -> "Faces":
        """The same faces elsewhere."""
        turn = world_from_own.rotation.apply
        changed = {"corner": world_from_own.apply(self.corner), "right": turn(self.right), "down": turn(self.down)}
        return Faces(**{f.name: changed.get(f.name, getattr(self, f.name)) for f in fields(self)})

    @classmethod
    def concat(cls, parts: Iterable["Faces"]) -> "Faces":
        """All faces of the parts, in order."""
        parts = list(parts)
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


def take(faces: Faces, rows: np.ndarray) -> Faces:
    """Some of the faces."""
    return Faces(*(getattr(faces, name)[rows] for name in Faces.__dataclass_fields__))


class FaceMaker:
    """Gathers faces."""

    def __init__(self) -> None:
        self._rows: list[tuple[np.ndarray, np.ndarray, np.ndarray, Patch, float, int, float]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self,
        corner: Sequence[float] | np.ndarray,
        right: Sequence[float] | np.ndarray,
        down: Sequence[float] | np.ndarray,
        patch: Patch,
        rough: float = 0.0,
        lamp: int = -1,
        cell: float = LIGHT_CELL,
    ) -> None:
        """A face by its upper left corner and its edges (3,) m, as one sees it from its front."""
        row = [np.asarray(vector, float) for vector in (corner, right, down)]
        self._rows.append((row[0], row[1], row[2], patch, rough, lamp, cell))

    def box(
        self,
        low: Sequence[float],
        high: Sequence[float],
        sides: Sequence[Patch],
        top: Patch | None = None,
        bottom: Patch | None = None,
        rough: float = 0.0,
        lamp: int = -1,
    ) -> None:
        """A box along the axes from corner `low` to `high` (3,) m; `sides` are of its south, east, north, west."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        dx, dy, down = [x1 - x0, 0, 0], [0, y1 - y0, 0], [0, 0, z0 - z1]
        around = [
            ([x0, y0, z1], dx),
            ([x1, y0, z1], dy),
            ([x1, y1, z1], [x0 - x1, 0, 0]),
            ([x0, y1, z1], [0, y0 - y1, 0]),
        ]
        for (corner, right), patch in zip(around, sides, strict=True):
            self.add(corner, right, down, patch, rough, lamp)
        if top is not None:
            self.add([x0, y1, z1], dx, [0, y0 - y1, 0], top, rough, lamp)
        if bottom is not None:
            self.add([x0, y0, z0], dx, dy, bottom, rough, lamp)

    def finish(self) -> Faces:
        """All faces added so far."""
        corner, right, down, patch, rough, lamp, cell = zip(*self._rows, strict=True)
        edges = np.stack([np.array(right), np.array(down)], axis=1)
        lengths = np.linalg.norm(edges, axis=2)
        return Faces(
            corner=np.array(corner),
            right=edges[:, 0],
            down=edges[:, 1],
            patch=np.array([(p.x, p.y, p.width, p.height) for p in patch]),
            mask=np.array([p.mask for p in patch]),
            rough=np.array(rough, float),
            lamp=np.array(lamp, int),
            cells=np.ceil(lengths / np.array(cell)[:, None]).astype(int) + 1,
        )
