"""What a state is made with, and since when: one epoch after the other, each of one calibration, map and options.

A state goes on with another calibration, another map or other options where it is told to. What was learned and who
is there stays; every answer says which calibration its position was made with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geoloc.errors import InputError
from geoloc.options import merge_options, option_groups, options_to_dict
from geoloc.pipeline.codec import decode, encode
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.pipeline.packets import PacketLocalizer
from geoloc.scene.fingerprint import calibration_fingerprint, map_fingerprint
from geoloc.scene.site import Site

CHANGES = ("calibration", "map", "options")  # what may be another one from some record on
FIXED = ("window_s", "tracking.motion", "clocks", "footprint.point_sigma", "packets.alone_s")  # options that may not


@dataclass(frozen=True)
class Epoch:
    """From record `first` on a state is made with this; fingerprints stand for the cameras and the map."""

    first: int
    after: float  # s, of the last window before it; -inf: there is none
    calibration: str
    map: str
    options: LocalizerOptions

    @classmethod
    def of(cls, first: int, after: float, site: Site, options: LocalizerOptions) -> "Epoch":
        """The epoch of a site and options."""
        return cls(first, after, calibration_fingerprint(site), map_fingerprint(site), options)

    @classmethod
    def parsed(cls, value: Mapping[str, Any]) -> "Epoch":
        """An epoch as `plain` made it."""
        options = merge_options(LocalizerOptions(), value["options"])
        after = float("-inf") if value["after"] is None else float(value["after"])
        return cls(int(value["first"]), after, str(value["calibration"]), str(value["map"]), options)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        after = None if self.after == float("-inf") else self.after
        names = {"first": self.first, "after": after, "calibration": self.calibration, "map": self.map}
        return names | {"options": options_to_dict(self.options)}

    def differences(self, other: "Epoch") -> dict[str, str]:
        """What is otherwise in another epoch, of CHANGES, in words."""
        found = {}
        if other.calibration != self.calibration:
            made = f"was made with calibration {self.calibration}; the site's is {other.calibration} now"
            found["calibration"] = f"{made}: tell it to go on with that, or go back to the cameras it was made with"
        if other.map != self.map:
            found["map"] = "the site's map has changed since: tell it to go on with that, or begin a new folder"
        changed = _changed(self.options, other.options)
        if changed:
            found["options"] = f"{changed}; continue with its own options, tell it to change, or begin anew"
        return found

    def require_change(self, other: "Epoch") -> None:
        """Raise InputError for options that cannot be changed in the middle."""
        fixed = _changed(self.options, other.options, FIXED)
        if fixed:
            raise InputError(f"{fixed}, which cannot be changed in the middle; begin a new folder")


def require_same_layout(old: Site, new: Site) -> None:
    """Raise InputError where a state's rows would not fit: other cameras or levels by name."""
    for what, mine, yours in (
        ("cameras", [one.name for one in old.cameras], [one.name for one in new.cameras]),
        ("levels", [one.name for one in old.site_map.levels], [one.name for one in new.site_map.levels]),
    ):
        if mine != yours:
            other = sorted(set(mine) ^ set(yours)) or yours
            names = ", ".join(repr(name) for name in other[:5])
            raise InputError(f"site {new.name!r} has other {what} than this state ({names}); begin a new folder")


def moved(packets: PacketLocalizer, site: Site, options: LocalizerOptions) -> PacketLocalizer:
    """An engine as it is, on another calibration or map of its site, and with other options."""
    own = packets.localizer
    state: PacketLocalizer = decode(encode(packets, given_of(own.site, own.options)), given_of(site, options))
    return state


def given_of(site: Site, options: LocalizerOptions) -> dict[str, object]:
    """What the bytes of an engine leave out, for `codec.encode`."""
    return {"site": site, "map": site.site_map, **option_groups(options)}


def _changed(old: LocalizerOptions, new: LocalizerOptions, among: tuple[str, ...] = ("",)) -> str:
    """The first option that differs, in words; none: nothing."""
    mine, asked = _flat(options_to_dict(old)), _flat(options_to_dict(new))
    for key, value in asked.items():
        if mine[key] != value and any(not part or key == part or key.startswith(f"{part}.") for part in among):
            return f"option {key} is {value!r}, and {mine[key]!r} in this state"
    return ""


def _flat(options: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in options.items():
        plain = list(value) if isinstance(value, tuple) else value
        found |= _flat(value, f"{path}{key}.") if isinstance(value, dict) else {path + key: plain}
    return found
