"""Asking a server: how long, how often, and what is said when it does not answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.options import check_range, merge_options

Answer = TypeVar("Answer")
Options = TypeVar("Options")


class Unanswered(Exception):
    """One request was not answered, or answered in part; the same request may succeed later."""


class NoAnswer(InputError):
    """A server gave no whole answer, however often it was asked."""


class NotAcknowledged(NoAnswer):
    """Rows that a server did not acknowledge; they wait in the index's queue. `ids` (M,): which."""

    def __init__(self, said: str, ids: np.ndarray) -> None:
        super().__init__(said)
        self.ids = ids


@dataclass(frozen=True)
class Sending:
    """How a server is asked."""

    timeout: float = 30.0  # s, of one request
    tries: int = 4  # of one request, the first one counted
    wait: float = 0.2  # s before the second try; doubles from try to try
    longest_wait: float = 5.0  # s
    batch: int = 1000  # rows of one request that adds
    queue: str = ""  # a folder for rows that were not acknowledged, so that they outlive the process; empty: memory
    queue_rows: int = 100_000  # while so many wait, no more are taken in
    password_file: str = ""  # a file that holds the server's password; empty: the environment has it, see `passwords`

    def __post_init__(self) -> None:
        check_range(self, timeout=(1e-3, 3600), tries=(1, 100), wait=(0, 60), longest_wait=(0, 600))
        check_range(self, batch=(1, 100_000), queue_rows=(0, 10**9))

    def pause(self, tries: int, rng: np.random.Generator) -> float:
        """Seconds to wait after so many tries: half of it by chance, so that many clients do not come back at once."""
        return min(self.wait * 2.0 ** (tries - 1), self.longest_wait) * (0.5 + 0.5 * rng.random())


def ask(request: Callable[[], Answer], what: str, sending: Sending, rng: np.random.Generator) -> Answer:
    """The answer to a request that may be repeated; NoAnswer, which says `what`, after the last try."""
    start, tries = time.monotonic(), 0
    while True:
        tries += 1
        try:
            return request()
        except Unanswered as fault:
            if tries == sending.tries:
                said = f"no answer in {tries} tries over {time.monotonic() - start:.1f} s ({fault})"
                raise NoAnswer(f"{what}: {said}; see that the server runs and can be reached") from fault
        time.sleep(sending.pause(tries, rng))


def settings_of(name: str, options: Options, settings: dict[str, object]) -> tuple[Options, Sending]:
    """A backend's settings and how it is asked, from the settings given by name."""
    sending = {field.name for field in fields(Sending)}
    own = {field.name for field in fields(options)}  # type: ignore[arg-type]
    strange = next((key for key in settings if key not in sending | own), None)
    if strange is not None:
        raise unknown_name("setting", strange, sending | own, f"index {name!r}")
    given = {key: value for key, value in settings.items() if key in sending}
    kept = {key: value for key, value in settings.items() if key in own}
    return merge_options(options, kept), merge_options(Sending(), given)

