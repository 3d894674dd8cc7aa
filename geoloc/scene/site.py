"""A site: its cameras and its map."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.visibility import Visibility, compute_visibility


@dataclass(frozen=True, eq=False)
class Site:
    """Cameras and map of one place. Cameras are kept in the order of their names."""

    name: str
    cameras: tuple[Camera, ...]
    site_map: SiteMap = field(default_factory=SiteMap)

    def __post_init__(self) -> None:
        cameras = tuple(sorted(self.cameras, key=lambda camera: camera.name))
        for a, b in pairwise(cameras):
            if a.name == b.name:
                raise InputError(f"site {self.name!r} has two cameras named {a.name!r}; names must differ")
        object.__setattr__(self, "cameras", cameras)
        for camera in cameras:
            if camera.is_homography:
                self.site_map.level(camera.homography_level)

    @cached_property
    def camera_index(self) -> dict[str, int]:
        """Position of each camera among `cameras` by its name."""
        return {camera.name: i for i, camera in enumerate(self.cameras)}

    def camera(self, name: str) -> Camera:
        """The camera of this name; UnknownNameError with the nearest name otherwise."""
        if name not in self.camera_index:
            raise unknown_name("camera", name, self.camera_index, f"site {self.name!r}")
        return self.cameras[self.camera_index[name]]

    def camera_rows(self, names: np.ndarray) -> np.ndarray:
        """Index among `cameras` of each name (N,) str -> (N,) int; -1 where the site has no such camera."""
        known, rows = self.__dict__.get("_last_rows", (None, None))
        if known is names:  # tables are frozen: the stages of one window ask for the same column
            return rows
        # rows of one camera mostly follow each other: look the name of each run up once
        first = np.ones(len(names), dtype=bool)
        first[1:] = names[1:] != names[:-1]
        found = [self.camera_index.get(name, -1) for name in names[first].tolist()]
        rows = np.array(found, dtype=np.intp)[np.cumsum(first) - 1]
        self.__dict__["_last_rows"] = (names, rows)
        return rows

    @cached_property
    def visibility(self) -> Visibility:
        """What each camera sees of each level, by the defaults of `compute_visibility`; computed once."""
        return compute_visibility(self)

    def with_visibility(self, visibility: Visibility) -> "Site":
        """The same site with what its cameras see computed otherwise: `compute_visibility(site, mesh="hall.ply")`."""
        found = (visibility.n_cameras, len(visibility.shape))
        if found != (len(self.cameras), len(self.site_map.levels)):
            whose = f"the visibility is of {found[0]} cameras and {found[1]} levels"
            raise InputError(f"site {self.name!r}: {whose}; compute it of this site")
        site = replace(self)
        site.__dict__["visibility"] = visibility
        return site

    def require_cameras_above_ground(self) -> None:
        """Raise InputError for a camera that lies under every surface at its place, and by how much."""
        for camera in self.cameras:
            if camera.is_homography:
                continue
            centre = camera.centre_world
            here = [
                (float(surface.z_at(centre[:2])), level.name)
                for level in self.site_map.levels
                for surface in level.surfaces
                if surface.holds(centre[None, :2])[0]
            ]
            if here and centre[2] < min(here)[0]:
                z, level = min(here)
                raise InputError(
                    f"camera {camera.name!r} is {z - centre[2]:.2f} m under the ground (level {level!r} has "
                    f"z = {z:.2f} m there); is its world z axis up, its pose cam_from_world, its unit m?"
                )

    def with_cameras(self, cameras: Iterable[Camera]) -> "Site":
        """The same site with cameras replaced by name, or added."""
        merged = {camera.name: camera for camera in (*self.cameras, *cameras)}
        return replace(self, cameras=tuple(merged.values()))
