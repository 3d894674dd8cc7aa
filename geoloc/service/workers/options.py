"""How workers hold their sites, and how much of a site's past a take-over has to work off again."""

from dataclasses import dataclass

from geoloc.options import check_range


@dataclass(frozen=True)
class WorkerOptions:
    """Options of a worker; those of one register should agree."""

    lease_s: float = 10.0  # a worker that the register did not hear of for so long has lost its sites
    snapshot_s: float = 30.0  # between two snapshots of a site
    snapshot_messages: int = 20_000  # and after so many messages at the latest: they wait in the stream until then
    ahead: int = 64  # messages that a site's engine has and whose outcome is not told yet
    again_s: float = 10.0  # before a site that failed here is tried here again
    keep_tracks_s: float = 3600.0  # whole tracks stay in their stream, for stores to take them
    keep_history_s: float = 86_400.0  # and objects' ways in the snapshots

    def __post_init__(self) -> None:
        check_range(self, lease_s=(0.5, 3600), snapshot_s=(0.1, 3600), snapshot_messages=(1, 10_000_000))
        check_range(self, ahead=(1, 10_000), again_s=(0.1, 3600), keep_tracks_s=(1, 1e9), keep_history_s=(0, 1e12))
