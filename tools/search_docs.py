"""The picture of docs/search.md: a car of the rendered garage, found again on another day among those seen before.

`python tools/search_docs.py` draws it, in some minutes. Nothing but the truth of the drawing says who was who before.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from geoloc.draw.answer_picture import draw_answer
from geoloc.features.crop_colours import colour_name
from geoloc.features.crop_quality import view_quality
from geoloc.features.crops import cut_crops
from geoloc.retrieval.gallery import Gallery
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.matches import Matches
from geoloc.scene.site import Site
from geoloc.synthetic.rendering.object_crops import DAY_S, CropSetOptions, SeenObjects, garage_crops
from geoloc.synthetic.rendering.scene import build_scene
from geoloc.synthetic.rendering.shell import SceneOptions
from geoloc.synthetic.rendering.viewpoints import fixed_viewpoints
from geoloc.synthetic.twin_garage import twin_garage

PATH = Path(__file__).resolve().parents[1] / "docs" / "search.png"
SEED = 7
MIDNIGHT = 1_717_718_400.0  # Unix s of the first day
SIZE = (960, 540)
SCENE = SceneOptions(texel=0.04, n_cars=24, n_people=12)
BEFORE = CropSetOptions(n_moments=4, cars=(0, 24), parked=20, n_people=8, size=SIZE)
AFTER = CropSetOptions(n_moments=1, cars=(0, 24), parked=20, n_people=8, size=SIZE)
Views = Iterator[tuple[Looks, list[np.ndarray]]]
GOOD = 0.4  # quality of the view that is searched for


def draw(path: Path = PATH) -> None:
    """Fill a gallery with some days, ask with a later one's views of cars, draw the surest right answer."""
    world, rng = twin_garage(), np.random.default_rng(SEED)
    scene = build_scene(world.site.site_map, rng, SCENE)
    cameras = [view.camera for view in fixed_viewpoints(world, SIZE)]
    before = _views(garage_crops(scene, cameras, np.random.default_rng(SEED + 1), BEFORE), MIDNIGHT)
    later = MIDNIGHT + DAY_S * BEFORE.n_moments
    after = _views(garage_crops(scene, cameras, np.random.default_rng(SEED + 2), AFTER), later)
    with Gallery.open() as gallery:
        crops: dict[int, np.ndarray] = {}
        for looks, pictures in before:
            ids = gallery.add(looks, pictures)
            crops |= {number: picture for number, picture in zip(ids.tolist(), pictures, strict=True) if number >= 0}
        gallery.calibrate(rng)
        told, (matches, asked) = _surest(gallery, after)
        site = Site(world.site.name, tuple(cameras), world.site.site_map)
        draw_answer(site, matches, path, [asked], [crops.get(match.view) for match in matches])
        print(f"{len(gallery)} views; likeness {gallery.judgement.likeness}\n{told}\n{matches}", file=sys.stderr)


def _surest(gallery: Gallery, after: Views) -> tuple[str, tuple[Matches, np.ndarray]]:
    """How often good views of cars find theirs, in words, and the surest right answer with its picture."""
    found = []
    for looks, pictures in after:
        for row in np.flatnonzero((looks.quality >= GOOD) & (looks.label == "car")).tolist():
            matches = gallery.search(pictures[row], label="car")
            found.append((matches, pictures[row], matches[0].object == looks.object[row]))
    right = [(matches, picture) for matches, picture, is_it in found if is_it]
    if not right:
        raise SystemExit("no car was found again; nothing to draw")
    told = f"the car is the first of the answers to {len(right)} of {len(found)} good views on a later day"
    return told, max(right, key=lambda each: float(each[0].probabilities[0]))


def _views(drawn: Iterator[SeenObjects], midnight: float) -> Views:
    """What each picture shows as views, with where and when, and their crops."""
    levels = twin_garage().site.site_map.levels
    for seen in drawn:
        crops = cut_crops(seen.picture, seen.box)
        n, z = len(crops), np.array([level.z_extended(seen.xyz[:, :2]) for level in levels])
        looks = Looks(
            id=np.full(n, -1),
            camera=np.full(n, seen.camera),
            time=np.full(n, midnight + seen.time),
            level=np.array([level.name for level in levels])[np.argmin(np.abs(z - seen.xyz[:, 2]), axis=0)],
            xy=seen.xyz[:, :2],
            cov=np.tile(0.04 * np.eye(2), (n, 1, 1)),
            label=seen.label,
            color=[colour_name(crop) for crop in crops],
            track=seen.track,
            object=seen.object,
            quality=view_quality(seen.picture, seen.box),
        )
        yield looks, crops


if __name__ == "__main__":
    draw()
