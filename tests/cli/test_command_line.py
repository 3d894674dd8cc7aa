"""The command line as a whole: help, exit codes, start-up."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_samples import Done

from geoloc import __version__
from geoloc.cli import main as cli


def examples(text: str) -> list[list[str]]:
    """The commands that an example shows, without what a pipe does with their output."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("  geoloc ")]
    return [shlex.split(line.partition("  ")[0].partition(" | ")[0])[1:] for line in lines]


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_example_in_a_commands_help_is_a_call_that_it_takes(name: str) -> None:
    found = examples(cli._load(name).EXAMPLES)
    assert len(found) >= 3
    for words in map(cli._joined, found):
        called = words[0]
        parser = cli._parser(called, cli._load(called))
        assert isinstance(parser.parse_args(words), argparse.Namespace)


def test_the_examples_of_the_first_help_are_calls_that_exist() -> None:
    for words in examples(cli.EXAMPLES):
        parser = cli._parser(words[0], cli._load(words[0]))
        if "--help" not in words:
            assert isinstance(parser.parse_args(words), argparse.Namespace)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_of_a_command_shows_its_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([*name.split(), "--help"])
    assert stop.value.code == 0
    assert f"examples:\n  geoloc {name}" in capsys.readouterr().out


def test_version_is_the_packages_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"geoloc {__version__}\n"


@pytest.mark.parametrize("words", [[], ["localise"], ["localize"], ["map", "garage", "--nonsense"]])
def test_a_wrong_call_ends_with_2_and_the_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert "usage: geoloc" in capsys.readouterr().err


def test_wrong_input_is_one_line_on_stderr_and_exit_2(call: Callable[..., Done], tmp_path: Path) -> None:
    done = call("check", "harbour", "--root", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("geoloc check: ")
    assert done.err.count("\n") == 1
    assert "harbour" in done.err


def test_help_starts_without_numpy() -> None:
    code = (
        "import sys\nfrom geoloc.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'numpy', 'scipy', 'shapely', 'tqdm'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_a_reader_that_goes_away_is_no_error(root: Path) -> None:
    command = f"{sys.executable} -m geoloc check yard --root {root} | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
