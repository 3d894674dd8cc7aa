"""A password of a server is in no file, no message and no setting that is kept."""

import json
from pathlib import Path

import pytest

from geoloc.errors import InputError
from geoloc.retrieval.gallery import Gallery
from geoloc.retrieval.gallery_folder import GalleryFolder, IndexPlace, Manifest
from geoloc.retrieval.likeness import Likeness
from geoloc.retrieval.servers.passwords import password_of, with_password, without_password

TOLD = [
    ("pgvector", "postgresql://me:hush,hush@127.0.0.1:1/db", {}),
    ("pgvector", "postgresql://127.0.0.1:1/db?user=me&password=hush", {}),
    ("opensearch", "https://me@127.0.0.1:1,https://me:hush@127.0.0.1:2", {}),
    ("milvus", "http://me:hush@127.0.0.1:1", {}),
    ("milvus", "http://127.0.0.1:1", {"token": "me:hush"}),
]


@pytest.mark.parametrize(("name", "place", "settings"), TOLD)
def test_a_password_that_would_be_written_is_refused_before_the_server_is_asked(
    name: str, place: str, settings: dict, tmp_path: Path
) -> None:
    where = IndexPlace(name, place, settings)
    with pytest.raises(InputError, match=f"GEOLOC_{name.upper()}_PASSWORD") as said:
        Gallery.open(tmp_path / "gallery", where, dim=4)
    assert "hush" not in str(said.value)
    with pytest.raises(InputError, match="password_file"):
        GalleryFolder(tmp_path / "gallery").write(Manifest("", 4, (where,), Likeness()))
    assert not list(tmp_path.rglob("*"))


def test_an_address_with_a_user_alone_is_kept_as_it_was_given(tmp_path: Path) -> None:
    place = IndexPlace("pgvector", "postgresql://me@db/looks", {"password_file": "/run/secrets/db"})
    folder = GalleryFolder(tmp_path)
    folder.write(Manifest("", 4, (place,), Likeness()))
    assert folder.read().indexes == (place,)
    assert json.loads((tmp_path / "gallery.json").read_text())["indexes"][0]["place"] == "postgresql://me@db/looks"


def test_a_password_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEOLOC_PGVECTOR_PASSWORD", raising=False)
    assert password_of("pgvector") == ""
    monkeypatch.setenv("GEOLOC_PGVECTOR_PASSWORD", "from outside")
    file = tmp_path / "password"
    file.write_text("p@ss/word\n")
    assert password_of("pgvector") == "from outside"
    assert password_of("pgvector", str(file)) == "p@ss/word"
    with pytest.raises(InputError, match="cannot be read"):
        password_of("pgvector", str(tmp_path / "none"))


def test_a_password_joins_the_user_in_the_address_and_nothing_else() -> None:
    assert with_password("https://me@host:9200/x", "p@ss/") == "https://me:p%40ss%2F@host:9200/x"
    for kept in ("https://host:9200", "https://me:own@host"):
        assert with_password(kept, "hush") == kept
    assert with_password("https://me@host", "") == "https://me@host"


@pytest.mark.parametrize(("name", "place", "settings"), TOLD[:4])
def test_an_address_is_shown_without_its_password(name: str, place: str, settings: dict) -> None:
    assert "hush" not in without_password(place)
    assert without_password("http://host:19530") == "http://host:19530"


def test_a_client_gets_the_password_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    opensearchpy = pytest.importorskip("opensearchpy")
    from geoloc.retrieval.servers.about import About
    from geoloc.retrieval.servers.opensearch_index import OpensearchOptions, OpensearchStore
    from geoloc.retrieval.servers.sending import Sending

    given: list[list[str]] = []
    monkeypatch.setattr(opensearchpy, "OpenSearch", lambda hosts, **_: given.append(hosts))
    monkeypatch.setenv("GEOLOC_OPENSEARCH_PASSWORD", "hush")
    store = OpensearchStore("https://me@a:9200, https://me@b:9200", About(4, {}), OpensearchOptions(), Sending())
    assert given == [["https://me:hush@a:9200", "https://me:hush@b:9200"]]
    assert "hush" not in store.where
