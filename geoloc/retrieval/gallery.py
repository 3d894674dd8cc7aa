"""The gallery: what objects looked like, searched by pictures, vectors or tracks.

    gallery = Gallery.open("out/gallery", index="faiss")
    gallery.add(looks, crops)
    matches = gallery.search(crop, near=(12.0, 5.0), when=(start, end), label="car")
    print(matches)                      # objects with probabilities and reasons, and how likely it is none of them
    gallery.forget(17)                  # and proves that nothing is left

One process writes a gallery at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.features.crops import Embedder, EmbedderOptions, embed
from geoloc.metrics.judgements import refuse_twice
from geoloc.options import check_range
from geoloc.retrieval.forgetting import Forgotten, one_site, prove_gone
from geoloc.retrieval.gallery_folder import GalleryFolder, Manifest
from geoloc.retrieval.gallery_opening import Indexes, find_gallery
from geoloc.retrieval.gallery_search import SearchOptions, answer, checked_units, narrowed
from geoloc.retrieval.indexes import Index
from geoloc.retrieval.judgement import Judgement, learn_judgement
from geoloc.retrieval.looks import Looks, fields_of, looks_of
from geoloc.retrieval.matches import Matches
from geoloc.retrieval.rerank.chain import Chain
from geoloc.retrieval.rows import Found
from geoloc.retrieval.surroundings import NOWHERE, Surroundings
from geoloc.retrieval.views import kept_rows
from geoloc.retrieval.where import ANYWHERE, Where

Query = np.ndarray | Looks | Sequence[np.ndarray]
CHUNK = 65_536  # views that are read at once
SLACK = 0.02  # of the capacity: so many views go at once, so that not every new one moves another out


@dataclass(frozen=True)
class GalleryOptions:
    """How much a gallery keeps, and how it is searched."""

    views: int = 12  # of an object, at most
    capacity: int = 1_000_000  # views in all; the oldest go first
    keep_s: float = np.inf  # s for which a view is kept, see `expire`
    least_quality: float = 0.1  # of a view, 0 to 1: what shows less is not taken
    least_novelty: float = 0.02  # 1 - cosine to another view of its camera: what is more alike tells nothing new
    search: SearchOptions = field(default_factory=SearchOptions)

    def __post_init__(self) -> None:
        check_range(self, views=(1, 10_000), capacity=(1, 10**12), keep_s=(0, np.inf))
        check_range(self, least_quality=(0, 1), least_novelty=(0, 2))


class Gallery:
    """Views of objects: a vector each, with where and when, in one index, and the same in each further one."""

    def __init__(
        self,
        indexes: Sequence[Index],
        manifest: Manifest,
        folder: GalleryFolder | None = None,
        options: GalleryOptions | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        self.indexes = tuple(indexes)
        self.embedder = embedder  # None: vectors are made elsewhere
        self.manifest = manifest
        self.folder = folder
        self.options = options or GalleryOptions()
        held = self.index.ids()
        self._next = int(held[-1]) + 1 if len(held) else 0
        for copy in self.indexes[1:]:
            self._bring_up(copy, held)

    @classmethod
    def open(
        cls,
        folder: Path | str = "",
        index: Indexes = "",
        *,
        embedder: str | Embedder = "",
        embedder_options: EmbedderOptions | None = None,
        dim: int = 0,
        model: str = "",
        options: GalleryOptions | None = None,
    ) -> "Gallery":
        """The gallery in a folder (none: in memory), made anew where there is none.

        `index` names one of INDEXES (default: "exact"), or several that hold the same; the first is searched. Crops
        become vectors by an `embedder`, a name of EMBEDDERS (default: "plain") or an instance, which a gallery in a
        folder does not remember. Where vectors are made elsewhere, give their length `dim` instead, and as `model`
        the name of what makes them. InputError where the gallery that is there is another than what is asked for.
        """
        indexes, manifest, here, maker = find_gallery(folder, index, embedder, embedder_options, dim, model)
        return cls(indexes, manifest, here, options, maker)

    @property
    def index(self) -> Index:
        """The one that is searched."""
        return self.indexes[0]

    @property
    def judgement(self) -> Judgement:
        """How looks are judged here."""
        return Judgement(self.manifest.likeness, self.manifest.stages)

    def __len__(self) -> int:
        """How many views it holds."""
        return len(self.index)

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- what goes in and out

    def add(self, looks: Looks, crops: Sequence[np.ndarray] = (), model: str = "") -> np.ndarray:
        """Take in views, and keep the best of each object that differ: the ids (N,) they got; -1: not kept.

        `crops` are their pictures (H, W, 3) uint8 BGR, of all or none; they are kept in a folder only, and become
        the vectors of views that have none. Views without an id (-1) get one. InputError, and nothing is added, for
        vectors that are not finite or all 0, of another length or `model` than the gallery's, for ids that it holds
        already, and where the numbers of crops and views differ.
        """
        self._check_model(model)
        if len(crops) not in (0, len(looks)):
            raise InputError(f"gallery: {len(crops)} crops of {len(looks)} views; give one each, or none")
        if len(crops) and not looks.vector.shape[1]:
            looks = looks.replace(vector=self.embed(crops))
        if not len(looks):
            return np.zeros(0, int)
        vectors = checked_units(looks.vector, self.manifest.dim, "view")
        looks = looks.replace(vector=vectors, id=self._numbered(looks.id))
        good = np.flatnonzero(looks.quality >= self.options.least_quality)
        old, new = self._views_of(looks.take(good)), looks.take(good)
        every = Looks.concat([old, new])
        kept = every.id[kept_rows(every, self.options.views, self.options.least_novelty)]
        enters = new.take(np.isin(new.id, kept))
        if self.folder is not None and len(crops):
            rows = np.flatnonzero(np.isin(looks.id, enters.id))
            for row in rows.tolist():
                self.folder.write_crop(int(looks.id[row]), crops[row])
        for index in self.indexes:
            index.add(enters.id, enters.vector, fields_of(enters))
        self._remove(old.id[~np.isin(old.id, kept)])
        self._next = max(self._next, int(looks.id.max(initial=-1)) + 1)
        self._bound()
        return np.where(np.isin(looks.id, enters.id), looks.id, -1)

    def views(self, where: Where = ANYWHERE) -> Looks:
        """The views that a filter keeps."""
        return Looks.concat(list(self._chunks(where)))

    def crop(self, view: int) -> np.ndarray | None:
        """The picture (H, W, 3) uint8 BGR of a view by its id; None where none was kept."""
        return None if self.folder is None else self.folder.read_crop(view)

    def expire(self, now: float) -> int:
        """Forget all views from before `now` - `keep_s` (UTC Unix s), in snapshots too; how many that were.

        The indexes are written anew without them, where there are any; InputError where one still has some.
        """
        if np.isinf(self.options.keep_s):
            return 0
        old = Where().between("time", high=now - self.options.keep_s)
        gone = self.index.ids(old)
        self._remove(gone)
        self._clean_snapshots(old)
        for index in self.indexes if len(gone) else ():
            index.compact()
            if len(index.ids(old)):
                raise InputError(f"gallery: {len(index.ids(old))} views that are too old are left; expire them again")
        return len(gone)

    def knows(self, object: int, site: str) -> bool:
        """Whether it has a view of a site's object, if only in a snapshot."""
        return bool((self._known(object)[1].site == site).any())

    def forget(self, object: int, site: str | None = None) -> Forgotten:
        """Forget all views of an object, in every index, crop and snapshot, and look whether anything is left.

        `site` where the gallery holds several. InputError where the number is of several sites' objects, and where
        something is left, which names what.
        """
        views, views_there = self._known(object)
        site = one_site(object, site, views_there)
        which = Where().equal("object", object).equal("site", site)
        known = views_there.take(views_there.site == site)
        here = views.id[views.site == site]
        self._remove(here)
        self._clean_snapshots(which)
        if self.folder is not None:  # a crash may have left pictures of views that never came in
            self.folder.keep_crops(self.index.ids())
        for index in self.indexes:
            index.compact()
        return prove_gone(object, site, here, known, which, self.indexes, self.manifest.indexes, self.folder)

    def flush(self) -> None:
        """Return when all that was added is durable, where it is stored at all, and found by a search."""
        for index in self.indexes:
            index.flush()

    def close(self) -> None:
        """Give back what is held open; the gallery is not used after it."""
        try:
            self.flush()
        finally:
            for index in self.indexes:
                index.close()

    # ---- search

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors (N, D) of crops (H, W, 3) uint8 BGR, as the gallery's own are made."""
        if self.embedder is None:
            made = f" by {self.manifest.model!r}" if self.manifest.model else ""
            raise InputError(f"gallery: its vectors are made elsewhere{made}; give vectors, not pictures")
        return embed(crops, self.embedder)

    def search(
        self,
        query: Query,
        k: int = 5,
        *,
        near: tuple[float, ...] = (),
        when: tuple[float, float] = (-np.inf, np.inf),
        label: str = "",
        where: Where = ANYWHERE,
        model: str = "",
        around: Surroundings = NOWHERE,
    ) -> Matches:
        """The `k` objects that a query most likely shows, and how likely it shows none of them.

        `query` is a crop (H, W, 3) uint8 BGR or several of one object, a vector (D,) or several (Q, D), or views as
        a table; these are weighed by their quality, and what is known of them counts: nobody is in two places, and
        class, colour and length speak for or against. Views under an id that the gallery holds are no answer to
        themselves. Only views `near` (x, y and a radius, 25 m where not given), from when to when (UTC Unix s), of a
        `label`, and for which `where` holds, are compared with. What is known `around` them counts too.
        """
        self._check_model(model)
        asked = self._asked(query)
        asked = asked.replace(vector=checked_units(asked.vector, self.manifest.dim, "query"))
        if not len(asked):
            raise InputError("gallery: a query without a view; give at least one")
        options = self.options.search
        where = narrowed(where, near, when, label, options)
        return answer(self.index, asked, k, where, self.judgement, options, around)

    def find(self, vectors: np.ndarray, k: int, where: Where = ANYWHERE) -> Found:
        """The `k` most alike views of each unit vector (Q, D), as arrays: what `search` starts from, in bulk."""
        return self.index.search(vectors, k, where)

    def calibrate(self, rng: np.random.Generator, stages: Sequence[str] = ()) -> Chain:
        """Learn how to judge looks from the gallery's own objects, and judge by that from now on.

        One object's views by two cameras, or at two times, are of one object; objects that were there at the same
        time are two. Of the `stages` of rerank.stages.STAGES, if any, those are kept which are shown to help, and with
        which answers are likelier; the chain says what each brought. InputError where too little is known.
        """
        views = self.views(Where().between("time"))  # whose time is known
        likeness, chain = learn_judgement(views, stages, self.options.search.absent, rng)
        self.manifest = replace(self.manifest, likeness=likeness, stages=chain.stages)
        if self.folder is not None:
            self.folder.write(self.manifest)
        return chain

    # ---- snapshots

    def snapshots(self) -> list[str]:
        """Names of the snapshots there are."""
        return [] if self.folder is None else self.folder.snapshots()

    def snapshot(self, name: str) -> Path:
        """Keep all views as they are now under a name, in a form that any index takes."""
        return self._own_folder("snapshots").write_snapshot(name, self.views())

    def restore(self, name: str) -> None:
        """Be as the snapshot of that name was; crops of views that had gone meanwhile are not back.

        Interrupted, it leaves less; do it again.
        """
        looks = self._own_folder("snapshots").read_snapshot(name)
        for index in self.indexes:
            index.remove(index.ids())
            index.add(looks.id, looks.vector, fields_of(looks))
        self._own_folder("snapshots").keep_crops(looks.id)
        self._next = max(self._next, int(looks.id.max(initial=-1)) + 1)
        self.flush()

    # ---- inside

    def _bring_up(self, copy: Index, held: np.ndarray) -> None:
        """Make an index hold what the first one does: a crash may have come between the two."""
        there = copy.ids()
        copy.remove(np.setdiff1d(there, held))
        missing = np.setdiff1d(held, there)
        for start in range(0, len(missing), CHUNK):
            part = missing[start : start + CHUNK]
            copy.add(part, *self.index.read(part))

    def _asked(self, query: Query) -> Looks:
        """The views of a query, their vectors as they come."""
        if isinstance(query, Looks):
            return query
        crops = [query] if isinstance(query, np.ndarray) else list(query)
        if crops and all(isinstance(crop, np.ndarray) and crop.dtype == np.uint8 for crop in crops):
            return Looks(vector=self.embed(crops))
        try:
            vectors = np.asarray(query, np.float32)
        except (TypeError, ValueError) as error:
            raise InputError(f"gallery: a query of {type(query).__name__}; give crops, vectors or views") from error
        return Looks(vector=np.atleast_2d(vectors) if vectors.size else np.zeros((0, self.manifest.dim)))

    def _check_model(self, model: str) -> None:
        own = self.manifest.model
        if model and own and model != own:
            raise InputError(f"gallery: vectors of model {model!r}; it holds those of {own!r}, and they do not compare")

    def _own_folder(self, what: str) -> GalleryFolder:
        if self.folder is None:
            raise InputError(f"gallery: {what} need a folder; open it with one")
        return self.folder

    def _numbered(self, ids: np.ndarray) -> np.ndarray:
        given = ids[ids >= 0]
        if len(given) == len(ids):
            refuse_twice(ids, "view")
            held = self.index.ids(Where().ids(ids))
            if len(held):
                raise InputError(f"gallery: holds view {held[0]} already; give a new one the id -1 or a free one")
            return ids
        if len(given):
            raise InputError(f"gallery: {len(given)} of {len(ids)} views have ids; give all of them one, or none")
        return self._next + np.arange(len(ids))

    def _views_of(self, looks: Looks) -> Looks:
        """The views that are held of the objects that `looks` show."""
        if not len(self) or not len(looks):
            return Looks()
        decided = looks.object >= 0
        found = []
        if decided.any():
            found.append(self.views(Where().equal("object", *np.unique(looks.object[decided]).tolist())))
        tracks = np.unique(looks.track[~decided & (looks.track >= 0)]).tolist()
        if tracks:
            found.append(self.views(Where().equal("object", -1).equal("track", *tracks)))
        return Looks.concat(found)

    def _known(self, object: int) -> tuple[Looks, Looks]:
        """The views of an object that are held, and all that are known, of snapshots too."""
        views = self.views(Where().equal("object", object))
        kept = [self.folder.read_snapshot(name) for name in self.snapshots()] if self.folder is not None else []
        return views, Looks.concat([views, *(one.take(one.object == object) for one in kept)])

    def _remove(self, ids: np.ndarray) -> None:
        for index in self.indexes:
            index.remove(np.intersect1d(ids, index.ids(Where().ids(ids))) if len(ids) else ids)
        if self.folder is not None:
            self.folder.remove_crops(ids.tolist())

    def _bound(self) -> None:
        """Let the oldest views go where there are too many."""
        if len(self) <= self.options.capacity:
            return
        parts = [(looks.id, looks.time) for looks in self._chunks(ANYWHERE)]
        ids, time = (np.concatenate(part) for part in zip(*parts, strict=True))
        stay = int((1.0 - SLACK) * self.options.capacity)
        self._remove(ids[np.argsort(np.nan_to_num(time, nan=-np.inf), kind="stable")[: len(ids) - stay]])

    def _chunks(self, where: Where) -> Iterator[Looks]:
        ids = self.index.ids(where)
        for start in range(0, len(ids), CHUNK):
            part = ids[start : start + CHUNK]
            yield looks_of(part, *self.index.read(part))

    def _clean_snapshots(self, where: Where) -> None:
        """Take the views that a filter keeps out of all snapshots."""
        for name in self.snapshots():
            folder = self._own_folder("snapshots")
            looks = folder.read_snapshot(name)
            gone = where.holds({"id": looks.id, **fields_of(looks)})
            if gone.any():
                folder.write_snapshot(name, looks.take(~gone))
