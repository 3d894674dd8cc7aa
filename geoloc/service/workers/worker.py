"""A worker: it takes its share of the sites, works on each, and gives away what others should have.

It may be killed, paused or cut off at any moment. While it has not renewed its lease in time it tells nothing; when it
is heard again it looks first which sites are still its own.
"""

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from geoloc.errors import GeolocError
from geoloc.pipeline.localizer import Localizer, LocalizerOptions
from geoloc.pipeline.regions import Region
from geoloc.scene.site import Site
from geoloc.service.serve.bridges.jetstream import connect, insist, require_nats
from geoloc.service.serve.bridges.options import NATS, NatsOptions, address_of
from geoloc.service.serve.engine import warm_up
from geoloc.service.serve.options import ServeOptions
from geoloc.service.workers.held import HeldSite, Means, TracksStream
from geoloc.service.workers.junction import Junction
from geoloc.service.workers.options import WorkerOptions
from geoloc.service.workers.region_file import region_name, region_site, seam_stream
from geoloc.service.workers.register import Claim, LostError, Register
from geoloc.service.workers.shares import share_out, to_give

if TYPE_CHECKING:
    from nats.aio.msg import Msg

RENEWALS, LOOKS = 4, 8  # in the time of a lease
HOLD_S = 0.02

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Work:
    held: HeldSite | Junction
    task: "asyncio.Task[None]"
    giving: "asyncio.Task[None] | None" = None


