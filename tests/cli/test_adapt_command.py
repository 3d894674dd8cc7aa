"""`geoloc adapt`: a head of the site's gallery is written where it is better, and nothing where it is not."""

from pathlib import Path

import numpy as np

from geoloc.features.crop_head import load_head
from geoloc.retrieval.gallery import Gallery, GalleryOptions
from geoloc.retrieval.looks import Looks

DIM, OWN = 32, 16
QUICK = ("--set", "steps=0", "--set", "dim=32")  # without torch


def fill(folder: Path, own: float = 1.0, cameras: float = 2.0, n_tracks: int = 80) -> None:
    """A gallery of tracks of three views, ten at a time: vectors of what is `own` and of what each camera adds."""
    rng = np.random.default_rng(5)
    track, camera = np.repeat(np.arange(n_tracks), 3), np.tile(np.arange(3), n_tracks)
    vector = 0.2 * rng.normal(size=(len(track), DIM))
    vector[:, :OWN] += own * rng.normal(size=(n_tracks, OWN))[track]
    spread = rng.normal(size=(3, 2, DIM - OWN))
    vector[:, OWN:] += cameras * np.einsum("nk,nkd->nd", rng.normal(size=(len(track), 2)), spread[camera])
    looks = Looks(
        vector=vector / np.linalg.norm(vector, axis=1, keepdims=True),
        site=np.full(len(track), "yard"),
        track=track,
        object=track,
        camera=np.char.add("c", camera.astype(str)),
        time=1.7e9 + 100.0 * (track // 10) + camera,
        label=np.full(len(track), "car"),
    )
    with Gallery.open(folder, dim=DIM, model="detector", options=GalleryOptions(least_novelty=0.0)) as gallery:
        gallery.add(looks)


def test_a_head_that_is_better_is_written_and_told(call, root: Path) -> None:
    fill(root / "gallery" / "yard")
    done = call("adapt", "yard", "--root", root, *QUICK, "--into", root / "after", "--json")
    assert done.code == 0, done.err
    assert done.json["judged"]["low"] > 0.1  # 0.51 before, 0.97 after
    head = load_head(root / "calibration" / "yard" / "looks.npz")
    assert (head.base, head.fingerprint) == ("detector", done.json["model"])
    with Gallery.open(root / "after") as after, Gallery.open(root / "gallery" / "yard") as before:
        assert after.manifest.model == head.fingerprint
        assert after.manifest.dim == head.dim
        looks = before.views()
        assert len(after) == len(before)
        np.testing.assert_allclose(after.views().vector, head(looks.vector), atol=1e-3)


def test_a_head_that_is_no_better_is_refused_and_nothing_is_written(call, root: Path) -> None:
    fill(root / "gallery" / "yard", own=0.0, cameras=0.0)
    done = call("adapt", "yard", "--root", root, *QUICK)
    assert done.code == 2
    assert "refused: mAP" in done.err
    assert "nothing was written" in done.err
    assert not (root / "calibration" / "yard" / "looks.npz").exists()


def test_what_is_missing_is_said(call, root: Path) -> None:
    done = call("adapt", "yard", "--root", root, *QUICK)
    assert done.code == 2
    assert "no gallery; make one with geoloc localize" in done.err
    fill(root / "few", n_tracks=9)
    done = call("adapt", "yard", "--root", root, "--gallery", root / "few", *QUICK)
    assert done.code == 2
    assert "give more time" in done.err
    done = call("adapt", "yard", "--root", root, "--gallery", root / "few", "--into", root / "few")
    assert done.code == 2
    assert "holds a gallery" in done.err


def test_options_that_are_unknown_are_refused(call, root: Path) -> None:
    fill(root / "gallery" / "yard")
    done = call("adapt", "yard", "--root", root, "--set", "step=3")
    assert done.code == 2
    assert "did you mean" in done.err
