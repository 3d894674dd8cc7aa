"""How the stores do, for Prometheus."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from geoloc.service.store.writer import StoreWriter

COUNTERS = {
    "windows": "Windows written to the store, revisions too",
    "rows": "Rows of tracks written to the store",
    "batches": "Transactions of the store",
    "replayed": "Records read again from the engine's log for the store",
    "overrun": "Times at which what waited for the store did not fit into memory",
    "failures": "Failures of the store",
    "lost": "Records whose log was gone before the store had them",
    "thinned": "Rows that thinning removed",
    "removed": "Windows removed by age or size",
    "busy_s": "Seconds that the store worked",
}
STATES = ("starting", "ok", "behind", "full", "down", "failed")


def store_metrics(stores: Mapping[str, StoreWriter | None]) -> Iterator[Metric]:
    """The figures of each site's store, where it has one."""
    there = {site: store for site, store in stores.items() if store is not None}
    for name, help_text in COUNTERS.items():
        counter = CounterMetricFamily(
            f"geoloc_store_{name.replace('_s', '_seconds')}", help_text, labels=("site",)
        )
        for site, store in there.items():
            counter.add_metric((site,), getattr(store.figures, name))
        yield counter
    state = GaugeMetricFamily("geoloc_store_state", "1: the state that the store is in", labels=("site", "state"))
    for site, store in there.items():
        for name in STATES:
            state.add_metric((site, name), float(store.state == name))
    yield state
    gauges = {
        "behind": ("Records of the engine's that the store has not got", lambda store: store.behind),
        "rows_waiting": ("Rows that wait for the store in memory", lambda store: store.waiting),
        "bytes": ("Bytes that the store takes", lambda store: store.figures.bytes),
    }
    for name, (help_text, value) in gauges.items():
        gauge = GaugeMetricFamily(f"geoloc_store_{name}", help_text, labels=("site",))
        for site, store in there.items():
            gauge.add_metric((site,), value(store))
        yield gauge
