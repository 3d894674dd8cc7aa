"""A gallery: bounded and diverse, honest about what is not there, forgetful when asked, unmoved by bad input."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from gallery_samples import DIM, START, fleet, look

from geoloc.errors import InputError
from geoloc.retrieval.gallery import Gallery, GalleryOptions
from geoloc.retrieval.gallery_search import SearchOptions
from geoloc.retrieval.looks import Looks, fields_of
from geoloc.retrieval.rerank.context import learn_transits
from geoloc.retrieval.surroundings import Surroundings
from geoloc.retrieval.views import choose_views, kept_rows
from geoloc.retrieval.where import Where
from geoloc.scene.learned import TransitTime
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Occluder, SiteMap, Surface


@pytest.fixture
def gallery() -> Gallery:
    return Gallery.open(dim=DIM)


def noisy(true: np.ndarray, rng: np.random.Generator, sigma: float = 0.8) -> np.ndarray:
    return true + sigma / np.sqrt(DIM) * rng.normal(size=true.shape)


def test_an_object_is_found_again_with_where_and_when_it_was_seen(gallery, rng) -> None:
    looks, true = fleet(rng)
    gallery.add(looks)
    gallery.calibrate(rng)
    matches = gallery.search(noisy(true[7], rng))
    best = matches.best
    assert best is not None
    assert (best.object, best.site, best.label, best.n_views) == (8, "yard", "truck", 6)
    assert best.camera in best.reasons[0].said
    assert best.sigma == pytest.approx(0.2)
    assert best.log_ratio == pytest.approx(best.reasons[0].log_ratio)
    total = matches.probabilities.sum() + matches.not_here + matches.unlisted
    assert total == pytest.approx(1.0, abs=1e-9)
    assert (np.diff(matches.probabilities) <= 0).all()


def test_several_views_of_one_object_say_more_than_one(gallery, rng) -> None:
    looks, true = fleet(rng, n=300, sigma=2.0)
    gallery.add(looks)
    rows = range(0, 300, 6)
    alone = [gallery.search(noisy(true[row], rng, 2.0), 1)[0].object == row + 1 for row in rows]
    several = [gallery.search(noisy(np.tile(true[row], (8, 1)), rng, 2.0), 1)[0].object == row + 1 for row in rows]
    assert np.mean(several) > np.mean(alone) + 0.15  # 0.70 and 0.02


def test_what_is_not_there_is_said_not_to_be_there(gallery, rng) -> None:
    looks, true = fleet(rng, sigma=0.6)
    gallery.add(looks.take(looks.object <= 30))
    gallery.calibrate(rng)
    strange = [gallery.search(noisy(one, rng, 0.6)) for one in true[30:]]
    known = [gallery.search(noisy(one, rng, 0.6)) for one in true[:30]]
    assert all(matches.best is None for matches in strange)
    assert "not here" in str(strange[0]).splitlines()[0]
    assert [match.best.object for match in known if match.best is not None] == list(range(1, 31))


def test_probabilities_are_those_with_which_answers_are_right(rng) -> None:
    """Of queries half of which show nobody who is there, over looks so noisy that many are taken for another."""
    looks, true = fleet(rng, n=400, sigma=1.6)
    gallery = Gallery.open(dim=DIM, options=GalleryOptions(search=SearchOptions(shortlist=600)))
    gallery.add(looks.take(looks.object <= 200))
    gallery.calibrate(rng)
    stated, right, absent = [], [], []
    for row in np.repeat(np.arange(400), 3).tolist():
        matches = gallery.search(noisy(true[row], rng, 1.6))
        stated += [*matches.probabilities.tolist(), matches.not_here]
        right += [*(match.object == row + 1 for match in matches), row >= 200]
        absent.append((matches.not_here, row >= 200))
    told, was = np.array(stated), np.array(right)
    bins = np.minimum((10 * told).astype(int), 9)
    n = np.bincount(bins, minlength=10)
    gap = np.abs(np.bincount(bins, told, 10) - np.bincount(bins, was, 10)) / len(told)
    assert gap.sum() < 0.05  # expected calibration error; measured 0.02
    assert n[1:9].sum() > 500  # doubts there are


def test_views_are_bounded_good_and_unlike_each_other(rng) -> None:
    gallery = Gallery.open(dim=DIM, options=GalleryOptions(views=5))
    looks, _ = fleet(rng, n=3, views=40)
    ids = gallery.add(looks)
    assert len(gallery) == 15
    assert (ids >= 0).sum() == 15
    kept = gallery.views()
    for body in (1, 2, 3):
        assert set(kept.camera[kept.object == body]) == {"gate", "hall", "ramp"}
    again = gallery.add(fleet(rng, n=3, views=40)[0])
    assert len(gallery) == 15
    assert set(gallery.views().id) <= set(ids) | set(again)


def test_many_objects_at_once_are_chosen_as_each_alone(rng) -> None:
    looks, _ = fleet(rng, n=60, views=5, sigma=0.1)
    looks = looks.take(rng.permutation(len(looks))[:250])  # of several sizes
    options = GalleryOptions(views=4, least_novelty=0.02)
    together, apart = (Gallery.open(dim=DIM, options=options) for _ in range(2))
    together.add(looks.replace(id=np.arange(len(looks))))
    for body in np.unique(looks.object).tolist():
        rows = np.flatnonzero(looks.object == body)
        apart.add(looks.take(rows).replace(id=rows))
    np.testing.assert_array_equal(together.views().id, apart.views().id)
    assert 60 < len(together) < 230


def test_the_same_view_again_is_not_kept_twice(gallery, rng) -> None:
    looks, _ = fleet(rng)
    gallery.add(looks)
    assert (gallery.add(looks) == -1).all()
    assert len(gallery) == len(looks)


def test_poor_views_are_not_taken(gallery, rng) -> None:
    looks, _ = fleet(rng, n=2, views=2)
    ids = gallery.add(looks.replace(quality=[0.9, 0.01, 0.5, 0.05]))
    assert (ids >= 0).tolist() == [True, False, True, False]


def test_the_oldest_go_where_there_are_too_many(rng) -> None:
    gallery = Gallery.open(dim=DIM, options=GalleryOptions(capacity=100))
    looks, _ = fleet(rng, n=40, views=6)
    gallery.add(looks)
    assert len(gallery) == 98
    assert gallery.views().time.min() >= np.sort(looks.time)[-98]


def test_views_expire(rng) -> None:
    gallery = Gallery.open(dim=DIM, options=GalleryOptions(keep_s=60.0))
    looks, _ = fleet(rng)
    gallery.add(looks)
    assert gallery.expire(START + 110.0) == (looks.time <= START + 50.0).sum()
    assert gallery.views().time.min() > START + 50.0


def test_filters_narrow_a_search(gallery, rng) -> None:
    looks, true = fleet(rng)
    gallery.add(looks)
    found = gallery.search(noisy(true[7], rng), 10, label="car")
    assert {match.label for match in found} == {"car"}
    assert {match.object for match in gallery.search(true[7], 10, near=(7.0, 0.0, 0.5))} == {8}
    assert all(match.time < START + 30 for match in gallery.search(true[7], 10, when=(START, START + 30)))
    assert {m.camera for m in gallery.search(true[7], 10, where=Where().equal("camera", "ramp"))} == {"ramp"}
    nobody = gallery.search(true[7], near=(1e5, 0.0))
    assert (len(nobody), nobody.not_here, nobody.best) == (0, 1.0, None)


def test_objects_whose_identity_is_open_are_told_apart_by_track_and_camera(gallery, rng) -> None:
    looks, true = fleet(rng, n=4)
    gallery.add(looks.replace(object=np.full(len(looks), -1)))
    best = gallery.search(true[2])[0]
    assert (best.object, best.track, best.n_views) == (-1, 3, 2)
    assert best.name.startswith("track 3 of ")


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        (np.full(DIM, np.nan), "of query 0 is not finite"),
        (np.zeros(DIM), "of query 0 is all 0"),
        (np.ones(DIM + 1), f"length {DIM}"),
        (np.zeros((0, DIM)), "without a view"),
    ],
)
def test_queries_that_show_nothing_are_refused(gallery, vector, said: str) -> None:
    with pytest.raises(InputError, match=said):
        gallery.search(vector)


def test_bad_views_are_refused_and_nothing_is_added(gallery, rng) -> None:
    looks, _ = fleet(rng, n=2, views=2)
    vector = looks.vector.copy()
    vector[2] = 0.0
    with pytest.raises(InputError, match="view 2 is all 0"):
        gallery.add(looks.replace(vector=vector))
    with pytest.raises(InputError, match="1 crops of 4 views"):
        gallery.add(looks, [np.zeros((4, 4), np.uint8)])
    gallery.add(looks.replace(id=[3, 4, 5, 6]))
    with pytest.raises(InputError, match="holds view 4 already"):
        gallery.add(fleet(rng, n=1, views=1, first=9)[0].replace(id=[4]))
    assert gallery.views().id.tolist() == [3, 4, 5, 6]


def test_a_search_on_unknown_fields_is_refused(gallery, rng) -> None:
    gallery.add(fleet(rng)[0])
    with pytest.raises(InputError, match="did you mean 'camera'"):
        gallery.search(np.ones(DIM), where=Where().equal("camra", "gate"))
    with pytest.raises(InputError, match="give x and y"):
        gallery.search(np.ones(DIM), near=(1.0,))


def test_vectors_of_another_model_are_refused(rng) -> None:
    gallery = Gallery.open(dim=DIM, model="looks-1")
    with pytest.raises(InputError, match="'looks-2'; it holds those of 'looks-1'"):
        gallery.add(fleet(rng)[0], model="looks-2")
    with pytest.raises(InputError, match="do not compare"):
        gallery.search(np.ones(DIM), model="looks-2")


def test_several_indexes_hold_the_same(rng) -> None:
    gallery = Gallery.open(index=["exact", "exact"], dim=DIM)
    looks, _ = fleet(rng)
    gallery.add(looks)
    gallery.forget(3)
    assert len(gallery.indexes[1]) == len(gallery) == len(looks) - 6


def test_nobody_is_in_two_places(gallery, rng) -> None:
    looks, true = fleet(rng)
    gallery.add(looks)
    gallery.calibrate(rng)
    row = np.flatnonzero(looks.object == 8)[0]
    asked = {"camera": "yonder", "time": looks.time[row] + 1.0, "level": "ground", "cov": 0.04 * np.eye(2)}
    vector = noisy(true[7], rng)
    places = (looks.xy[row] + [apart, 0.0] for apart in (5.0, 500.0))
    near, far = (gallery.search(look(vector, xy=place, **asked), 40) for place in places)
    assert near[0].object == 8
    assert near[0].probability > 0.9
    assert not far.matches or far.best is None
    there = next(match for match in far if match.object == 8)
    assert "was too far away at the time" in str(there)
    assert there.probability < 1e-6


def test_another_sites_places_say_nothing(gallery, rng) -> None:
    looks, true = fleet(rng)
    gallery.add(looks)
    asked = {"time": looks.time[0], "level": "ground", "cov": 0.04 * np.eye(2), "xy": np.array([900.0, 0.0])}
    here, elsewhere = (gallery.search(look(true[0], site=site, **asked)) for site in ("yard", "field"))
    assert "places" in {reason.signal for reason in here[0].reasons}
    assert "places" not in {reason.signal for reason in elsewhere[0].reasons}


def test_times_from_camera_to_camera_tell_lookalikes_apart(gallery, rng) -> None:
    """Two alike leave the gate 50 s apart; others took 60 s to the hall."""
    n = 20
    left = START + 1000.0 * np.arange(n)
    vector = np.tile(np.eye(1, DIM), (2 * n + 2, 1)) + 0.1 * rng.normal(size=(2 * n + 2, DIM))
    alike = START + 1000.0 * n + np.array([0.0, 50.0])
    views = Looks(
        id=np.arange(2 * n + 2),
        site=["yard"] * (2 * n + 2),
        object=[*np.tile(np.arange(n), 2), n, n + 1],
        camera=["gate"] * n + ["hall"] * n + ["gate"] * 2,
        time=[*left, *(left + rng.normal(60.0, 4.0, n)), *alike],
        vector=vector,
    )
    gallery.add(views)
    around = Surroundings(learn_transits(gallery.views()))
    for who, time in enumerate(alike + 60.0):
        asked = look(np.eye(1, DIM)[0], site="yard", camera="hall", time=time)
        assert gallery.search(asked, around=around)[0].object == n + who
    assert "came from gate in the usual time" in str(gallery.search(asked, around=around))
    assert "usual time" not in str(gallery.search(asked))


def test_times_that_the_map_tells_tell_lookalikes_apart_where_nobody_was_known_again(gallery, rng) -> None:
    """Both stood in the gate's sight for 4 s or so, 50 s apart; the map says that it is 56 s to the hall."""
    line = shapely.LineString([(0.0, 0.0), (50.0, 0.0)])
    told = TransitTime("gate to hall", "ground", line, "gate", "hall", 56.0, 3.0, 12.0, "learned")
    site = Site("yard", (), SiteMap((Level("ground", (Surface(),)),), transits=(told,)))
    vector = np.tile(np.eye(1, DIM), (4, 1)) + 0.1 * rng.normal(size=(4, DIM))
    time = START + np.array([0.0, 2.0, 50.0, 52.0])
    gallery.add(Looks(id=np.arange(4), site=["yard"] * 4, object=[0, 0, 1, 1], camera=["gate"] * 4, time=time,
                      vector=vector))  # fmt: skip
    around = Surroundings.of(gallery.views(), site)
    unknown = Surroundings.of(gallery.views(), replace(site, site_map=replace(site.site_map, transits=())))
    for who, left in enumerate(time[[1, 3]]):
        asked = look(np.eye(1, DIM)[0], site="yard", camera="hall", time=left + 60.0)
        matches = gallery.search(asked, around=around)
        assert matches[0].object == who
        assert "came from gate in the usual time" in str(matches)
        assert "usual time" not in str(gallery.search(asked, around=unknown))


