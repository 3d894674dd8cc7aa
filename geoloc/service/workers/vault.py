"""Snapshots of sites in an object store of JetStream: the files of a state's folder but its log, which is the stream.

A file's object is named after its content, so that what did not change since the last snapshot is not sent again.
"""

import asyncio
import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from geoloc.errors import InputError
from geoloc.service.serve.bridges.bridge import topic_part
from geoloc.service.serve.bridges.jetstream import ALREADY

if TYPE_CHECKING:
    from nats.js import JetStreamContext
    from nats.js.object_store import ObjectStore

FETCH_S = 120.0  # for one file
LEFT_OUT = ("log-", "lock", ".", "snapshot-")


class Vault:
    """The snapshots of one site."""

    def __init__(self, js: "JetStreamContext", bucket: str, store: "ObjectStore", site: str) -> None:
        self._js, self._bucket, self._store, self._top = js, bucket, store, topic_part(site)

    @classmethod
    async def open(cls, js: "JetStreamContext", prefix: str, site: str) -> "Vault":
        """The site's snapshots in the store of a NATS prefix, which is made where it is not there."""
        from nats.js.errors import BadRequestError

        name = f"{prefix.upper()}-STATE"
        try:
            store = await js.create_object_store(name)
        except BadRequestError as error:
            if error.err_code != ALREADY:
                raise
            store = await js.object_store(name)
        return cls(js, name, store, site)

    async def fetch(self, files: Mapping[str, str], folder: Path) -> None:
        """Bring the files of a snapshot into a new folder; InputError where one is not there whole."""
        from nats.js.errors import Error as JetStreamError

        folder.mkdir(parents=True)
        for name, held in files.items():
            if Path(name).name != name or name in (".", ".."):
                raise InputError(f"snapshot of {self._top}: {name!r} is no file's name")
            try:
                async with asyncio.timeout(FETCH_S):
                    packed = (await self._store.get(held)).data or b""
                (folder / name).write_bytes(await asyncio.to_thread(zlib.decompress, packed))
            except (JetStreamError, TimeoutError, zlib.error) as error:
                raise InputError(f"snapshot of {self._top}: {name} cannot be read ({type(error).__name__})") from error

    async def store(self, folder: Path, number: int, before: Mapping[str, str]) -> dict[str, str]:
        """Send the snapshot after record `number`, and what it rests on, but for what is there `before`."""
        found: dict[str, str] = {}
        names = [path.name for path in sorted(folder.iterdir()) if not path.name.startswith(LEFT_OUT)]
        for name in [*names, f"snapshot-{number:012d}"]:
            data = await asyncio.to_thread((folder / name).read_bytes)
            found[name] = held = f"{self._top}/{name}-{hashlib.sha256(data).hexdigest()[:16]}"
            if before.get(name) != held:
                await self._store.put(held, await asyncio.to_thread(zlib.compress, data, 1))
        return found

    async def remove(self, held: Iterable[str]) -> None:
        """Let go of objects that no snapshot needs any more."""
        from nats.js.errors import NotFoundError

        for one in held:
            with suppress(NotFoundError):
                await self._store.delete(one)
            # of a deleted object a note stays behind: one a snapshot, for ever
            note = base64.urlsafe_b64encode(one.encode()).decode()
            await self._js.purge_stream(f"OBJ_{self._bucket}", subject=f"$O.{self._bucket}.M.{note}")
