"""Events posted to an address of somebody else's, signed, until it takes them."""

import asyncio
import hashlib
import hmac
import logging
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from geoloc.pipeline.lineage import Event
from geoloc.service.serve.bridges.bridge import topic_part
from geoloc.service.serve.bridges.options import LOCAL, WebhookOptions, address_of, secret
from geoloc.service.serve.bridges.outbox import Outbox, outbox_path
from geoloc.service.serve.said import as_text, event_data
from geoloc.service.serve.service import ServedSite

if TYPE_CHECKING:
    import aiohttp

SIGNATURE = "X-Geoloc-Signature"

logger = logging.getLogger(__name__)


class Webhook:
    """One address, for all sites that it is told of."""

    def __init__(self, name: str, options: WebhookOptions, sites: Mapping[str, ServedSite]) -> None:
        self.name = f"webhook {name}"
        self.connected = True  # until it fails
        self.counts: Counter[str] = Counter()
        self._label, self._options, self._key = topic_part(name), options, secret(options.secret_file)
        self._host = address_of(options.url, ("https", "http")).hostname
        self._sites = {site: sites[site] for site in (options.sites or sites)}

    async def run(self) -> None:
        """Post what happens until cancelled."""
        import aiohttp

        limit = aiohttp.ClientTimeout(total=self._options.timeout_s)
        # no proxies of the environment for this machine, no cookies: each post stands alone
        async with (
            aiohttp.ClientSession(
                timeout=limit, cookie_jar=aiohttp.DummyCookieJar(), trust_env=self._host not in LOCAL
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            for name, site in self._sites.items():
                path = outbox_path({name: site.folder}, name, f"webhook-{self._label}")
                group.create_task(Outbox(site, path, partial(self._post, session, name), self._options.kinds).run())

    async def _post(self, session: "aiohttp.ClientSession", site: str, events: list[Event]) -> None:
        """Try until it is taken (2xx); the waits between grow up to a limit."""
        body = as_text({"site": site, "events": [event_data(event) for event in events]}).encode()
        wait_s = self._options.retry_s
        while why := await self._tried(session, body):
            self.connected = False
            self.counts["failed"] += 1
            logger.warning("%s at %s: %s; again in %.0f s", self.name, self._host, why, wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2.0 * wait_s, self._options.retry_max_s)
        self.connected = True
        self.counts["events"] += len(events)

    async def _tried(self, session: "aiohttp.ClientSession", body: bytes) -> str:
        """Why it was not taken; empty: it was."""
        import aiohttp

        headers = {"Content-Type": "application/json", SIGNATURE: signature(self._key, body, int(time.time()))}
        try:
            # a redirect is no answer: what is signed for one host is not given to another
            async with session.post(self._options.url, data=body, headers=headers, allow_redirects=False) as answer:
                return "" if 200 <= answer.status < 300 else f"answered {answer.status}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return type(error).__name__


def signature(key: bytes, body: bytes, at: int) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA256 of the time, a full stop and the body."""
    digest = hmac.new(key, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def is_signed(key: bytes, body: bytes, given: str, now: float, most_s: float = 300.0) -> bool:
    """What a receiver checks: that the signature is of this body, and not old."""
    parts = dict(part.partition("=")[::2] for part in given.split(","))
    stamp = parts.get("t", "")
    if not (stamp.isascii() and stamp.isdecimal()) or abs(now - int(stamp)) > most_s:
        return False
    return hmac.compare_digest(signature(key, body, int(stamp)), given)