def test_walls_are_gone_round(gallery) -> None:
    """Two places 2 m apart with a wall between: nobody is at both within a second, for the way round it is 90 m."""
    ground = Level("ground", (Surface(polygon=shapely.box(-10.0, -50.0, 10.0, 50.0)),))
    wall = Occluder("wall", "ground", shapely.LineString([(0.0, -50.0), (0.0, 45.0)]))
    around = Surroundings.of(Looks(), Site("yard", (), SiteMap((ground,), occluders=(wall,))))
    known = {"site": "yard", "level": "ground", "cov": 0.04 * np.eye(2), "object": 1}
    vector = np.eye(1, DIM)[0]
    gallery.add(look(vector, id=-1, time=START, xy=np.array([-1.0, 0.0]), **known))
    asked = look(vector, time=START + 1.0, xy=np.array([1.0, 0.0]), **known)
    assert gallery.search(asked).best is not None
    assert gallery.search(asked, around=around).best is None


def test_class_and_colour_speak_for_and_against(gallery, rng) -> None:
    looks, true = fleet(rng)
    color = np.where(looks.object == 8, "red", "grey")
    gallery.add(looks.replace(color=color))
    vector = noisy(true[7], rng)
    plain = gallery.search(vector)[0]
    red, blue = (gallery.search(look(vector, color=name, label="truck"))[0] for name in ("red", "blue"))
    assert red.log_ratio > plain.log_ratio + 2.0  # few are red
    assert blue.log_ratio < red.log_ratio
    assert {reason.signal for reason in red.reasons} == {"looks", "label", "color"}


