"""Servers of other makers that are started on this machine, in a folder of their own, to run geoloc against."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root


def postgres_programs() -> Path | None:
    """The folder of the newest PostgreSQL that has PostGIS; None where there is none."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    found = [h for h in homes if Path(f"/usr/share/postgresql/{h.parts[-3]}/extension/postgis.control").exists()]
    return found[-1].parent if found else None


class Postgres:
    """A PostgreSQL that runs from `start` to `stop`, in a folder."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = int(one.getsockname()[1])
        self.url = f"postgresql://geoloc@127.0.0.1:{self.port}/postgres"
        self.call("initdb", "-D", str(folder / "data"), "-U", "geoloc", "-A", "trust", "-N", "--locale=C", "-E", "UTF8")

    def call(self, program: str, *words: str) -> None:
        """Run one of its programs; RuntimeError with all that was said where that fails."""
        user = UNPRIVILEGED if os.geteuid() == 0 else None
        with (self.folder / "said").open("ab") as said:
            command = [str(self.programs / program), *words]
            done = subprocess.run(command, stdout=said, stderr=said, cwd=self.folder, user=user)
        if done.returncode != 0:
            raise RuntimeError((self.folder / "said").read_text())

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c shared_buffers=16MB"
        words = ["-D", str(self.folder / "data"), "-o", settings, "-l", str(self.folder / "log"), "-w", "start"]
        self.call("pg_ctl", *words)

    def stop(self, how: str = "fast") -> None:
        """Stop: `fast`, or `immediate` without a word to the disk."""
        self.call("pg_ctl", "-D", str(self.folder / "data"), "-m", how, "-w", "stop")


@contextmanager
def running_postgres(programs: Path) -> Iterator[Postgres]:
    """A new PostgreSQL in a temporary folder, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="geoloc-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, UNPRIVILEGED)
        server = Postgres(programs, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)
