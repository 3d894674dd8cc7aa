"""Stalls that a survey proposes, decided one by one: those accepted are written to the map, whole or not at all."""

import threading
from dataclasses import dataclass
from pathlib import Path

from geoloc.errors import InputError, unknown_name
from geoloc.files import read_bytes, write_whole
from geoloc.scene.map_storage import load_map, save_map
from geoloc.scene.proposals import ProposedPlace, accepted, load_proposals, save_proposals
from geoloc.scene.sitemap import SiteMap


@dataclass(frozen=True, eq=False)
class _Step:
    """Both files as they were before a decision."""

    proposals: bytes
    site_map: bytes


class ProposalBox:
    """The proposals of a file that are not decided yet, and the map that they are for.

    A decision takes a proposal out of the file, so that the next session goes on where this one ended; `take_back`
    puts the last one back, in the map too. Files that another program has changed are never written over.
    """

    def __init__(self, proposals: Path, site_map: Path) -> None:
        self.path, self.map_path = proposals, site_map
        self._lock = threading.RLock()
        self._steps: list[_Step] = []
        self._read()

    @property
    def can_take_back(self) -> bool:
        return bool(self._steps)

    def accept(self, name: str) -> None:
        """Write a proposed stall to the map; where that is refused, it stays a proposal."""
        with self._lock:
            chosen = self._named(name)
            self._check()
            grown = accepted(self.map, chosen.place)
            step = _Step(read_bytes(self.path), read_bytes(self.map_path))
            save_map(grown, self.map_path)  # the map first: a proposal that is decided twice is refused, none is lost
            self._drop(chosen, grown)
            self._steps.append(step)

    def reject(self, name: str) -> None:
        """Take a proposal away; the map stays as it is."""
        with self._lock:
            chosen = self._named(name)
            self._check()
            step = _Step(read_bytes(self.path), read_bytes(self.map_path))
            self._drop(chosen, self.map)
            self._steps.append(step)

    def take_back(self) -> None:
        """Undo the last decision; nothing happens where there is none."""
        with self._lock:
            if not self._steps:
                return
            self._check()
            step = self._steps.pop()
            write_whole(self.map_path, step.site_map)
            write_whole(self.path, step.proposals)
            self._read()

    def _named(self, name: str) -> ProposedPlace:
        for each in self.open:
            if each.place.name == name:
                return each
        raise unknown_name("proposed stall", name, [each.place.name for each in self.open])

    def _drop(self, chosen: ProposedPlace, site_map: SiteMap) -> None:
        save_proposals(site_map, [each for each in self.open if each is not chosen], self.path)
        self._read()

    def _read(self) -> None:
        self.map: SiteMap = load_map(self.map_path)
        self.open: tuple[ProposedPlace, ...] = load_proposals(self.path, self.map)
        self._known = {path: read_bytes(path) for path in (self.path, self.map_path)}

    def _check(self) -> None:
        for path, content in self._known.items():
            if not path.exists() or read_bytes(path) != content:
                raise InputError(f"{path}: another program has changed it; end geoloc mark and start it again")
