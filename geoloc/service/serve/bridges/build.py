"""The bridges that the options ask for."""

from collections.abc import Mapping

from geoloc.errors import unknown_name
from geoloc.service.serve.bridges.bridge import Bridge
from geoloc.service.serve.bridges.jetstream import NatsBridge
from geoloc.service.serve.bridges.mqtt import MqttBridge
from geoloc.service.serve.bridges.options import BridgeOptions
from geoloc.service.serve.bridges.webhooks import Webhook
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.service import ServedSite


def build_bridges(options: BridgeOptions, sites: Mapping[str, ServedSite], serve: ServeOptions) -> list[Bridge]:
    """Checked as far as can be without the other end; InputError says what is wrong."""
    found: list[Bridge] = []
    if options.mqtt.url:
        found.append(MqttBridge(options.mqtt, sites, serve))
    if options.nats.url:
        found.append(NatsBridge(options.nats, sites, serve))
    for name, hook in options.webhooks.items():
        for site in hook.sites:
            if site not in sites:
                raise unknown_name("site", site, sites, f"webhook {name!r}")
        found.append(Webhook(name, hook, sites))
    return found
