"""How the cameras are: whether they are heard, and what is known of their clocks."""

from dataclasses import dataclass

from geoloc.pipeline.localizer import Localizer


@dataclass(frozen=True)
class CameraNow:
    """A camera at a time (s): heard or silent, last heard at (s; -inf: never), its clock's offset and sigma (s)."""

    time: float
    camera: str
    state: str
    heard: float
    offset: float
    sigma: float


def cameras_now(localizer: Localizer) -> tuple[CameraNow, ...]:
    """All cameras as of the last window."""
    time, heard, silent_s = localizer.tracker.time, localizer.heard, localizer.options.heard_s
    return tuple(
        CameraNow(
            time, clock.camera, "heard" if time - heard[clock.camera] <= silent_s else "silent", heard[clock.camera],
            clock.offset, clock.sigma,
        )
        for clock in localizer.clocks.report()
    )  # fmt: skip
