"""`geoloc serve` and `geoloc replay` end to end, and what they refuse before anything is begun."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from geoloc.cli.main import main
from geoloc.io.track_store import read_store

pytest.importorskip("aiohttp", reason="no aiohttp; pip install 'geoloc[serve]'")
pytest.importorskip("prometheus_client", reason="no prometheus-client; pip install 'geoloc[serve]'")

ROOT = Path(__file__).resolve().parents[2]
PLAZA = ["plaza", "--root", str(ROOT / "fixtures" / "plaza")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--state FOLDER"),
        (["--state", "s"], "serve which site"),
        (["--demo", "--port", "70000"], "--port 70000"),
        (["--demo", "--host", "0.0.0.0"], "--token-file"),
        (["--demo", "--host", "example.org"], "--token-file"),
        (["--demo", "--limit", "max_bdy=1"], "did you mean 'max_body'"),
        (["--demo", "--token-file", "nowhere.json"], "there is no such file"),
        (["plaza", *PLAZA, "--state", "s"], "one of its own"),
        (["--demo", "--store", "mysql://db"], "give file, none, or postgresql://"),
        (["--demo", "--store", "postgresql://geoloc:secret@db/geoloc"], "PGPASSFILE"),
        (["--demo", "--keep", "keep_byte=1"], "did you mean 'keep_bytes'"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["serve", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_state_that_cannot_be_gone_on_with_ends_it_at_once(tmp_path, capsys):
    (tmp_path / "plaza").mkdir()
    (tmp_path / "plaza" / "mine.txt").write_text("not a state")
    assert main(["serve", *PLAZA, "--state", str(tmp_path), "--port", "0"]) == 2
    assert "is not empty, and holds no state" in capsys.readouterr().err


def test_a_recording_is_replayed_to_a_service_that_ends_in_order(tmp_path, capsys):
    words = ["serve", *PLAZA, "--state", str(tmp_path / "state"), "--port", "0", "--edge"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = (tmp_path / "log").open("w")
    service = subprocess.Popen(
        [sys.executable, "-m", "geoloc", *words], stdout=subprocess.PIPE, stderr=log, text=True, env=environment
    )
    try:
        url, _, token = service.stdout.readline().strip().partition("#token=")
        (tmp_path / "my.token").write_text(token + "\n")
        boxes = tmp_path / "boxes.csv"
        rows = [f"{1700000000 + 0.25 * k},c7,{100 + k},435,{150 + k},543,person,0.9" for k in range(10)]
        boxes.write_text("\n".join(["time,camera,x1,y1,x2,y2,label,score", *rows]) + "\n")
        call = ["replay", str(boxes), url, "--site", "plaza", "--token-file", str(tmp_path / "my.token")]
        assert main([*call, "--speed", "9", "--finish", "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["boxes"], said["batches"]) == (10, 10)
        assert main(["replay", str(boxes), url, "--site", "plaze", "--token-file", str(tmp_path / "my.token")]) == 2
        assert "did you mean 'plaza'" in capsys.readouterr().err
    finally:
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
        service.stdout.close()
        log.close()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert all(token not in json.dumps(line) for line in lines), "a token is in no log"
    assert not any(line.get("status") == 200 for line in lines), "the log of a small machine: what was refused"
    assert any(line.get("route", "") and line["status"] == 404 for line in lines)
    assert len(read_store(tmp_path / "state" / "plaza" / "store.gpkg")) > 0, "what was told is kept"
    assert main(["ask", PLAZA[0], str(tmp_path / "state" / "plaza"), "at", *PLAZA[1:]]) == 0
