"""Opening a gallery: what was asked for held against what is there."""

from collections.abc import Sequence
from pathlib import Path

from geoloc.errors import InputError
from geoloc.features.crops import DEFAULT, Embedder, EmbedderOptions, find_embedder
from geoloc.retrieval.gallery_folder import GalleryFolder, IndexPlace, Manifest
from geoloc.retrieval.indexes import Index, make_index
from geoloc.retrieval.likeness import Likeness
from geoloc.retrieval.looks import FIELDS
from geoloc.retrieval.servers.passwords import refuse_secrets

Indexes = str | IndexPlace | Sequence[str | IndexPlace]


def find_gallery(
    folder: Path | str,
    index: Indexes,
    embedder: str | Embedder,
    embedder_options: EmbedderOptions | None,
    dim: int,
    model: str,
) -> tuple[list[Index], Manifest, GalleryFolder | None, Embedder | None]:
    """The parts of a gallery, which is made where there is none; see `Gallery.open`."""
    given = [index] if isinstance(index, str | IndexPlace) else list(index)
    places = tuple(IndexPlace(each) if isinstance(each, str) else each for each in given if each)
    here = GalleryFolder(folder) if str(folder) else None
    manifest = here.read() if here is not None and here.exists else None
    maker = _embedder(manifest, embedder, embedder_options, dim)
    if maker is not None:
        dim, model = maker.dim, maker.fingerprint
    if manifest is None:
        named = "" if maker is None or not isinstance(embedder, str) else embedder or DEFAULT
        how = embedder_options or EmbedderOptions()
        manifest = Manifest(model, dim, places or (IndexPlace("exact"),), Likeness(), (), named, how)
        for each in manifest.indexes if here is not None else ():
            refuse_secrets(each.name, each.place, each.settings)  # before a server is asked for anything
        indexes = _indexes(manifest, here)
        if here is not None:
            here.write(manifest)
        return indexes, manifest, here, maker
    if here is not None:
        _check_agreed(here, manifest, places, dim, model)
    return _indexes(manifest, here), manifest, here, maker


def _embedder(
    manifest: Manifest | None, embedder: str | Embedder, options: EmbedderOptions | None, dim: int
) -> Embedder | None:
    """What makes the vectors: as asked for, or else as the gallery was made; None: something elsewhere."""
    if manifest is None:
        return find_embedder(embedder or DEFAULT, options) if embedder or not dim else None
    if embedder:
        return find_embedder(embedder, options)
    return find_embedder(manifest.embedder, manifest.embedder_options) if manifest.embedder else None


def _check_agreed(
    folder: GalleryFolder, manifest: Manifest, places: tuple[IndexPlace, ...], dim: int, model: str
) -> None:
    """InputError where a gallery is not what was asked for."""
    if dim and dim != manifest.dim:
        raise InputError(f"{folder.path}: holds vectors of length {manifest.dim}, not {dim}; take another folder")
    if model and manifest.model and model != manifest.model:
        raise InputError(f"{folder.path}: holds vectors of {manifest.model!r}, not of {model!r}; take another folder")
    if places and places != manifest.indexes:
        own = ", ".join(place.name for place in manifest.indexes)
        raise InputError(f"{folder.path}: is kept in {own}; open it without naming an index, or take another folder")


def _indexes(manifest: Manifest, folder: GalleryFolder | None) -> list[Index]:
    made: list[Index] = []
    for number, one in enumerate(manifest.indexes):
        inside = "" if folder is None else str(folder.path / f"index-{number}")
        try:
            made.append(make_index(one.name, manifest.dim, FIELDS, one.place or inside, manifest.model, **one.settings))
        except InputError:
            for index in made:
                index.close()
            raise
    return made
