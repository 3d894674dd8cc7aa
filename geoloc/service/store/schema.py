"""The schema of a store, the same for every database: numbered steps, each of which brings an older one up to date.

    store        what the store is of: schema, site, the engine's record that it has reached, ...
    windows      the windows that it holds, each one once, in its final revision
    positions    a row a track and step, see `io.store_rows`
    events       what became of whom, by their ids
    occupancy    the stalls whose occupant changed in a window; object 0: free, -1: one that was forgotten
    cameras      each camera's health from time to time
"""

from collections.abc import Mapping

VERSION = 2
STEPS: dict[int, tuple[str, ...]] = {
    1: (
        "CREATE TABLE windows (number {int} NOT NULL PRIMARY KEY, time {real} NOT NULL, n {int} NOT NULL)",
        "CREATE TABLE positions (fid {fid}, geom {geom}, win {int} NOT NULL, step {int} NOT NULL, "
        "track {int} NOT NULL, object {int} NOT NULL, time {real} NOT NULL, level {text} NOT NULL, "
        "level_probability {real}, x {real} NOT NULL, y {real} NOT NULL, z {real}, vx {real}, vy {real}, "
        "lon {real}, lat {real}, sigma {real} NOT NULL, label {text} NOT NULL, state {text} NOT NULL, "
        "life {text} NOT NULL, score {real}, revision {int} NOT NULL, cov {blob} NOT NULL)",
        "CREATE UNIQUE INDEX positions_said ON positions (win, step, track)",
        "CREATE INDEX positions_way ON positions (track, time)",
        "CREATE TABLE events (id {int} NOT NULL PRIMARY KEY, time {real} NOT NULL, kind {text} NOT NULL, "
        "number {int} NOT NULL, others {text} NOT NULL, probability {real} NOT NULL, why {text} NOT NULL, "
        "cameras {text} NOT NULL, since {real}, until {real})",
    ),
    2: (
        "ALTER TABLE positions ADD COLUMN dropped {int} NOT NULL DEFAULT 0",
        "ALTER TABLE positions ADD COLUMN off {real} NOT NULL DEFAULT 0",
        "CREATE TABLE occupancy (win {int} NOT NULL, time {real} NOT NULL, stall {text} NOT NULL, "
        "level {text} NOT NULL, object {int} NOT NULL, PRIMARY KEY (win, level, stall))",
        "CREATE INDEX occupancy_stall ON occupancy (level, stall, win)",
        "CREATE TABLE cameras (time {real} NOT NULL, camera {text} NOT NULL, state {text} NOT NULL, heard {real}, "
        "clock_offset {real}, clock_sigma {real}, PRIMARY KEY (time, camera))",
    ),
}
HEAD = "CREATE TABLE store (name {text} NOT NULL PRIMARY KEY, value {text} NOT NULL)"
TABLES = ("windows", "positions", "events", "occupancy", "cameras")


def statements(version: int, types: Mapping[str, str]) -> list[str]:
    """What brings a schema to `version` from the one before, in a database's own `types`."""
    return [text.format(**types) for text in STEPS[version]]
