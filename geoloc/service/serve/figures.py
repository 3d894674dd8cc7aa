"""What Prometheus reads: requests, and each site's engine and listeners."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from geoloc.service.serve.service import LiveService
from geoloc.service.store.metrics import store_metrics

COUNTERS = {
    "batches": "Batches acknowledged",
    "rows": "Boxes acknowledged",
    "windows": "Windows closed or revised",
    "revised": "Windows revised by late frames",
    "failed": "Batches that were not acknowledged",
    "busy_s": "Seconds that the engine worked",
}


class ServiceFigures:
    """A collector over a service; `text` is what is read."""

    def __init__(self, service: LiveService) -> None:
        self._service = service
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """All figures in Prometheus's text form."""
        return bytes(generate_latest(self._registry))

    def collect(self) -> Iterator[Metric]:
        """The figures as they are now."""
        requests = CounterMetricFamily("geoloc_requests", "Requests answered", labels=("route", "status"))
        for (route, status), count in sorted(self._service.requests.items()):
            requests.add_metric((route, str(status)), count)
        yield requests
        yield GaugeMetricFamily("geoloc_sockets", "WebSockets open", value=self._service.sockets)
        yield GaugeMetricFamily("geoloc_started_seconds", "When the service began", value=self._service.started)
        for name, help_text in COUNTERS.items():
            family = CounterMetricFamily(f"geoloc_{name.replace('_s', '_seconds')}", help_text, labels=("site",))
            for site, served in self._service.sites.items():
                family.add_metric((site,), getattr(served.engine.figures, name))
            yield family
        yield from self._refused()
        yield from self._gauges()
        yield from store_metrics({name: served.store for name, served in self._service.sites.items()})
        yield from self._bridges()

    def _refused(self) -> Iterator[Metric]:
        refused = CounterMetricFamily("geoloc_rows_unused", "Boxes that could not be used", labels=("site", "reason"))
        for site, served in self._service.sites.items():
            for reason, count in served.engine.figures.refused.items():
                refused.add_metric((site, reason), count)
        yield refused

    def _bridges(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("geoloc_bridge_up", "Whether a bridge has its other end", labels=("bridge",))
        said = CounterMetricFamily("geoloc_bridge_messages", "Messages over a bridge", labels=("bridge", "what"))
        for bridge in self._service.bridges:
            up.add_metric((bridge.name,), float(bridge.connected))
            for what, count in sorted(bridge.counts.items()):
                said.add_metric((bridge.name, what), count)
        yield from (up, said)

    def _gauges(self) -> Iterator[Metric]:
        sites = self._service.sites.items()
        values: dict[str, tuple[str, list[tuple[str, float]]]] = {
            "geoloc_up": ("Whether the engine takes batches", [(n, float(s.engine.working)) for n, s in sites]),
            "geoloc_rows_waiting": ("Boxes that wait for the engine", [(n, s.engine.waiting) for n, s in sites]),
            "geoloc_objects": ("Objects that are there", [(n, len(s.hub.positions["objects"])) for n, s in sites]),
            "geoloc_listeners": ("Clients that listen", [(n, len(s.hub.listeners)) for n, s in sites]),
            "geoloc_listeners_cut_off": ("Slow clients cut off", [(n, s.hub.cut_off) for n, s in sites]),
        }
        for name, (help_text, rows) in values.items():
            family = GaugeMetricFamily(name, help_text, labels=("site",))
            for site, value in rows:
                family.add_metric((site,), value)
            yield family