def test_a_query_is_no_answer_to_itself(gallery, rng) -> None:
    gallery.add(fleet(rng)[0])
    mine = gallery.views(Where().equal("object", 5))
    assert 5 not in {match.object for match in gallery.search(mine, 40)}


def test_stages_that_bring_nothing_are_left_out(gallery, rng) -> None:
    looks, _ = fleet(rng, n=30, views=6)
    gallery.add(looks)
    chain = gallery.calibrate(rng, ["camera_means", "average_expansion", "tracks"])
    assert {gain.stage for gain in chain.gains} == {"camera_means", "average_expansion", "tracks"}
    assert gallery.judgement.stages == chain.stages


def test_an_index_that_a_crash_left_behind_is_brought_up(tmp_path: Path, rng) -> None:
    looks, _ = fleet(rng)
    with Gallery.open(tmp_path / "g", ["exact", "exact"], dim=DIM) as gallery:
        gallery.add(looks)
        behind = gallery.indexes[1]
        behind.remove(np.arange(5, 20))
        alone = looks.take(np.arange(1)).replace(id=[7000])
        behind.add(alone.id, alone.vector, fields_of(alone))
    again = Gallery.open(tmp_path / "g")
    np.testing.assert_array_equal(again.indexes[1].ids(), again.index.ids())
    np.testing.assert_array_equal(again.indexes[1].read(np.arange(240))[0], again.index.read(np.arange(240))[0])
    again.close()


