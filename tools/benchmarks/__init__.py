"""The benchmarks by name: each a function that measures and gives rows."""

from collections.abc import Callable

from benchmarks.bundle import bench_bundle
from benchmarks.drift_checks import bench_drift_checks
from benchmarks.edge import bench_edge
from benchmarks.engine import bench_engine
from benchmarks.gospa import bench_gospa
from benchmarks.hours import bench_hours
from benchmarks.journal import bench_journal
from benchmarks.k_reciprocal import bench_k_reciprocal
from benchmarks.layout import bench_layout
from benchmarks.linking import bench_linking
from benchmarks.metrics import bench_metrics
from benchmarks.onnx_detect import bench_onnx_detect
from benchmarks.projection import bench_projection
from benchmarks.relocalization import bench_relocalization
from benchmarks.row import Row
from benchmarks.search_index import bench_search_index
from benchmarks.startup import bench_startup
from benchmarks.trackers import bench_trackers
from benchmarks.triangulation import bench_triangulation

BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "projection": bench_projection,
    "engine": bench_engine,
    "journal": bench_journal,
    "hours": bench_hours,
    "edge": bench_edge,
    "layout": bench_layout,
    "trackers": bench_trackers,
    "triangulation": bench_triangulation,
    "bundle": bench_bundle,
    "linking": bench_linking,
    "gospa": bench_gospa,
    "metrics": bench_metrics,
    "relocalization": bench_relocalization,
    "drift_checks": bench_drift_checks,
    "k_reciprocal": bench_k_reciprocal,
    "search_index": bench_search_index,
    "onnx_detect": bench_onnx_detect,
    "startup": bench_startup,
}
