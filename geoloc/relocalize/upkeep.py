"""A landmark map kept up as the site changes: landmarks are confirmed, demoted, born and forgotten.

Each picture of a visit is placed; of the landmarks that it should see, from where they have been seen before, some are
found and some are not. How often a picture finds what is there (d) is its own, less at night than at noon, and so is
how often it finds what is not (f, measured beside each landmark's place). Whether each landmark is there follows from
all pictures of the visit together, and d with it (expectation-maximisation; Dempster, Laird and Rubin 1977). One visit
is one trial of the landmark's presence, whose Beta distribution moves by its moments: a picture that shows nothing
says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree

from geoloc.errors import GeometryError, InputError
from geoloc.features.local import LocalFeatures, unit_descriptors
from geoloc.options import check_range
from geoloc.relocalize.carried import how_alike
from geoloc.relocalize.evidence import NEAREST, landmarks_in_view, looks_of, weigh_carried
from geoloc.relocalize.landmarks import STAYS, LandmarkMap
from geoloc.relocalize.mapping import MappingOptions, Tell, build_landmarks, silent
from geoloc.relocalize.relocalization import Query, RelocalizationOptions, relocalize
from geoloc.scene.camera import Camera

SAME_SIDE = 0.35  # rad; a landmark is expected where an image saw it from within this
AS_FAR = 1.5  # times as far or as near as that image at most
ROUNDS = 50
LEAST, MOST = 0.005, 0.995  # of rates
DECOYS = 4  # places beside each landmark's that tell how often chance finds it
CONFIRMED = 0.5


@dataclass(frozen=True)
class UpkeepOptions:
    """How a map follows its site."""

    relocalization: RelocalizationOptions = field(default_factory=RelocalizationOptions)
    mapping: MappingOptions = field(default_factory=lambda: MappingOptions(refine_lenses=False))
    memory: float = 10.0  # visits that a landmark's past counts for at most: more, and it takes as long to forget
    forget: float = 0.2  # presence below which a landmark is taken out of the map
    looks: int = 10  # observations of a landmark that are kept at most: those that placed it, and the newest

    def __post_init__(self) -> None:
        check_range(self, memory=(1.0, 1e6), forget=(0.0, 0.5), looks=(2, 100_000))


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture of a visit: its `name`, what it shows, and the `camera` with its pose if that is known."""

    name: str
    query: Query
    camera: Camera | None = None


@dataclass(frozen=True, eq=False)
class Upkeep:
    """The map after a visit, and what happened: of landmarks how many, of pictures their names.

    `refused` are pairs of a picture and why it says nothing; `found` the share of what is there that each placed
    picture shows.
    """

    landmarks: LandmarkMap
    found: dict[str, float]
    refused: tuple[tuple[str, str], ...]
    expected: int
    confirmed: int
    demoted: int
    born: int
    forgotten: int


@dataclass(frozen=True, eq=False)
class _Placed:
    """A placed picture: landmarks expected (M,) int, whether found (M,) bool, by which feature (M,) int; chance."""

    seen: Seen
    camera: Camera
    points: np.ndarray
    hit: np.ndarray
    feature: np.ndarray
    chance: float


def update_landmarks(
    landmarks: LandmarkMap, pictures: Sequence[Seen], rng: np.random.Generator, options: UpkeepOptions | None = None,
    tell: Tell = silent,
) -> Upkeep:  # fmt: skip
    """The map after one visit of `pictures`, which were taken within hours of each other."""
    options = options or UpkeepOptions()
    if not pictures:
        raise InputError("landmarks: no pictures to update from")
    alike = how_alike(landmarks, rng)
    placed: list[_Placed] = []
    refused: list[tuple[str, str]] = []
    # on the map, wherever that lies
    inside = replace(landmarks, frame=type(landmarks.frame)(), stored_index=landmarks.index)
    for number, seen in enumerate(pictures):
        camera, why = _camera_of(seen, inside, rng, options)
        if camera is None:
            refused.append((seen.name, why))
        else:
            placed.append(_looked(seen, camera, landmarks, alike, rng))
        tell(number + 1, len(pictures))
    before = landmarks.presence
    expected = np.zeros(len(landmarks), bool)
    for one in placed:
        expected[one.points] = True
    there, rates = _judged(landmarks, placed)
    counted = _counted(landmarks, there, expected, options.memory)
    now = counted.presence
    grown, born = _grown(counted, placed, there, options)
    kept = _pruned(grown, options)
    return Upkeep(
        kept, {one.seen.name: rate for one, rate in zip(placed, rates.tolist(), strict=True)}, tuple(refused),
        int(expected.sum()), int((expected & (now > before)).sum()),
        int(((before >= CONFIRMED) & (now < CONFIRMED)).sum()), born, len(grown) - len(kept),
    )  # fmt: skip


