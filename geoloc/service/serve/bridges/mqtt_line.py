"""A connection to an MQTT broker from an event loop: what comes is acknowledged by hand, what goes is waited for.

paho-mqtt works in a thread of its own; everything here is called in the loop, but for what says so.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from geoloc.errors import InputError
from geoloc.service.serve.bridges.options import MqttOptions, address_of, login

if TYPE_CHECKING:
    import paho.mqtt.client as paho
    from paho.mqtt.properties import Properties

LOGIN = "GEOLOC_MQTT"  # how names of the environment begin
KEEPALIVE_S = 20
FIRST_WAIT_S, LONGEST_WAIT_S = 1, 30  # between tries to connect
QOS = 1
PORTS = {"mqtt": 1883, "mqtts": 8883}

logger = logging.getLogger(__name__)


class MqttLine:
    """One session at a broker, which keeps what is not acknowledged while nobody is connected."""

    def __init__(
        self, options: MqttOptions, client_id: str, topics: Iterable[str],
        hear: "Callable[[int, paho.MQTTMessage], None]", will: tuple[str, bytes] | None = None,
    ) -> None:  # fmt: skip
        self.connected = asyncio.Event()
        self.generation = 0  # of the connection: a message may only be acknowledged over the one that brought it
        self._topics, self._hear = tuple(topics), hear
        self._published: dict[int, asyncio.Future[None]] = {}
        self._loop = asyncio.get_running_loop()
        self._host = address_of(options.url, tuple(PORTS))
        self._client = _client(options, client_id)
        self._client.on_connect, self._client.on_disconnect = self._on_connect, self._on_disconnect
        self._client.on_message, self._client.on_publish = self._on_message, self._on_publish
        if will is not None:
            self._client.will_set(*will, qos=QOS, retain=True)
        self._options = options

    def start(self) -> None:
        """Connect, now or once the broker is there; lost connections are made again."""
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._options.session_s
        properties.ReceiveMaximum = self._options.in_flight
        port = self._host.port or PORTS[self._host.scheme]
        host = str(self._host.hostname)
        self._client.connect_async(host, port, KEEPALIVE_S, clean_start=False, properties=properties)
        self._client.loop_start()

    def stop(self) -> None:
        """Leave; the broker keeps the session. It waits for the connection's thread."""
        self._client.disconnect()
        self._client.loop_stop()

    async def publish(
        self, topic: str, data: bytes, retain: bool = False, properties: "Properties | None" = None
    ) -> None:
        """Publish, and wait until the broker has it, over lost connections."""
        info = self._client.publish(topic, data, QOS, retain, properties)
        taken = self._loop.create_future()
        self._published[info.mid] = taken
        try:
            await taken
        finally:
            self._published.pop(info.mid, None)

    def acknowledge(self, generation: int, message: "paho.MQTTMessage") -> None:
        """The broker may forget a message, unless another connection came meanwhile: then it brings it again."""
        if message.qos and generation == self.generation:
            self._client.ack(message.mid, message.qos)

    # ---- in the connection's thread

    def _on_connect(self, client: object, data: object, flags: object, reason: object, properties: object) -> None:
        if getattr(reason, "is_failure", False):
            logger.warning("MQTT broker %s: refused (%s); it is tried again", self._host.hostname, reason)
            return
        if self._topics:
            self._client.subscribe([(topic, QOS) for topic in self._topics])
        self._loop.call_soon_threadsafe(self._is_connected, True)

    def _on_disconnect(self, *args: object) -> None:
        self._call(self._is_connected, False)

    def _on_message(self, client: object, data: object, message: "paho.MQTTMessage") -> None:
        # the number is that of this thread's own order: a lost connection is told before messages of the next one
        self._call(lambda: self._hear(self.generation, message))

    def _on_publish(self, client: object, data: object, mid: int, *rest: object) -> None:
        self._call(self._is_published, mid)

    def _call(self, what: Callable[..., None], *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *args)

    # ---- in the loop again

    def _is_connected(self, now: bool) -> None:
        self.generation += 1
        (self.connected.set if now else self.connected.clear)()
        logger.info("MQTT broker %s: %s", self._host.hostname, "connected" if now else "connection lost")

    def _is_published(self, mid: int) -> None:
        taken = self._published.get(mid)
        if taken is not None and not taken.done():
            taken.set_result(None)


def require_paho() -> None:
    """InputError where the library is not installed."""
    try:
        import paho.mqtt.client  # noqa: F401
    except ImportError as error:
        raise InputError(f"MQTT needs the extra 'mqtt' ({error}): pip install 'geoloc[mqtt]'") from error


def _client(options: MqttOptions, client_id: str) -> "paho.Client":
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5, manual_ack=True)
    client.reconnect_delay_set(FIRST_WAIT_S, LONGEST_WAIT_S)
    user, password = login(options.login_file, LOGIN)
    if user:
        client.username_pw_set(user, password)
    if address_of(options.url, tuple(PORTS)).scheme == "mqtts":
        client.tls_set_context(tls_context(options.ca_file))
    return client


def tls_context(ca_file: str) -> ssl.SSLContext:
    """What a server's certificate is checked with."""
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{ca_file}: no certificates ({error})") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
