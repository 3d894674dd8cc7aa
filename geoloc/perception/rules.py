"""Rules in a small TOML file: what is to be told when it happens. Nothing in it is evaluated; unknown keys are refused.

    [[rule]]
    name = "queue at the gate"
    kind = "queue"                # of KINDS
    zone = "entrance"             # name of a zone, with * and ? as wild cards; or use = "entrance"
    at_least = 3
    for_s = 20
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from geoloc.errors import InputError, unknown_name
from geoloc.files import read_text
from geoloc.options import check_range
from geoloc.scene.sitemap import Place, SiteMap

# what each kind of rule takes beside ANY, and where it looks
ANY = ("name", "kind", "on", "off", "for_s", "clears_s")
WHERE = ("zone", "use")
KINDS: dict[str, tuple[str, ...]] = {
    "stall_taken": ("stall",),
    "stall_left": ("stall",),
    "overstay": ("stall", "longer_s"),
    "queue": (*WHERE, "at_least", "speed"),
    "wrong_way": (*WHERE, "speed"),
    "stopped": (*WHERE, "speed"),
    "present": (*WHERE, "label"),
    "person_between": ("gap",),
    "tailgating": (*WHERE, "within_s"),
}
TOLD = {
    "stall_taken": "a vehicle took a stall",
    "stall_left": "a vehicle left its stall",
    "overstay": "a vehicle stands longer than allowed",
    "queue": "vehicles wait behind each other",
    "wrong_way": "a vehicle drives against the lane's direction",
    "stopped": "a vehicle stands where vehicles drive",
    "present": "somebody is there",
    "person_between": "a person is between two vehicles",
    "tailgating": "a vehicle passed right behind another",
}


@dataclass(frozen=True)
class Rule:
    """It begins when its probability was at least `on` for `for_s`, ends when it was `off` or less for `clears_s`."""

    name: str
    kind: str
    zone: str = ""  # name of zones, with wild cards
    use: str = ""  # or what they are: lane, entrance, ...
    stall: str = "*"
    label: str = "person"  # family or class
    at_least: int = 3
    speed: float = 0.7  # m/s; slower is standing; for wrong_way, the least speed against
    gap: float = 3.6  # m between the middles of two vehicles beside each other
    within_s: float = 3.0  # s behind another
    longer_s: float = 7200.0
    for_s: float = 0.0
    clears_s: float = 2.0
    on: float = 0.9
    off: float = 0.3

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind of rule", self.kind, KINDS, repr(self.name))
        if not self.name:
            raise InputError(f"a rule of kind {self.kind!r} has no name; give it one")
        check_range(self, at_least=(1, 1000), speed=(0.01, 50), gap=(0.5, 20), within_s=(0.05, 60))
        check_range(self, longer_s=(1, 1e9), for_s=(0, 1e6), clears_s=(0, 1e6), on=(0.5, 1), off=(0, 0.99))
        if self.off > self.on:
            raise InputError(f"rule {self.name!r}: off {self.off} is above on {self.on}; it must be below")
        if "zone" in KINDS[self.kind] and not (self.zone or self.use):
            raise InputError(f"rule {self.name!r}: where? give zone = a name of the map, or use = such as 'lane'")

    def zones(self, site_map: SiteMap) -> list[Place]:
        """The zones that it is about; InputError where the map has none."""
        of_name = [zone for zone in site_map.zones if fnmatchcase(zone.name, self.zone or "*")]
        found = [zone for zone in of_name if self.use in ("", zone.kind)]
        if found:
            return found
        if self.use and self.use not in {zone.kind for zone in site_map.zones}:
            raise unknown_name("use of zones", self.use, {zone.kind for zone in site_map.zones}, f"rule {self.name!r}")
        raise unknown_name("zone", self.zone, {zone.name for zone in site_map.zones}, f"rule {self.name!r}")

    def stalls(self, site_map: SiteMap) -> list[int]:
        """The indices of the stalls that it is about; InputError where the map has none."""
        found = [i for i, stall in enumerate(site_map.stalls) if fnmatchcase(stall.name, self.stall)]
        if not found:
            raise unknown_name("stall", self.stall, {stall.name for stall in site_map.stalls}, f"rule {self.name!r}")
        return found


def load_rules(path: Path | str) -> tuple[Rule, ...]:
    """The rules of a TOML file; InputError names the file, the rule, and the nearest key that there is."""
    try:
        content = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML ({error})") from error
    for key in content:
        if key != "rule":
            raise unknown_name("key", key, ["rule"], str(path))
    try:
        return rules_of(content.get("rule", []))
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def rules_of(rows: object) -> tuple[Rule, ...]:
    """Rules of a list of tables."""
    if not isinstance(rows, list) or not rows:
        raise InputError("there is no rule; write each under a heading [[rule]]")
    rules = [_rule(i, row) for i, row in enumerate(rows)]
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two rules are named {name!r}; names must differ")
    return tuple(rules)


def _rule(index: int, row: object) -> Rule:
    if not isinstance(row, Mapping):
        raise InputError(f"rule {index + 1} is {row!r}; write it under a heading [[rule]]")
    name, kind = row.get("name", ""), row.get("kind", "")
    what = f"rule {name!r}" if isinstance(name, str) and name else f"rule {index + 1}"
    if kind not in KINDS:
        raise unknown_name("kind", str(kind), KINDS, what)
    for key in row:
        if key not in (*ANY, *KINDS[kind]):
            raise unknown_name("key", key, (*ANY, *KINDS[kind]), f"{what} of kind {kind!r}")
    return Rule(**{key: _value(what, key, value) for key, value in row.items()})


def _value(what: str, key: str, value: object) -> Any:
    wanted = {field.name: field.type for field in fields(Rule)}[key]
    kinds: dict[Any, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float)}
    if isinstance(value, bool) or not isinstance(value, kinds[wanted]):
        raise InputError(f"{what}: {key} is {value!r}; it must be a {wanted.__name__}")  # type: ignore[union-attr]
    return float(value) if wanted is float and isinstance(value, int | float) else value
