"""How much of what was told is kept, how finely, and how much may wait."""

from dataclasses import dataclass

from geoloc.options import check_range


@dataclass(frozen=True)
class StoreOptions:
    """A site's store; all ages are by the time of its windows, against that of the newest."""

    flush_s: float = 0.5  # what was told is written in batches, at most so much later where nothing holds it up
    batch_rows: int = 20_000  # of a transaction, about
    max_waiting: int = 100_000  # rows that wait in memory; beyond them it is read again from the engine's log
    hold_log: int = 1 << 30  # bytes of the engine's log that are kept for a store that is behind; beyond: a gap, said
    tentative: bool = False  # keep what may be nothing, too
    tidy_s: float = 5.0  # between two rounds of thinning and removing
    thin_after_s: float = 3600.0  # older ways are thinned to keys; 0: never
    thin_error: float = 0.1  # m, by which a straight way between two keys may miss what was said of it
    keep_s: float = 30 * 86400.0  # what is older is removed
    keep_bytes: int = 10 << 30  # of the store; beyond them the oldest is removed
    keep_free: int = 256 << 20  # bytes of the disk that are left to others: below, the oldest is removed

    def __post_init__(self) -> None:
        check_range(self, flush_s=(0, 3600), batch_rows=(1, 10_000_000), max_waiting=(1, 100_000_000))
        check_range(self, hold_log=(0, 1 << 50), tidy_s=(0.01, 1e6), thin_after_s=(0, 1e12))
        check_range(self, thin_error=(1e-6, 1e3), keep_s=(1, 1e12), keep_bytes=(1 << 18, 1 << 60))
        check_range(self, keep_free=(0, 1 << 60))
