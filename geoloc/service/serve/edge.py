"""A small machine beside its cameras: the same service on one core and little memory and disk.

`--edge` sets these; `--limit`, `--keep` and `--set` change them still.
"""

from concurrent.futures import ThreadPoolExecutor

from geoloc.pipeline.journal_options import JournalOptions
from geoloc.service.serve.options import ServeOptions
from geoloc.service.store.options import StoreOptions

WORKERS = 3  # threads that read bodies and answer questions

LIMITS = ServeOptions(
    max_body=1 << 20, max_unpacked=4 << 20, max_readers=2, max_waiting=5000, rows_per_s=5000.0, requests_per_s=200.0,
    max_sockets=20, behind=200,
)  # fmt: skip
STORE = StoreOptions(
    flush_s=2.0, batch_rows=2000, max_waiting=10_000, hold_log=64 << 20, tidy_s=2.0, thin_after_s=600.0,
    keep_bytes=512 << 20, keep_free=128 << 20,
)  # fmt: skip
JOURNAL = JournalOptions(sync_s=1e9, snapshot_s=60.0, keep_log_s=0.0, keep_history_s=86400.0, compression=1)


def make_executor() -> ThreadPoolExecutor:
    """The threads beside the engine's."""
    return ThreadPoolExecutor(WORKERS, thread_name_prefix="edge")
