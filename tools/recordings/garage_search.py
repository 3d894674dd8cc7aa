"""Cars and people of the rendered garage found again by their looks: embedder, re-ranking, a head learnt there.

No recording is needed. Twenty cameras see the garage at hours of several days, each time in other light; nobody keeps a
stall. Head and chain learn of the first days, by tracks alone; all is measured on later days and on other cars.
Figures of tracks are of all views of each track together, against tracks of other times.
"""

import importlib.util
from dataclasses import dataclass, replace

import numpy as np

from geoloc.evaluation.report import Figure, Report
from geoloc.evaluation.retrieval import RetrievalOptions, RetrievalRun, evaluate_retrieval, run_of_scores
from geoloc.features.crop_head import Head
from geoloc.features.crop_quality import view_quality
from geoloc.features.crops import cut_crops, embed, find_embedder
from geoloc.metrics.judgements import Labelled
from geoloc.retrieval.adapt import AdaptOptions, adapt
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.rerank.chain import label_judge, learn_chain
from geoloc.retrieval.rerank.pooling import pool
from geoloc.retrieval.rerank.stages import STAGES, compare, rerank
from geoloc.synthetic.rendering.object_crops import FIRST_PERSON, CropSetOptions, garage_crops
from geoloc.synthetic.rendering.scene import Scene, build_scene
from geoloc.synthetic.rendering.shell import SceneOptions
from geoloc.synthetic.rendering.viewpoints import fixed_viewpoints
from geoloc.synthetic.twin_garage import twin_garage

RECORDING = "garage_search"
SEED = 81
SCENE = SceneOptions(texel=0.04, n_cars=60, n_people=40)
SIZE = (960, 540)
LEARNT = CropSetOptions(n_moments=6, cars=(0, 30), parked=30, n_people=10, size=SIZE)
ASKED = CropSetOptions(n_moments=5, cars=(30, 60), parked=30, n_people=10, size=SIZE)
WRONG = (0.1, 0.2, 0.4)  # shares of views that are exchanged among the tracks that a head learns of
LIGHT = {"map": "map", "cmc@1": "recall_at_1"}


@dataclass(frozen=True, eq=False)
class Shown:
    """Views (N,) of objects as a gallery holds them, and the look that each really is."""

    looks: Looks
    identity: np.ndarray

    def take(self, rows: np.ndarray) -> "Shown":
        """The views that a mask or index selects."""
        return Shown(self.looks.take(rows), self.identity[rows])


def run(
    learnt: CropSetOptions = LEARNT, asked: CropSetOptions = ASKED, head: AdaptOptions | None = None
) -> list[Figure]:
    """mAP and R@1 of the plain embedder and of the head, of cars, people, views and tracks."""
    scene = build_scene(twin_garage().site.site_map, np.random.default_rng(SEED), SCENE)
    earlier, later = draw_views(scene, learnt, SEED + 1), draw_views(scene, asked, SEED + 2)
    figures = _figures(later, later.looks.vector, "", "plain") + _stages(earlier, later)
    if importlib.util.find_spec("torch") is None:
        return figures
    found = adapt(earlier.looks, find_embedder().fingerprint, np.random.default_rng(SEED), head)
    said = f"a head that learnt of {found.n_tracks} tracks of other cars on {learnt.n_moments} earlier days"
    figures += _figures(later, found.head(later.looks.vector), "_adapted", said)
    return [*figures, *_gains(later, found.head, said), *_of_wrong_tracks(earlier, later, head)]


def draw_views(scene: Scene, options: CropSetOptions, seed: int) -> Shown:
    """The views that all cameras have of the objects, in the order in which they are drawn."""
    cameras = [view.camera for view in fixed_viewpoints(twin_garage(), options.size)]
    parts: list[Looks] = []
    identity: list[np.ndarray] = []
    for seen in garage_crops(scene, cameras, np.random.default_rng(seed), options):
        n = len(seen.object)
        part = Looks(
            id=1000 * len(parts) + np.arange(n),
            vector=embed(cut_crops(seen.picture, seen.box)),
            camera=np.full(n, seen.camera),
            time=np.full(n, seen.time),
            label=seen.label,
            track=seen.track,
            xy=seen.xyz[:, :2],
            quality=view_quality(seen.picture, seen.box),
        )
        parts.append(part)
        identity.append(seen.object)
    return Shown(Looks.concat(parts), np.concatenate(identity))


