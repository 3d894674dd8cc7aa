"""What a run says about itself: for people on stdout, for machines as JSON beside the result."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from geoloc import __version__
from geoloc.files import write_whole
from geoloc.geometry.gaussian import worst_sigma
from geoloc.io.rows import ReadReport
from geoloc.options import options_to_dict
from geoloc.pipeline.clocks import Clocks
from geoloc.scene.tables import Detections, Tracks


@dataclass
class RunReport:
    """Counts and figures of one run of the engine over a recording."""

    site: str
    rows_read: int = 0
    rows_skipped: dict[str, int] = field(default_factory=dict)  # malformed, by reason, while reading
    rows_dropped: dict[str, int] = field(default_factory=dict)  # not usable, by reason, by the engine
    notes: list[str] = field(default_factory=list)
    cameras: int = 0
    camera_frames: int = 0
    windows: int = 0
    recording_s: float = 0.0
    prepare_s: float = 0.0  # what the cameras see of the map, computed once
    engine_s: float = 0.0
    camera_frames_per_s: float = 0.0
    tracks: int = 0
    positions: int = 0
    sigma_median_m: float | None = None  # largest direction, noise and bias together; None without a position
    sigma_p95_m: float | None = None
    packets: dict[str, int] = field(default_factory=dict)  # rows not taken, and frames late or out of order, by reason
    clocks: dict[str, str] = field(default_factory=dict)  # of each camera that was looked at before the run
    clock_offsets_s: dict[str, float] = field(default_factory=dict)  # what was learned of each camera in the run
    clock_sigmas_s: dict[str, float] = field(default_factory=dict)
    clock_jumps: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def add_reading(self, reports: list[ReadReport]) -> None:
        """What the readers left out."""
        skipped: Counter[str] = Counter()
        for report in reports:
            skipped.update({reason: item.count for reason, item in report.skipped.items()})
            self.notes += [f"{report.path}: {note}" for note in report.notes]
            self.rows_read += report.n_rows + report.n_skipped
        self.rows_skipped = dict(skipped.most_common())

    def add_frames(self, detections: Detections) -> None:
        """How much was looked at."""
        frames = set(zip(detections.camera.tolist(), detections.time.tolist(), strict=True))
        self.cameras, self.camera_frames = len({camera for camera, _ in frames}), len(frames)
        if len(detections):
            self.recording_s = float(np.nanmax(detections.time) - np.nanmin(detections.time))

    def add_run(self, windows: int, dropped: Counter[str], seconds: float) -> None:
        """What the engine did, and how fast."""
        self.windows, self.engine_s = windows, round(seconds, 3)
        self.rows_dropped = dict(dropped.most_common())
        self.camera_frames_per_s = round(self.camera_frames / seconds, 1) if seconds > 0 else 0.0

    def add_clocks(self, clocks: Clocks) -> None:
        """What was learned of the cameras' clocks."""
        for one in clocks.report():
            self.clock_offsets_s[one.camera] = round(one.offset, 4)
            self.clock_sigmas_s[one.camera] = round(one.sigma, 4)
        self.clock_jumps = [
            f"camera {jump.camera} at {jump.time:.1f}: clock jumped by {jump.size:+.2f} s (sigma {jump.sigma:.2f} s)"
            for jump in clocks.jumps
        ]

    def add_tracks(self, tracks: Tracks) -> None:
        """What came out."""
        self.tracks, self.positions = len(np.unique(tracks.track)), len(tracks)
        if len(tracks):
            sigma = worst_sigma(tracks.position_cov)
            self.sigma_median_m = round(float(np.median(sigma)), 4)
            self.sigma_p95_m = round(float(np.quantile(sigma, 0.95)), 4)

    def __str__(self) -> str:
        skipped, dropped = sum(self.rows_skipped.values()), sum(self.rows_dropped.values())
        lines = [f"read       {self.rows_read:,} rows; {skipped:,} skipped as malformed"]
        lines += [f"             {count:,} x {reason}" for reason, count in self.rows_skipped.items()]
        lines += [f"             note: {note}" for note in self.notes]
        lines += [f"dropped    {dropped:,} rows that the engine could not use"]
        lines += [f"             {count:,} x {reason}" for reason, count in self.rows_dropped.items()]
        lines += [f"packets    {count:,} x {reason}" for reason, count in self.packets.items()]
        lines += [f"clock      {name}: {said}" for name, said in self.clocks.items()]
        lines += [f"clock      {said}" for said in self.clock_jumps]
        lines += [
            f"engine     {self.windows:,} windows, {self.camera_frames:,} frames of {self.cameras} cameras, "
            f"{self.recording_s:,.1f} s of recording in {self.engine_s:,.2f} s: "
            f"{self.camera_frames_per_s:,.0f} camera frames a second",
            f"tracks     {self.tracks:,} with {self.positions:,} positions{self._sigmas()}",
        ]
        return "\n".join(lines + [f"wrote      {path}" for path in self.written])

    def _sigmas(self) -> str:
        if self.sigma_median_m is None:
            return ""
        return f"; sigma {self.sigma_median_m:.2f} m (median), {self.sigma_p95_m:.2f} m (95 %)"


def record(command: str, options: object, report: RunReport) -> str:
    """The run as JSON: version, command, effective options, report."""
    content = {
        "geoloc": __version__,
        "command": command,
        "options": options_to_dict(options),
        "report": asdict(report),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def write_record(path: Path, command: str, options: object, report: RunReport) -> None:
    """Write that JSON beside a result."""
    write_whole(path, record(command, options, report))
