"""Which of a site's images shows the place of a query? Nearest global descriptors, then their patches compared.

    places = learn_places(images, np.random.default_rng(0))
    found = places.find(image, 5)  # ids (1, 5) are rows of `images`; scores in sigmas of chance
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from geoloc.errors import InputError
from geoloc.features.global_descriptors import GlobalDescriptor, GlobalOptions, load_global, train_global
from geoloc.features.layout import gradient_layout
from geoloc.features.local import LocalFeatures
from geoloc.features.parts import View
from geoloc.features.patch_matching import PatchMatcher, level_of_chance, stored_layout
from geoloc.options import check_range
from geoloc.retrieval.indexes import Index, make_index
from geoloc.retrieval.rows import NONE, Found, best_columns, no_answers
from geoloc.retrieval.where import ANYWHERE, Where

SAMPLE = 1000  # images whose cosines tell what chance gives


@dataclass(frozen=True)
class PlaceOptions:
    """How places are described and searched."""

    descriptor: str = "places"  # of features.global_descriptors.GLOBALS
    index: str = "exact"  # of retrieval.indexes.INDEXES
    shortlist: int = 20  # images whose patches are compared; each takes milliseconds
    training: GlobalOptions = field(default_factory=GlobalOptions)

    def __post_init__(self) -> None:
        check_range(self, shortlist=(1, 100_000))


@dataclass(frozen=True, eq=False)
class Places:
    """N images of a site under `ids` (N,): `vectors` (N, D) float32, `layouts` (N, rows, columns, bins) uint8.

    `index` holds the vectors.
    """

    ids: np.ndarray
    vectors: np.ndarray
    layouts: np.ndarray
    descriptor: GlobalDescriptor
    matcher: PatchMatcher
    index: Index

    def __len__(self) -> int:
        return len(self.ids)

    def search(
        self, image: np.ndarray, k: int, features: LocalFeatures | None = None, allowed: np.ndarray | None = None
    ) -> Found:
        """The `k` images nearest to a query (H, W) uint8, ids and scores (1, k); scores in sigmas of chance.

        `features` of the query where they are known already; among the ids `allowed` (M,) alone where given.
        """
        return self._search(View(image, features), k, allowed)

    def _search(self, view: View, k: int, allowed: np.ndarray | None) -> Found:
        vector = self.descriptor.describe(view)
        found = self.index.search(vector[None], k, ANYWHERE if allowed is None else Where().ids(allowed))
        level, sigma = level_of_chance(self.vectors[:: max(1, len(self) // SAMPLE)] @ vector)
        return replace(found, scores=(found.scores - np.float32(level)) / np.float32(sigma))

    def rerank(self, image: np.ndarray, found: Found) -> Found:
        """What `search` found for this query, by its scores and those of the patches together: both in sigmas."""
        return self._rerank(View(image), found)

    def _rerank(self, view: View, found: Found) -> Found:
        there = found.ids[0] != NONE
        ids, scores = found.ids[0, there], found.scores[0, there]
        rows = np.searchsorted(self.ids, ids)
        both = scores + self.matcher.compare(stored_layout(view.layout), self.layouts[rows])
        order = best_columns(both[None], max(len(both), 1))[0]
        answer = no_answers(1, found.ids.shape[1])
        answer.ids[0, : len(ids)], answer.scores[0, : len(ids)] = ids[order], both[order]
        return answer

    def find(
        self,
        image: np.ndarray,
        k: int,
        features: LocalFeatures | None = None,
        allowed: np.ndarray | None = None,
        shortlist: int = PlaceOptions.shortlist,
    ) -> Found:
        """The `k` best images after `shortlist` of them were compared with the query patch by patch."""
        view = View(image, features)
        found = self._rerank(view, self._search(view, max(k, shortlist), allowed))
        return Found(found.ids[:, :k], found.scores[:, :k])

    def arrays(self) -> dict[str, np.ndarray]:
        """All that there is to know, for a file; vectors in half precision, which moves a cosine by under 0.001."""
        own = {"ids": self.ids, "vectors": self.vectors.astype(np.float16), "layouts": self.layouts}
        own |= {f"descriptor.{name}": array for name, array in self.descriptor.arrays().items()}
        return own | {f"matcher.{name}": array for name, array in self.matcher.arrays().items()}


def learn_places(
    images: Sequence[np.ndarray],
    rng: np.random.Generator,
    ids: np.ndarray | None = None,
    features: Sequence[LocalFeatures] = (),
    options: PlaceOptions | None = None,
) -> Places:
    """A site's images (H, W) uint8 made searchable, under `ids` (N,) >= 0, or their rows.

    `features` of each image, where they are known already: only the descriptor "vlad" uses them. Images are read one
    at a time, more than once: a sequence that reads them when it is asked will do.
    """
    options = options or PlaceOptions()
    known = np.arange(len(images)) if ids is None else np.asarray(ids)
    if known.shape != (len(images),):
        raise InputError(f"{len(images)} images with ids of shape {known.shape}; give one id an image")
    descriptor, vectors = train_global(images, rng, options.descriptor, features, options.training)
    layouts = np.stack([stored_layout(gradient_layout(image)) for image in images])
    matcher = PatchMatcher.learn(layouts, rng)
    order = np.argsort(known, kind="stable")
    return _places(known[order], vectors[order], layouts[order], descriptor, matcher, options.index)


def load_places(arrays: Mapping[str, np.ndarray], index: str = "exact") -> Places:
    """The places that gave these arrays, in an index of INDEXES."""
    parts = [
        {key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)}
        for start in ("descriptor.", "matcher.")
    ]
    vectors = arrays["vectors"].astype(np.float32)
    descriptor, matcher = load_global(parts[0]), PatchMatcher.load(parts[1])
    return _places(arrays["ids"], vectors, arrays["layouts"], descriptor, matcher, index)


def _places(
    ids: np.ndarray,
    vectors: np.ndarray,
    layouts: np.ndarray,
    descriptor: GlobalDescriptor,
    matcher: PatchMatcher,
    index: str,
) -> Places:
    held = make_index(index, vectors.shape[1])
    held.add(ids, vectors, {})
    return Places(ids, vectors, layouts, descriptor, matcher, held)
