"""How much of an engine's past is kept on disk."""

from dataclasses import dataclass

from geoloc.options import check_range


@dataclass(frozen=True)
class JournalOptions:
    """How much work a restart is, what the loss of power may cost, and how much of the past is kept on disk.

    All times are those of the windows. Being killed loses nothing, whatever the options are.
    """

    snapshot_s: float = 60.0  # between snapshots: what a restart has to replay at most
    sync_s: float = 1.0  # between waits for the disk: what the loss of power may cost; 0: nothing
    keep_snapshots: int = 2  # should the newest be damaged
    keep_log_s: float = 3600.0  # log that no kept snapshot needs is removed after this time
    keep_history_s: float = 30 * 86400.0  # and so are objects' ways
    compression: int = 0  # of records, as zlib's: 0 none, 1 takes a third off the log for 0.3 ms a window, 9 most

    def __post_init__(self) -> None:
        check_range(self, snapshot_s=(0, 1e9), sync_s=(0, 1e9), keep_snapshots=(1, 1000), keep_log_s=(0, 1e12))
        check_range(self, keep_history_s=(0, 1e12), compression=(0, 9))