def test_a_picture_that_a_crash_left_goes_with_the_next_object(tmp_path: Path, rng) -> None:
    gallery = Gallery.open(tmp_path / "g", dim=DIM)
    gallery.add(fleet(rng, n=3)[0])
    assert gallery.folder is not None
    gallery.folder.write_crop(4711, np.full((8, 8, 3), 9, np.uint8))
    gallery.forget(2)
    assert gallery.folder.crops() == []


@pytest.mark.filterwarnings("error")
def test_views_without_a_time_teach_nothing(gallery, rng) -> None:
    looks, _ = fleet(rng)
    gallery.add(looks.replace(time=np.full(len(looks), np.nan)))
    with pytest.raises(InputError, match="0 pairs of one object"):
        gallery.calibrate(rng)


def test_too_few_pairs_teach_nothing(gallery, rng) -> None:
    gallery.add(fleet(rng, n=2, views=3)[0])
    with pytest.raises(InputError, match="it takes 20 of each"):
        gallery.calibrate(rng)


def test_a_forgotten_object_is_nowhere(tmp_path: Path, rng) -> None:
    gallery = Gallery.open(tmp_path / "g", dim=DIM)
    looks, true = fleet(rng, n=10)
    gallery.add(looks, [np.full((8, 8, 3), 7, np.uint8)] * len(looks))
    gallery.snapshot("before")
    mine = gallery.views(Where().equal("object", 4))
    assert gallery.crop(int(mine.id[0])) is not None
    proof = gallery.forget(4)
    assert proof.views == 6
    assert all(one.left == 0 for one in proof.checked)
    assert {"crops", "snapshot before"} < {one.place for one in proof.checked}
    assert gallery.crop(int(mine.id[0])) is None
    assert 4 not in {match.object for match in gallery.search(true[3], 20)}
    gallery.restore("before")
    assert 4 not in gallery.views().object
    assert len(gallery) == 54


