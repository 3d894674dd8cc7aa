"""How much the live service takes, of whom, and how long it waits."""

from dataclasses import dataclass

from geoloc.options import check_range


@dataclass(frozen=True)
class ServeOptions:
    """Limits of the service; what is beyond one is refused, never dropped silently."""

    max_body: int = 4 << 20  # bytes of a request or message as it comes
    max_unpacked: int = 16 << 20  # bytes of it unpacked
    max_readers: int = 8  # requests whose bodies are read or parsed at a time, which bounds memory
    body_s: float = 30.0  # in which a body has to come
    max_waiting: int = 50_000  # boxes that wait for a site's engine; beyond them it is refused, to be sent again
    turn_s: float = 5.0  # that a batch waits for room, in the order in which they came, before it is refused
    rows_per_s: float = 50_000.0  # boxes of one token, over a few seconds
    requests_per_s: float = 500.0  # of one token
    max_sockets: int = 200  # WebSockets open at a time
    positions_hz: float = 10.0  # positions that a client gets a second at most
    max_pixels: int = 40_000_000  # of a picture that is asked about; its bytes are within max_body
    max_questions: int = 4  # with pictures, that are answered or wait for it
    question_s: float = 60.0  # in which one has to be answered
    behind: int = 1000  # messages that a client may be behind before it is cut off
    send_s: float = 10.0  # in which a client has to take a message
    silent_s: float = 30.0  # after which a camera of which no frame came is told to be silent; frames may be empty
    stalls_s: float = 1.0  # between two looks at the stalls, while somebody watches

    def __post_init__(self) -> None:
        check_range(self, max_body=(1000, 1 << 30), max_unpacked=(1000, 1 << 32), max_readers=(1, 1000))
        check_range(self, body_s=(0.1, 3600), max_waiting=(1, 10_000_000), rows_per_s=(1, 1e9))
        check_range(self, requests_per_s=(1, 1e6), max_sockets=(1, 100_000), positions_hz=(0.01, 1000))
        check_range(self, behind=(1, 1_000_000), send_s=(0.1, 3600), stalls_s=(0.1, 3600))
        check_range(self, max_pixels=(1000, 1 << 30), max_questions=(1, 1000), question_s=(0.1, 3600))
        check_range(self, silent_s=(0.1, 1e9), turn_s=(0.001, 3600))