class Worker:
    """One process's share of the sites."""

    def __init__(
        self, sites: Mapping[str, Site], nats: NatsOptions, scratch: Path, options: WorkerOptions | None = None,
        serve: ServeOptions | None = None, engine: LocalizerOptions | None = None, changed: tuple[str, ...] = (),
        name: str = "", regions: Mapping[str, tuple[Region, ...]] | None = None,
    ) -> None:  # fmt: skip
        """`regions` are those of the sites that have some."""
        require_nats()
        address_of(nats.url, NATS)
        self.name = f"{name or socket.gethostname()}-{secrets.token_hex(3)}".replace(".", "-")
        self.work: dict[str, _Work] = {}  # by site
        self._sites, self._regions = dict(sites), dict(regions or {})
        for whole, parts in self._regions.items():
            self._sites |= {region_name(whole, one): region_site(self._sites[whole], one) for one in parts}
        # a site in regions has no engine of its own
        self._weights = {name: 1 if name in self._regions else len(one.cameras) for name, one in self._sites.items()}
        self._nats, self._scratch = nats, scratch
        self._options, self._serve, self._engine = options or WorkerOptions(), serve or ServeOptions(), engine
        self._changed = changed
        self._until = 0.0  # of a steady clock: the lease is surely ours before
        self._failed: dict[str, float] = {}  # when a site failed here last
        self._free_since: dict[str, float] = {}
        self._stopping = False
        self._wake = asyncio.Event()

    @property
    def sites(self) -> list[str]:
        """Those that it works on."""
        return sorted(name for name, work in self.work.items() if work.held.working)

    async def run(self) -> None:
        """Work until cancelled; then hand everything over."""
        client = await connect(self._nats, self.name)
        try:
            js = client.jetstream()
            asked = self._options.lease_s
            self._register = await insist(lambda: Register.open(js, self._nats.prefix, asked), "register")
            if self._register.lease_s != asked:
                logger.warning("the register has a lease of %g s, not %g s: it holds", self._register.lease_s, asked)
            self._means = Means(
                client, self._register, self._nats, self._serve, self._options, self._engine, self._changed,
                self._scratch, self._hold,
            )  # fmt: skip
            for site in list(self._sites.values())[:1]:  # the first one would wait for the kernels
                await asyncio.to_thread(warm_up, Localizer(site, self._engine))
            await client.subscribe(self._call, cb=self._called)
            logger.info("worker %s: begins, for %d sites", self.name, len(self._sites))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew_often())
                await group.create_task(self._look_often())
        finally:
            await client.close()

    async def stop(self) -> None:
        """Hand every site over; others take them at once."""
        self._stopping = True
        for name in list(self.work):
            self._give(name)
        await asyncio.gather(*(work.giving for work in self.work.values() if work.giving), return_exceptions=True)
        with suppress(Exception):  # it is let go by itself, if only later
            await self._register.leave(self.name)

    # ---- the lease

    async def _hold(self) -> None:
        """Return while the lease is ours; a worker that was paused waits here until it knows what it has lost."""
        while time.monotonic() >= self._until:
            await asyncio.sleep(HOLD_S)

    async def _renew_often(self) -> None:
        lease_s = self._register.lease_s
        while True:
            begun, lapsed = time.monotonic(), time.monotonic() >= self._until
            try:
                async with asyncio.timeout(lease_s / 2):
                    await self._register.renew(self.name)
                    if lapsed:
                        await self._drop_lost()
                    self._until = begun + lease_s
            except Exception as error:  # whatever it is: the lease runs out, and others take over
                logger.warning("worker %s: its lease is not renewed: %s %s", self.name, type(error).__name__, error)
            await asyncio.sleep(lease_s / RENEWALS)

    async def _drop_lost(self) -> dict[str, Claim]:
        """What the register says; sites that are others' by now are let go."""
        claims = await self._register.claims(self._sites)
        for name, work in list(self.work.items()):
            if claims[name].epoch != work.held.claim.epoch and not work.task.done() and work.giving is None:
                logger.warning("site %s: epoch %d has begun elsewhere", name, claims[name].epoch)
                work.task.cancel()
        return claims

    # ---- the shares

    async def _look_often(self) -> None:
        while True:
            await self._hold()
            try:
                await self._look()
            except (GeolocError, OSError, TimeoutError) as error:
                logger.warning("worker %s: %s %s; it looks again", self.name, type(error).__name__, error)
            except Exception:
                logger.exception("worker %s: it looks again", self.name)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._register.lease_s / LOOKS):
                    await self._wake.wait()
            self._wake.clear()

    @property
    def _call(self) -> str:
        """The subject on which workers wake each other when a site is free."""
        return f"{self._nats.prefix}.workers.look"

    async def _called(self, message: "Msg") -> None:
        self._wake.set()

    async def _look(self) -> None:
        """Take what is free and ours to take; give away what others should have."""
        claims = await self._drop_lost()
        for name in [name for name, work in self.work.items() if work.task.done()]:
            self._take_note(name, self.work.pop(name))
        alive = await self._register.workers() | {self.name}
        owners = {name: claim.worker for name, claim in claims.items() if claim.worker in alive}
        mine = {name for name, owner in owners.items() if owner == self.name}
        for name in mine - set(self.work):  # it failed here; its place is free
            del owners[name]
        if self._stopping:
            return
        now = time.monotonic()
        self._free_since = {name: self._free_since.get(name, now) for name in claims if name not in owners}
        wanted = share_out(self._weights, owners, alive)
        for name, worker in wanted.items():
            waited = now - self._free_since[name] > 2 * self._register.lease_s  # who should take it does not
            rested = now - self._failed.get(name, -1e9) > self._options.again_s
            if (worker == self.name or waited) and rested:
                await self._take(name, claims[name])
        name = "" if wanted else to_give(self._weights, owners, alive, self.name)
        if name in self.work and not any(work.giving for work in self.work.values()) and self.work[name].held.working:
            self._give(name)

    async def _take(self, name: str, claim: Claim) -> None:
        try:
            mine = await self._register.write(name, replace(claim, worker=self.name, epoch=claim.epoch + 1))
        except LostError:  # another one was faster
            return
        site, parts = self._sites[name], self._regions.get(name, ())
        if parts:
            held: HeldSite | Junction = Junction(self._means, site, parts, mine)
        else:
            held = HeldSite(self._means, site, mine, self._joint(name))
        self.work[name] = _Work(held, asyncio.create_task(held.run(), name=f"site {name}"))

    def _joint(self, name: str) -> TracksStream | None:
        """The stream into which a region tells its tracks; None: the site is none."""
        for whole, parts in self._regions.items():
            if name in [region_name(whole, one) for one in parts]:
                return seam_stream(self._means.client.jetstream(), self._nats, whole, parts)
        return None

    def _give(self, name: str) -> None:
        work = self.work[name]
        if work.giving is None:
            work.giving = asyncio.create_task(self._released(name, work))

    async def _released(self, name: str, work: _Work) -> None:
        release = asyncio.create_task(work.held.release())
        await asyncio.wait((release, work.task), return_when=asyncio.FIRST_COMPLETED)
        if release.done() and release.exception() is None:
            logger.info("site %s: epoch %d is handed over", name, work.held.claim.epoch)
            await self._means.client.publish(self._call)
        release.cancel()
        work.task.cancel()
        await asyncio.gather(release, work.task, return_exceptions=True)

    def _take_note(self, name: str, work: _Work) -> None:
        """Why a site is not worked on here any more."""
        if work.task.cancelled():
            return
        for error in _leaves(work.task.exception()):
            if isinstance(error, LostError):
                logger.warning("site %s: %s", name, error)
            elif isinstance(error, GeolocError):
                logger.error("site %s: %s", name, error)
                self._failed[name] = time.monotonic()
            else:
                logger.error("site %s: it has stopped here", name, exc_info=error)
                self._failed[name] = time.monotonic()


def _leaves(error: BaseException | None) -> list[BaseException]:
    """The errors of a group, of groups within it, too."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [] if error is None else [error]
