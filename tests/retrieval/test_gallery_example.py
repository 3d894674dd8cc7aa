"""The example of docs/search.md, on every index that can be had here, with one word changed."""

import re
from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.retrieval.indexes import INDEXES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "search.md"


def example() -> str:
    found = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return str(found[0])


@pytest.mark.parametrize("name", ["exact", "faiss", "milvus", "pgvector"])
def test_the_example_runs_with_one_word_changed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = example()
    assert code.count('"faiss"') == 1
    assert name in INDEXES
    try:
        exec(compile(code.replace('"faiss"', f'"{name}"'), "docs/search.md", "exec"), {"np": np})
    except InputError as error:
        if "pip install" in str(error):
            pytest.skip(str(error))
        raise
    said = capsys.readouterr().out
    assert re.search(r"\d+\.\d%  object 2, red car: looks like it as seen by", said)
    assert "not here" in said
    assert "nothing is left" in said
