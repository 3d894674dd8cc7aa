"""How brokers and webhooks are reached; a TOML file, secrets in files of their own or in the environment."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from geoloc.errors import InputError
from geoloc.files import read_text
from geoloc.options import check_range, merge_options
from geoloc.pipeline.lineage import SAID, TOLD
from geoloc.scene import jsonfile

MQTT, NATS = ("mqtt", "mqtts"), ("nats", "tls")  # schemes of addresses
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class MqttOptions:
    """An MQTT broker (version 5)."""

    url: str = ""  # mqtt://host:1883 or mqtts://host:8883; empty: none
    login_file: str = ""  # two lines, user and password; else the environment: GEOLOC_MQTT_USER, GEOLOC_MQTT_PASSWORD
    ca_file: str = ""  # authorities that are trusted instead of the system's
    client_id: str = ""  # the session at the broker is kept under it; default: geoloc- and the names of the sites
    prefix: str = "geoloc"  # topics begin with it
    scenescape: bool = False  # hear scenescape/data/camera/CAMERA, too
    in_flight: int = 64  # messages that the broker may have sent and that are not acknowledged
    session_s: int = 7 * 86400  # the broker keeps what comes meanwhile for so long

    def __post_init__(self) -> None:
        check_range(self, in_flight=(1, 10_000), session_s=(0, 2**31))


@dataclass(frozen=True)
class NatsOptions:
    """A NATS server with JetStream."""

    url: str = ""  # nats://host:4222 or tls://host:4222; empty: none
    login_file: str = ""  # two lines, user and password; else the environment: GEOLOC_NATS_USER, GEOLOC_NATS_PASSWORD
    ca_file: str = ""
    prefix: str = "geoloc"  # subjects begin with it
    in_flight: int = 256  # messages that were delivered and are not acknowledged: JetStream's max_ack_pending
    ack_s: float = 30.0  # after which a message that was not acknowledged is delivered again
    max_bytes: int = 1 << 30  # of detections that wait in the stream; beyond them the server takes no more
    keep_s: float = 7 * 86400.0  # events stay in their stream

    def __post_init__(self) -> None:
        check_range(self, in_flight=(1, 100_000), ack_s=(1, 3600), max_bytes=(1 << 20, 1 << 50), keep_s=(1, 1e9))


@dataclass(frozen=True)
class WebhookOptions:
    """An address that events are posted to."""

    url: str = ""
    secret_file: str = ""  # holds the key of the signatures
    sites: tuple[str, ...] = ()  # none: every one
    kinds: tuple[str, ...] = ()  # of events; none: every one
    timeout_s: float = 10.0
    retry_s: float = 1.0  # after the first failure; doubled after each further one
    retry_max_s: float = 300.0

    def __post_init__(self) -> None:
        check_range(self, timeout_s=(0.1, 600), retry_s=(0.01, 3600), retry_max_s=(0.01, 86400))


@dataclass(frozen=True)
class BridgeOptions:
    """All ways in and out besides HTTP and WebSocket."""

    mqtt: MqttOptions = field(default_factory=MqttOptions)
    nats: NatsOptions = field(default_factory=NatsOptions)
    webhooks: Mapping[str, WebhookOptions] = field(default_factory=dict)


def read_bridges(path: Path) -> BridgeOptions:
    """The options of a file: tables [mqtt], [nats] and [webhook.NAME]."""
    try:
        found = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML ({error})") from error
    with jsonfile.naming(path):
        jsonfile.check_keys("the file", found, (), ("mqtt", "nats", "webhook"))
        hooks = jsonfile.mapping("webhook", found.get("webhook", {}))
        webhooks = {name: merge_options(WebhookOptions(), hook, f"webhook.{name}.") for name, hook in hooks.items()}
        for name, hook in webhooks.items():
            _check_webhook(name, hook)
        mqtt = merge_options(MqttOptions(), found.get("mqtt", {}), "mqtt.")
        nats = merge_options(NatsOptions(), found.get("nats", {}), "nats.")
        for url, schemes in ((mqtt.url, MQTT), (nats.url, NATS)):
            if url:
                address_of(url, schemes)
        return BridgeOptions(mqtt, nats, webhooks)


def _check_webhook(name: str, hook: WebhookOptions) -> None:
    parts = address_of(hook.url, ("https", "http"))
    if parts.scheme == "http" and parts.hostname not in LOCAL:
        raise InputError(f"webhook {name!r}: others could read it on the way; give an https address")
    if not hook.secret_file:
        raise InputError(f"webhook {name!r}: give secret_file, which holds the key of its signatures")
    for kind in hook.kinds:
        if kind not in SAID | TOLD:
            raise InputError(f"webhook {name!r}: unknown kind {kind!r}; known: {', '.join(SAID | TOLD)}")


def address_of(url: str, schemes: tuple[str, ...]) -> SplitResult:
    """An address, checked; InputError, which never shows a password, where it has one in it or is none."""
    parts = urlsplit(url)
    try:
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        port_fits = False
    if parts.username or parts.password:
        raise InputError(f"the address of {parts.hostname}: leave user and password out; they go into a file")
    if parts.scheme not in schemes or not parts.hostname or not port_fits:
        raise InputError(f"{url[:80]!r}: give an address such as {schemes[0]}://localhost")
    return parts


def login(file: str, environment: str) -> tuple[str, str]:
    """User and password of a file of two lines, or of the environment; two empty texts: none."""
    if not file:
        return os.environ.get(f"{environment}_USER", ""), os.environ.get(f"{environment}_PASSWORD", "")
    lines = read_text(Path(file)).splitlines()
    if len(lines) != 2 or not all(line.strip() for line in lines):
        raise InputError(f"{file}: must hold two lines, user and password")
    return lines[0].strip(), lines[1].strip()


def secret(file: str) -> bytes:
    """The key that a file holds."""
    text = read_text(Path(file)).strip()
    if len(text) < 16:
        raise InputError(f"{file}: the key of signatures must have 16 characters at least")
    return text.encode()
