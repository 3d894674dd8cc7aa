"""What a bridge is, and how names of sites and cameras are written in topics and subjects."""

from collections import Counter
from typing import Protocol
from urllib.parse import quote


class Bridge(Protocol):
    """A way in or out that lives as long as the service: `run` until it is cancelled, whatever its other end does."""

    name: str  # that figures and logs show
    counts: Counter[str]  # messages, by what became of them

    @property
    def connected(self) -> bool:
        """Whether the other end is there, as far as is known."""

    async def run(self) -> None:
        """Work until cancelled; what the other end does is logged, and tried again."""


def topic_part(name: str) -> str:
    """A name as one part of a topic or subject: letters, digits, - and _ stay, the rest is percent-encoded."""
    return quote(name, safe="").replace(".", "%2E").replace("~", "%7E")