def _camera_of(
    seen: Seen, landmarks: LandmarkMap, rng: np.random.Generator, options: UpkeepOptions
) -> tuple[Camera | None, str]:
    """Where a picture was taken, in the map's frame; none, and why, where it cannot be said."""
    if seen.camera is None:
        found = relocalize(seen.query, landmarks, rng, options.relocalization)
        return (found.camera, "") if found.answered else (None, found.refusal)
    middle = np.arange(min(len(seen.query.features), 3))
    if len(middle) < 3:
        return None, f"it has {len(seen.query.features)} features"
    camera = replace(seen.camera, lens=landmarks.lens_as_found(seen.camera.lens))
    every = np.arange(len(landmarks.cameras))
    told = weigh_carried(seen.query.features, landmarks, camera, middle, every, rng)
    if told.log_odds <= 0:
        return None, f"{told.wins} of {told.n} landmarks are where its calibration has them; has the camera moved?"
    return camera, ""


def _looked(
    seen: Seen, camera: Camera, landmarks: LandmarkMap, alike: float, rng: np.random.Generator
) -> _Placed:
    """What a picture should show of the map, and what of it is there."""
    points, pixels, radius = landmarks_in_view(landmarks, camera)
    near = _seen_from_there(landmarks, camera, points)
    points, pixels, radius = points[near], pixels[near], radius[near]
    features = seen.query.features
    hit, feature = _find(features, landmarks, points, pixels, radius, alike)
    chances = []
    for _ in range(DECOYS):
        angle = rng.uniform(0, 2 * np.pi, len(points))
        away = (3 * radius + 10)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        chances.append(_find(features, landmarks, points, pixels + away, radius, alike)[0])
    # one more of each than was found: of a few landmarks chance is not known to be none
    chance = (np.sum(chances) + 1) / (DECOYS * len(points) + 2)
    return _Placed(seen, camera, points, hit, feature, float(np.clip(chance, LEAST, 0.5)))


def _seen_from_there(landmarks: LandmarkMap, camera: Camera, points: np.ndarray) -> np.ndarray:
    """Which landmarks (M,) int an image saw from about the same side and distance: (M,) bool."""
    toward = landmarks.points[points] - camera.centre_world
    far = np.linalg.norm(toward, axis=1)
    rows, at = landmarks.sights(points)
    from_there = landmarks.points[points[at]] - landmarks.centres[landmarks.image[rows]]
    distance = np.linalg.norm(from_there, axis=1)
    side = np.einsum("ni,ni->n", from_there, toward[at]) / (distance * far[at]) > np.cos(SAME_SIDE)
    ratio = distance / far[at]
    out = np.zeros(len(points), bool)
    out[at[side & (ratio < AS_FAR) & (ratio > 1 / AS_FAR)]] = True
    return out


