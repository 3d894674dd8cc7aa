"""A client that sends detections, with the standard library alone: what was not acknowledged is sent again."""

import gzip
import http.client
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import quote, urlsplit

import numpy as np

from geoloc.errors import InputError
from geoloc.scene.tables import Detections
from geoloc.service.serve.heard import lines_of

AGAIN = (429, 503)  # nothing was taken, and the same again may be
LONGEST_WAIT_S = 5.0


@dataclass
class Sent:
    """What a sender did so far."""

    batches: int = 0
    rows: int = 0
    again: int = 0  # tries that were refused or lost, and made again
    took_s: list[float] = field(default_factory=list)  # of each batch, from its first try to its receipt


class Sender:
    """Sends batches to one site of a service, each until it is acknowledged.

    A batch whose receipt was lost is sent again; the engine knows frames that it has, and counts them.
    """

    def __init__(self, url: str, site: str, token: str, patience_s: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise InputError(f"{url!r}: give the address of a service, such as http://localhost:8000")
        self.sent = Sent()
        self._patience_s = patience_s
        self._path = f"{parts.path.rstrip('/')}/v1/sites/{quote(site, safe='')}"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._line: http.client.HTTPConnection
        if parts.scheme == "https":
            self._line = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=30, context=ssl.create_default_context()
            )
        else:
            self._line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)

    def __enter__(self) -> "Sender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()

    def send(self, detections: Detections) -> int:
        """Send whole frames; the number of the record that they are in. InputError where they are refused for good."""
        body = gzip.compress(lines_of(detections), 1)
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        start = time.monotonic()
        record = self._post("detections", body, headers)
        self.sent.took_s.append(time.monotonic() - start)
        self.sent.batches += 1
        self.sent.rows += len(detections)
        return record

    def finish(self) -> int:
        """No more comes: the windows that wait are closed."""
        return self._post("finish", b"", {})

    def _post(self, what: str, body: bytes, headers: dict[str, str]) -> int:
        until, wait_s = time.monotonic() + self._patience_s, 0.05
        while True:
            said = ""
            try:
                self._line.request("POST", f"{self._path}/{what}", body, {**self._headers, **headers})
                response = self._line.getresponse()
                answer, status = response.read(), response.status
                if status == 200:
                    return int(json.loads(answer)["record"])
                said = f"{status}: {_why(answer)}"
                if status not in AGAIN:
                    raise InputError(f"refused, {said}")
                wait_s = max(wait_s, min(float(response.getheader("Retry-After", "0")), 1.0))
            except (OSError, http.client.HTTPException) as error:
                said = said or str(error) or type(error).__name__
                self._line.close()
            if time.monotonic() + wait_s > until:
                raise InputError(f"not acknowledged in {self._patience_s:g} s ({said}); is geoloc serve running there?")
            self.sent.again += 1
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _why(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"])[:300]
    except (ValueError, KeyError, TypeError):
        return "no reason given"


def batches_of(detections: Detections, batch_s: float) -> Iterator[tuple[float, Detections]]:
    """A recording in order of time, in batches of `batch_s` s of it: the time (s) of each one's last frame, and it."""
    finite = np.flatnonzero(np.isfinite(detections.time))
    if not len(finite):
        return
    table = detections.take(finite[np.argsort(detections.time[finite], kind="stable")])
    number = np.floor((table.time - table.time[0]) / batch_s + 1e-9)
    edges = np.flatnonzero(np.r_[True, np.diff(number) > 0, True])
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        batch = table.take(slice(start, stop))
        yield float(batch.time[-1]), batch
