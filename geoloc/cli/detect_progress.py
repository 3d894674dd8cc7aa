"""What a long detection has so far, beside its result: an interrupted one goes on where it stopped."""

import hashlib
import io
import json
import time as clock
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import write_whole
from geoloc.scene.tables import Detections

EVERY_S = 30.0  # of work
COLUMNS = ("time", "camera", "box", "label", "score", "foot", "foot_cov")


class Progress:
    """Rows, what the detector learned, and up to what time; in one file beside the result."""

    def __init__(self, out: Path, asked: object) -> None:
        self.path = out.with_name(f".{out.name}.part.npz")
        self.digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
        self.tables: list[Detections] = []
        self.until = -np.inf
        self.counts: Counter[str] = Counter()
        self._saved = clock.monotonic()

    def resume(self) -> dict[str, np.ndarray] | None:
        """What the detector had learned, if an earlier run of the same was interrupted."""
        if not self.path.is_file():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as held:
                arrays = {name: held[name] for name in held.files}
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{self.path}: cannot be read ({error}); remove it to begin anew") from error
        if str(arrays.pop("digest")) != self.digest:
            raise InputError(
                f"{self.path}: is left from a run with other sources or options; repeat that one, or give --anew"
            )
        rows = {name: arrays.pop(f"rows.{name}") for name in COLUMNS}
        if len(rows["time"]):
            self.tables = [Detections(id=np.arange(len(rows["time"])), **rows)]
        self.until = float(arrays.pop("until"))
        self.counts.update(json.loads(str(arrays.pop("counts"))))
        return {name.removeprefix("detector."): value for name, value in arrays.items()}

    def add(self, table: Detections, until: float) -> None:
        """Rows of frames up to a time (s)."""
        if len(table):
            self.tables.append(table)
        self.until = until

    def is_due(self) -> bool:
        """Whether so much was done since the last that it is worth keeping."""
        return clock.monotonic() - self._saved > EVERY_S

    def save(self, learned: dict[str, np.ndarray]) -> None:
        """Keep everything, whole or not at all."""
        table = self.table()
        rows = {f"rows.{name}": np.asarray(getattr(table, name)) for name in COLUMNS}
        rows = {name: v.astype(np.str_) if v.dtype.kind == "O" else v for name, v in rows.items()}
        about = {"digest": np.array(self.digest), "until": np.array(self.until)}
        about["counts"] = np.array(json.dumps(self.counts))
        held = io.BytesIO()
        np.savez(held, allow_pickle=False, **about, **rows, **{f"detector.{k}": v for k, v in learned.items()})
        write_whole(self.path, held.getvalue())
        self._saved = clock.monotonic()

    def table(self) -> Detections:
        """All rows so far."""
        whole = Detections.concat(self.tables) if self.tables else Detections()
        self.tables = [whole] if len(whole) else []
        return whole.replace(id=np.arange(len(whole)))

    def forget(self) -> None:
        """It is done, or begins anew."""
        self.path.unlink(missing_ok=True)


def problem_lines(problems: Iterable[tuple[str, Counter[str]]]) -> list[str]:
    """A line for each camera and reason for which frames were not used."""
    return [f"{camera}: {n:,} x {why}" for camera, counts in problems for why, n in counts.most_common() if n]
