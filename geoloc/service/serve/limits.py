"""How much is taken of whom: bodies read and unpacked up to a size, and a pace for each token."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator

from geoloc.service.serve.options import ServeOptions

GZIP = 16 + zlib.MAX_WBITS
BURST_S = 3.0  # what a token did not use of its pace is kept for so long


class TooLargeError(Exception):
    """A body beyond the limits."""


class BadBodyError(Exception):
    """A body that is not what its headers say, or does not come."""


async def read_body(chunks: AsyncIterator[bytes], encoding: str, options: ServeOptions) -> bytes:
    """A body, unpacked where it is gzip; TooLargeError as soon as it is, before the rest is read or unpacked."""
    press = zlib.decompressobj(GZIP) if encoding == "gzip" else None
    taken, parts, size = 0, list[bytes](), 0
    try:
        async with asyncio.timeout(options.body_s):
            async for chunk in chunks:
                taken += len(chunk)
                if taken > options.max_body:
                    raise TooLargeError(f"more than {options.max_body} bytes; send smaller batches")
                part = press.decompress(chunk, options.max_unpacked - size + 1) if press is not None else chunk
                size += len(part)
                parts.append(part)
                if size > options.max_unpacked:
                    raise TooLargeError(f"more than {options.max_unpacked} bytes unpacked; send smaller batches")
    except zlib.error as error:
        raise BadBodyError("is no gzip, though its Content-Encoding says so") from error
    except TimeoutError as error:
        raise BadBodyError(f"did not come within {options.body_s:g} s") from error
    if press is not None and (not press.eof or press.unused_data):
        raise BadBodyError("is no whole gzip member")
    return b"".join(parts)


class Pace:
    """A budget that fills up by `rate` a second, for `BURST_S` at most."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left, self._at = rate * BURST_S, time.monotonic()

    def wait_s(self, n: float) -> float:
        """Take `n`, and 0; or nothing, and the seconds after which it may be tried again.

        More than the whole budget is taken once that is full, and is owed.
        """
        now = time.monotonic()
        self._left = min(self._left + (now - self._at) * self._rate, self._rate * BURST_S)
        self._at = now
        short = min(n, self._rate * BURST_S) - self._left
        if short > 0:
            return short / self._rate
        self._left -= n
        return 0.0
