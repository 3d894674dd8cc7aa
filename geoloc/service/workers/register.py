"""Who has which site: two key-value buckets of JetStream, in which every change names what it takes the place of.

`WORKERS` has a key of each worker that is alive: the server lets it go `lease_s` after it was renewed last. `SITES` has
one of each site: its worker, the epoch, which is one more each time that the site changes hands, and the snapshot that
whoever comes next begins with. A worker that lost a site while it was paused finds another revision there than the one
that it wrote last, and can change nothing.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from geoloc.errors import InputError
from geoloc.service.serve.bridges.bridge import topic_part
from geoloc.service.serve.bridges.jetstream import ALREADY, TIMEOUT_S

if TYPE_CHECKING:
    from nats.js import JetStreamContext
    from nats.js.kv import KeyValue

SCHEMA = 1


class LostError(Exception):
    """The site is another worker's by now: whoever meets this writes nothing any more."""


@dataclass(frozen=True)
class Claim:
    """What the register says of a site."""

    worker: str = ""  # empty: nobody's
    epoch: int = 0
    place: int = 0  # of the site's stream, up to which the snapshot reaches
    number: int = 0  # of the state's records then
    files: Mapping[str, str] = field(default_factory=dict)  # objects that hold the state's files, by those' names
    revision: int = 0  # of this entry in the register; 0: it is not there

    def plain(self) -> bytes:
        """As it is stored."""
        said = {"schema": SCHEMA, "worker": self.worker, "epoch": self.epoch, "place": self.place}
        return json.dumps({**said, "number": self.number, "files": dict(self.files)}).encode()

    @classmethod
    def parsed(cls, data: bytes, revision: int, site: str) -> "Claim":
        """InputError where it is not what `plain` makes."""
        try:
            found: dict[str, Any] = json.loads(data)
            if found.pop("schema") != SCHEMA:
                raise ValueError("another schema")
            return cls(**found, revision=revision)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"register: what it says of site {site!r} cannot be read ({error})") from error


class Register:
    """The register of the sites and workers of one NATS prefix."""

    def __init__(self, workers: "KeyValue", sites: "KeyValue", lease_s: float) -> None:
        self.lease_s = lease_s  # as the server has it
        self._workers, self._sites = workers, sites

    @classmethod
    async def open(cls, js: "JetStreamContext", prefix: str, lease_s: float) -> "Register":
        """The register, made where it is not there."""
        stem = prefix.upper()
        workers = await _bucket(js, f"{stem}-WORKERS", lease_s)
        sites = await _bucket(js, f"{stem}-SITES", None)
        return cls(workers, sites, float((await workers.status()).ttl or lease_s))

    async def renew(self, worker: str) -> None:
        """A worker is alive."""
        await self._workers.put(worker, b"{}")

    async def leave(self, worker: str) -> None:
        """A worker ends."""
        await self._workers.delete(worker)

    async def workers(self) -> set[str]:
        """Those that are alive."""
        return set(await _entries(self._workers))

    async def claims(self, sites: Mapping[str, object]) -> dict[str, Claim]:
        """What is said of each of the sites."""
        entries, names = await _entries(self._sites), {_key(site): site for site in sites}
        found = dict.fromkeys(sites, Claim())
        for key, (data, revision) in entries.items():
            if key in names:
                found[names[key]] = Claim.parsed(data, revision, names[key])
        return found

    async def write(self, site: str, claim: Claim) -> Claim:
        """Say something else of a site than `claim.revision` did; LostError where that is not the last word."""
        from nats.js.errors import KeyWrongLastSequenceError

        try:
            revision = await self._sites.update(_key(site), claim.plain(), last=claim.revision)
        except KeyWrongLastSequenceError as error:
            raise LostError(f"site {site}: epoch {claim.epoch} is over") from error
        return replace(claim, revision=revision)


def _key(site: str) -> str:
    return topic_part(site).replace("%", "=")


async def _bucket(js: "JetStreamContext", name: str, ttl: float | None) -> "KeyValue":
    from nats.js.errors import BadRequestError

    try:
        return await js.create_key_value(bucket=name, ttl=ttl)
    except BadRequestError as error:
        if error.err_code != ALREADY:
            raise
        return await js.key_value(name)  # made by others, with their settings


async def _entries(bucket: "KeyValue") -> dict[str, tuple[bytes, int]]:
    """All that a bucket holds, with the revisions."""
    found: dict[str, tuple[bytes, int]] = {}
    async with asyncio.timeout(TIMEOUT_S):
        watcher = await bucket.watchall(ignore_deletes=True)
        try:
            async for entry in watcher:
                if entry is None:  # that is all, for now
                    break
                found[entry.key] = entry.value or b"", entry.revision or 0
        finally:
            await watcher.stop()
    return found
