"""A pose as the commands that find one tell it."""

from geoloc.relocalize.estimate import Hypothesis
from geoloc.relocalize.told import plain_pose, position_sigma

__all__ = ["plain_pose", "where"]


def where(one: Hypothesis) -> str:
    """Position with sigma, and level, in one line."""
    level = f", level {one.level} ({one.level_probability:.0%})" if one.level else ""
    places = zip("xyz", one.camera.centre_world, position_sigma(one), strict=True)
    return f"{', '.join(f'{axis} {at:.3f} ± {by:.3f}' for axis, at, by in places)} m{level}"