def test_what_is_left_of_a_forgotten_object_is_found(tmp_path: Path, rng) -> None:
    gallery = Gallery.open(tmp_path / "g", dim=DIM)
    looks, _ = fleet(rng, n=3)
    gallery.add(looks)
    copy = gallery.views(Where().equal("object", 2)).vector[3]
    (tmp_path / "g" / "somebodys_copy.bin").write_bytes(b"xy" + copy.astype(np.float16).tobytes())
    with pytest.raises(InputError, match=r"not forgotten: somebodys_copy.bin"):
        gallery.forget(2)


def test_forgetting_asks_which_sites_object(gallery, rng) -> None:
    looks, _ = fleet(rng, n=3)
    gallery.add(looks)
    gallery.add(fleet(rng, n=3)[0].replace(site=np.full(18, "other")))
    with pytest.raises(InputError, match="one of each of other, yard"):
        gallery.forget(2)
    gallery.forget(2, "other")
    assert (gallery.views().object == 2).sum() == 6
    with pytest.raises(InputError, match="no object 77"):
        gallery.forget(77)


def test_a_gallery_in_a_folder_is_what_it_was_made(tmp_path: Path, rng) -> None:
    gallery = Gallery.open(tmp_path / "g", dim=DIM, model="looks-1")
    gallery.add(fleet(rng)[0])
    gallery.calibrate(rng)
    gallery.close()
    again = Gallery.open(tmp_path / "g")
    assert len(again) == 240
    assert again.judgement == gallery.judgement
    assert again.judgement.likeness.n_same > 100
    again.close()
    with pytest.raises(InputError, match=f"length {DIM}, not 8"):
        Gallery.open(tmp_path / "g", dim=8)
    with pytest.raises(InputError, match="of 'looks-1', not of 'looks-2'"):
        Gallery.open(tmp_path / "g", dim=DIM, model="looks-2")
    with pytest.raises(InputError, match="kept in exact"):
        Gallery.open(tmp_path / "g", "faiss")


