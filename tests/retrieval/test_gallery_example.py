"""The examples of README.md and docs/search.md, on every index that can be had here, with one word changed."""

import re
from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.retrieval.indexes import INDEXES

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/search.md")


def example(page: str) -> str:
    """The code of a page that opens a gallery; skips where the page has none."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    code = next((each for each in found if "Gallery.open(" in each), None)
    if code is None:
        pytest.skip(f"{page} opens no gallery")
    return str(code)


@pytest.mark.parametrize("name", ["exact", "faiss", "milvus", "pgvector"])
@pytest.mark.parametrize("page", PAGES)
def test_the_example_runs_with_one_word_changed(
    page: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = example(page)
    assert code.count('"faiss"') == 1
    assert name in INDEXES
    try:
        exec(compile(code.replace('"faiss"', f'"{name}"'), page, "exec"), {"np": np})
    except InputError as error:
        if "pip install" in str(error):
            pytest.skip(str(error))
        raise
    said = capsys.readouterr().out
    assert re.search(r"^ *\d+\.\d%  object 2, (red )?car: looks like it as seen by", said)  # before all others
    assert "not here" in said
    assert ("nothing is left" in said) == ("gallery.forget(" in code)
