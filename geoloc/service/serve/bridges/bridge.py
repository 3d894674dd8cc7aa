"""What a bridge is, and how names of sites and cameras are written in topics and subjects."""

import asyncio
import logging
from collections import Counter
from typing import Protocol
from urllib.parse import quote

AGAIN_S = 5.0

logger = logging.getLogger(__name__)


class Bridge(Protocol):
    """A way in or out that lives as long as the service: `run` until it is cancelled, whatever its other end does."""

    name: str  # that figures and logs show
    counts: Counter[str]  # messages, by what became of them

    @property
    def connected(self) -> bool:
        """Whether the other end is there, as far as is known."""

    async def run(self) -> None:
        """Work until cancelled; what the other end does is logged, and tried again."""


async def keep_running(bridge: Bridge) -> None:
    """Run a bridge until cancelled; what ends it otherwise is logged, and it begins anew."""
    while still_wanted():
        try:
            await bridge.run()
        except Exception:
            still_wanted()  # several things may go wrong as it ends
            logger.exception("%s: it has stopped, and begins anew", bridge.name)
        await asyncio.sleep(AGAIN_S)


def still_wanted() -> bool:
    """True; CancelledError where the task was cancelled, and something below took that for a fault of its own."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    return True


def topic_part(name: str) -> str:
    """A name as one part of a topic or subject: letters, digits, - and _ stay, the rest is percent-encoded."""
    return quote(name, safe="").replace(".", "%2E").replace("~", "%7E")
