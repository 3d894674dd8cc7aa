"""What the README shows is what happens."""

import re
import shlex
from pathlib import Path

import pytest

from geoloc.cli import main as cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_every_python_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from geoloc.io.detections import READERS

    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("geoloc.io.detections.READERS", READERS.copy())
    names: dict[str, object] = {}
    found = blocks("python")
    assert len(found) == 4
    for code in found:
        exec(compile(code, "README.md", "exec"), names)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"tracks.geojson", "plan.png", "gallery"}
    said = capsys.readouterr().out
    assert "tracks at the end" in said
    assert "gate.txt (semicolons): 1 detections, 1 rows skipped" in said


def test_the_quick_start_is_ten_lines() -> None:
    assert len([line for line in blocks("python")[0].splitlines() if line]) <= 10


def test_every_command_that_is_shown_is_a_call_that_exists() -> None:
    lines = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    calls = [shlex.split(line)[1:] for line in lines if line.startswith("geoloc ")]
    assert calls
    for words in map(cli._joined, calls):
        cli._parser(words[0], cli._load(words[0])).parse_args(words)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake (\w+)", README):
        assert f"\n{target}:" in makefile


def test_every_command_is_in_the_readmes_table() -> None:
    shown = re.findall(r"^\| `geoloc ([a-z]+(?: [a-z]+)?)", README, flags=re.MULTILINE)
    assert set(shown) == cli.COMMANDS.keys()


def test_pictures_and_pages_that_are_linked_are_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert "docs/garage.png" in links
    for link in links:
        assert "://" in link or (ROOT / link).is_file(), link