def test_snapshots_that_are_not_there_are_said(tmp_path: Path, gallery) -> None:
    with pytest.raises(InputError, match="need a folder"):
        gallery.snapshot("a")
    kept = Gallery.open(tmp_path / "g", dim=DIM)
    kept.snapshot("a")
    with pytest.raises(InputError, match="no snapshot 'b'; there are: a"):
        kept.restore("b")
    with pytest.raises(InputError, match="names a file"):
        kept.snapshot("../a")


def painted(rng: np.random.Generator, colour: tuple[int, int, int]) -> np.ndarray:
    crop = np.full((60, 40, 3), colour, np.uint8)
    crop[20:40, 10:30] //= 2
    return np.clip(crop + rng.normal(0, 6, crop.shape), 0, 255).astype(np.uint8)


def test_pictures_are_found_by_pictures(tmp_path: Path, rng) -> None:
    colours = [(30, 30, 200), (200, 40, 30), (40, 180, 40), (220, 220, 220)]
    crops = [painted(rng, colour) for colour in colours for _ in range(3)]
    looks = Looks(object=np.repeat([1, 2, 3, 4], 3), camera=np.tile(["a", "b", "c"], 4), id=np.full(12, -1))
    with Gallery.open(tmp_path / "g") as made:
        made.add(looks, crops)
        assert made.search(painted(rng, colours[1]))[0].object == 2
        assert made.search([painted(rng, colours[2]) for _ in range(3)])[0].object == 3
        np.testing.assert_allclose(made.crop(0), crops[0], atol=40)
        fingerprint = made.manifest.model
    again = Gallery.open(tmp_path / "g")
    assert again.embedder is not None
    assert again.embedder.fingerprint == fingerprint


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (np.zeros((8, 8, 3), np.uint8), "vectors are made elsewhere"),
        ("car.jpg", "a query of str"),
        ([], "without a view"),
        (np.ones((2, 2, DIM)), "shape"),
    ],
)
def test_queries_of_another_kind_are_refused(gallery, query, said: str) -> None:
    with pytest.raises(InputError, match=said):
        gallery.search(query)


def test_an_empty_gallery_answers(gallery) -> None:
    matches = gallery.search(look(np.ones(DIM)))
    assert (matches.best, matches.not_here, matches.n_objects) == (None, 1.0, 0)
    assert len(gallery.views()) == 0
    assert isinstance(gallery.views(), Looks)


def test_views_of_many_objects_are_chosen_as_those_of_each_alone(rng) -> None:
    looks, _ = fleet(rng, n=30, views=20, sigma=0.5)
    looks = looks.replace(vector=looks.vector / np.linalg.norm(looks.vector, axis=1, keepdims=True))
    looks = looks.take(rng.permutation(len(looks))[:500])  # objects of different numbers of views
    together = kept_rows(looks, 7, 0.02)
    alone = [np.zeros(0, int)]
    for one in np.unique(looks.object):
        rows = np.flatnonzero(looks.object == one)
        alone.append(rows[choose_views(looks.vector[rows], looks.quality[rows], looks.camera[rows], 7, 0.02)])
    np.testing.assert_array_equal(np.sort(together), np.sort(np.concatenate(alone)))