def _figures(shown: Shown, vectors: np.ndarray, suffix: str, said: str) -> list[Figure]:
    car = shown.identity < FIRST_PERSON
    figures = []
    for what, rows in (("cars", np.flatnonzero(car)), ("people", np.flatnonzero(~car))):
        figures += _named(_report(_views_run(shown.take(rows), vectors[rows], said)), f"views of {what}", suffix)
    rows = np.flatnonzero(car)
    for how, weight in (("", shown.looks.quality[rows]), ("_unweighted", np.ones(len(rows)))):
        pooling = "weighted by quality" if not how else "of equal weight"
        run = _tracks_run(shown.take(rows), vectors[rows], weight, f"{said}; a track's views pooled, {pooling}")
        figures += _named(_report(run), "tracks of cars", suffix + how)
    return figures


def _views_run(shown: Shown, vectors: np.ndarray, said: str) -> RetrievalRun:
    each = Labelled(np.arange(len(vectors)), shown.identity, shown.looks.camera)
    return run_of_scores(RECORDING, vectors @ vectors.T, each, each, "cross_camera", said)


def _tracks_run(shown: Shown, vectors: np.ndarray, weight: np.ndarray, said: str) -> RetrievalRun:
    """Tracks against tracks of other times: the time stands for the camera, so that one's own is left out."""
    track, first = np.unique(shown.looks.track, return_index=True)
    means = pool(vectors, shown.looks.track, weight)
    first = first[np.searchsorted(track, means.group)]
    each = Labelled(means.group, shown.identity[first], shown.looks.time[first].astype(str))
    return run_of_scores(RECORDING, means.vectors @ means.vectors.T, each, each, "cross_camera", said)


def _stages(earlier: Shown, later: Shown) -> list[Figure]:
    """What each stage of re-ranking makes of the plain vectors alone, and the chain that chose of them by tracks."""
    before, after = (shown.take(np.flatnonzero(shown.identity < FIRST_PERSON)) for shown in (earlier, later))
    taught = before.looks.replace(object=before.looks.track)
    names = tuple(name for name in STAGES if name != "tracks")  # of a camera's track there is one view here
    chain = learn_chain(label_judge(taught, taught), names).stages
    figures = []
    for name, stages in (*((name, (name,)) for name in names), ("chain", chain)):
        how = f"re-ranked by {', '.join(stages) or 'nothing'}" + ("; chosen by tracks" if name == "chain" else "")
        scores = rerank(compare(after.looks, after.looks), stages).scores
        each = Labelled(np.arange(len(scores)), after.identity, after.looks.camera)
        run = run_of_scores(RECORDING, scores, each, each, "cross_camera", f"plain; {how}")
        figures += _named(_report(run), "views of cars", f"_{name}")
    return figures


def _report(run: RetrievalRun, against: RetrievalRun | None = None) -> Report:
    return evaluate_retrieval(run, RetrievalOptions(cutoffs=(1,)), against)


def _named(report: Report, part: str, suffix: str) -> list[Figure]:
    return [replace(report.figure(key), figure=name + suffix, part=part) for key, name in LIGHT.items()]


def _gains(shown: Shown, head: Head, said: str) -> list[Figure]:
    """What the head adds on the same queries, paired."""
    cars = shown.take(np.flatnonzero(shown.identity < FIRST_PERSON))
    runs = [_views_run(cars, vectors, said) for vectors in (head(cars.looks.vector), cars.looks.vector)]
    found = {each.figure: each for each in _report(*runs).differences}
    protocol = f"{said}, less the plain embedder's; paired over queries"
    return [
        Figure(RECORDING, "views of cars", f"{name}_gain", each.difference, each.low, each.high, "points", protocol)
        for name, each in ((name, found[key]) for key, name in LIGHT.items())
    ]


def _of_wrong_tracks(earlier: Shown, later: Shown, head: AdaptOptions | None) -> list[Figure]:
    """What a head is worth that learnt of tracks with views of other objects in them, and whether it was refused."""
    cars = later.take(np.flatnonzero(later.identity < FIRST_PERSON))
    figures = []
    for share in WRONG:
        rng = np.random.default_rng(SEED)
        found = adapt(_confused(earlier.looks, share, rng), find_embedder().fingerprint, rng, head)
        said = f"a head of tracks with {100 * share:.0f} % of their views given to others; "
        said += ("taken" if found.better else "refused") + f": {found.told()}"
        run = _views_run(cars, found.head(cars.looks.vector), said)
        figures += _named(_report(run), "views of cars", f"_adapted_wrong_{100 * share:.0f}")
    return figures


def _confused(looks: Looks, share: float, rng: np.random.Generator) -> Looks:
    """A share of the views exchanged among the tracks of their time."""
    track = looks.track.copy()
    for time in np.unique(looks.time):
        rows = np.flatnonzero(looks.time == time)
        mixed = rows[rng.random(len(rows)) < share]
        track[mixed] = rng.permutation(track[mixed])
    return looks.replace(track=track)