def _find(
    features: LocalFeatures, landmarks: LandmarkMap, points: np.ndarray, pixels: np.ndarray, radius: np.ndarray,
    alike: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Whether each landmark is like a feature within its radius (M,) bool, and which feature (M,) int."""
    if not len(points) or not len(features):
        return np.zeros(len(points), bool), np.zeros(len(points), int)
    k = min(NEAREST, len(features))
    away, near = cKDTree(features.pixels).query(pixels, k=k)
    away, near = away.reshape(len(points), k), near.reshape(len(points), k)
    rows, column = np.nonzero(away <= radius[:, None])
    distance = np.full(away.shape, np.inf)
    described = unit_descriptors(features.descriptors[near[rows, column]])
    distance[rows, column] = 2 - 2 * np.einsum("nd,nd->n", described, looks_of(landmarks, points)[rows])
    best = distance.argmin(axis=1)
    every = np.arange(len(points))
    return distance[every, best] < alike, near[every, best]


def _judged(landmarks: LandmarkMap, placed: Sequence[_Placed]) -> tuple[np.ndarray, np.ndarray]:
    """Probability (P,) that each landmark was there at this visit, and what share each picture finds of what is."""
    prior = landmarks.presence
    rates = np.array([np.clip(one.hit.mean() if len(one.hit) else 0.5, 0.2, 0.9) for one in placed])
    there = prior
    for _ in range(ROUNDS):
        log_odds = np.log(prior / (1 - prior))
        for one, rate in zip(placed, rates.tolist(), strict=True):
            with_it = np.where(one.hit, np.log(rate / one.chance), np.log((1 - rate) / (1 - one.chance)))
            log_odds[one.points] += with_it
        there = 1 / (1 + np.exp(-log_odds))
        before = rates
        # what is there shows at least as often as what is not
        rates = np.array([
            np.clip((there[one.points] @ one.hit + 0.5) / (there[one.points].sum() + 1.0), one.chance, MOST)
            for one in placed
        ])  # fmt: skip
        if np.allclose(rates, before, atol=1e-4):
            break
    return there, rates


def _counted(landmarks: LandmarkMap, there: np.ndarray, expected: np.ndarray, memory: float) -> LandmarkMap:
    """The map with each landmark's Beta distribution after a visit at which it was `there` (P,) so probably.

    Two distributions, of there and not there, become one of their mean and variance: where the visit tells nothing,
    it is the one from before.
    """
    a, b = landmarks.seen.astype(float) + STAYS[0], landmarks.missed.astype(float) + STAYS[1]
    n = a + b
    mean = (a + there) / (n + 1)
    square = (there * (a + 1) * (a + 2) + (1 - there) * a * (a + 1)) / ((n + 1) * (n + 2))
    strength = mean * (1 - mean) / np.maximum(square - mean**2, 1e-12) - 1
    strength = np.clip(strength, sum(STAYS), sum(STAYS) + memory)
    seen = np.maximum(mean * strength - STAYS[0], 0.0)
    missed = np.maximum((1 - mean) * strength - STAYS[1], 0.0)
    return replace(
        landmarks,
        seen=np.where(expected, seen, landmarks.seen).astype(np.float32),
        missed=np.where(expected, missed, landmarks.missed).astype(np.float32),
    )


def _grown(
    landmarks: LandmarkMap, placed: Sequence[_Placed], there: np.ndarray, options: UpkeepOptions
) -> tuple[LandmarkMap, int]:
    """The map with what the pictures add: looks of landmarks that are there, and landmarks that are new; how many."""
    if not placed:
        return landmarks, 0
    cameras = [replace(one.camera, name=_free_name(one.seen.name, landmarks, i)) for i, one in enumerate(placed)]
    born = _born(placed, cameras, options)
    points, covs = [landmarks.points], [landmarks.point_cov]
    n = len(landmarks)
    if born is not None:
        points.append(born.points)
        covs.append(born.point_cov)
    columns: dict[str, list[np.ndarray]] = {
        name: [getattr(landmarks, name)] for name in ("image", "point", "pixels", "scale", "descriptors")
    }
    for i, one in enumerate(placed):
        rows = np.flatnonzero(one.hit & (there[one.points] > CONFIRMED))
        _, first = np.unique(one.feature[rows], return_index=True)
        rows = rows[first]
        features = one.seen.query.features
        added = {"point": one.points[rows], **_columns(features, one.feature[rows])}
        if born is not None:
            own = born.rows([i])
            both = {"point": n + born.point[own], "pixels": born.pixels[own], "scale": born.scale[own],
                    "descriptors": born.descriptors[own]}  # fmt: skip
            added = {name: np.concatenate([values, both[name]]) for name, values in added.items()}
        added["image"] = np.full(len(added["point"]), len(landmarks.cameras) + i)
        for name, values in added.items():
            columns[name].append(values.astype(columns[name][0].dtype))
    n_born = 0 if born is None else len(born)
    nothing = np.zeros(n_born, np.float32)
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    grown = replace(
        landmarks, stored_index=None, cameras=(*landmarks.cameras, *cameras), points=np.concatenate(points),
        point_cov=np.concatenate(covs), image=joined["image"], point=joined["point"], pixels=joined["pixels"],
        scale=joined["scale"], descriptors=joined["descriptors"],
        seen=np.concatenate([landmarks.seen, nothing]), missed=np.concatenate([landmarks.missed, nothing]),
    )  # fmt: skip
    return grown, n_born


def _columns(features: LocalFeatures, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: getattr(features, name)[rows] for name in ("pixels", "scale", "descriptors")}


def _free_name(name: str, landmarks: LandmarkMap, number: int) -> str:
    """A name that no image of the map has."""
    taken, visit = set(landmarks.names), 2
    while f"{name} #{visit}" in taken or f"{name} #{visit}.{number}" in taken:
        visit += 1
    return f"{name} #{visit}.{number}"


def _born(placed: Sequence[_Placed], cameras: Sequence[Camera], options: UpkeepOptions) -> LandmarkMap | None:
    """Landmarks of what the pictures show that the map does not have; none where too little of it meets."""
    if len(placed) < 2:
        return None
    features = []
    for one in placed:
        known = np.zeros(len(one.seen.query.features), bool)
        known[one.feature[one.hit]] = True
        features.append(one.seen.query.features.take(np.flatnonzero(~known)))
    try:
        return build_landmarks(features, cameras, options.mapping)
    except GeometryError:  # nothing new that two of them see
        return None


def _pruned(landmarks: LandmarkMap, options: UpkeepOptions) -> LandmarkMap:
    """The map without landmarks that are gone, and of the others with the looks that are worth keeping."""
    good = landmarks.presence >= options.forget
    order = np.lexsort((landmarks.image, landmarks.point))
    starts = np.searchsorted(landmarks.point[order], np.arange(len(landmarks) + 1))
    rank = np.arange(len(order)) - starts[landmarks.point[order]]
    last = np.diff(starts)[landmarks.point[order]] - rank  # 1 of the newest
    kept = np.zeros(len(order), bool)
    kept[order] = (rank < 2) | (last <= options.looks - 2)
    kept &= good[landmarks.point]
    return landmarks.kept(good, kept)
