"""Large maps: what is indexed, quantised or left in the file changes no answer, and many images slow no query."""

import time
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from drawn_landmarks import SIZE, cameras_of, draw_camera, draw_court, see
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError
from geoloc.features.matching import MatchingOptions, match_descriptors
from geoloc.features.word_matching import match_words
from geoloc.features.words import train_words
from geoloc.relocalize.candidates import PROBES, rank_images
from geoloc.relocalize.estimate import Hypothesis
from geoloc.relocalize.evidence import Evidence
from geoloc.relocalize.landmark_storage import load_landmarks, save_landmarks
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.mapping import build_landmarks
from geoloc.relocalize.relocalization import (
    Query,
    RelocalizationOptions,
    _judged,
    _settled,
    _with_probabilities,
    relocalize,
)


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(11)
    court, cameras = draw_court(rng), cameras_of(rng, 6)
    return court, build_landmarks([see(court, camera, rng) for camera in cameras], cameras)


def many(landmarks: LandmarkMap, n: int) -> LandmarkMap:
    """The map, and beside it n - 1 places that look otherwise: their descriptors' columns are exchanged."""
    parts, size, images = [], len(landmarks), len(landmarks.cameras)
    for copy in range(n):
        order = np.random.default_rng(copy).permutation(128) if copy else np.arange(128)
        shift = np.array([100.0 * copy, 0.0, 0.0])
        back = RigidTransform.from_translation(-shift)
        moved = [
            replace(each, name=f"{copy}:{each.name}", cam_from_world=each.cam_from_world * back)
            for each in landmarks.cameras
        ]
        parts.append((moved, landmarks.points + shift, landmarks.image + copy * images,
                      landmarks.point + copy * size, landmarks.descriptors[:, order]))  # fmt: skip
    cameras, points, image, point, descriptors = zip(*parts, strict=True)
    return LandmarkMap(
        tuple(camera for each in cameras for camera in each), np.concatenate(points),
        np.tile(landmarks.point_cov, (n, 1, 1)), np.concatenate(image), np.concatenate(point),
        np.tile(landmarks.pixels, (n, 1)), np.tile(landmarks.scale, n), np.concatenate(descriptors),
        landmarks.extractor, landmarks.noise,
    )  # fmt: skip


@pytest.fixture(scope="module")
def large(drawn):
    return many(drawn[1], 40)


def same(one, other) -> bool:
    """Whether two estimates are the same to the last digit."""
    assert one.answered
    assert other.answered
    poses = [np.concatenate([e.cam_from_world.as_matrix().ravel(), e.cov.ravel()]) for e in (one, other)]
    return np.array_equal(*poses) and one.evidence == other.evidence and one.probability == other.probability


def test_a_map_out_of_its_file_answers_the_same(drawn, rng, tmp_path):
    court, landmarks = drawn
    save_landmarks(landmarks, tmp_path / "m.npz")
    # as it comes out of a file: covariances are kept in single precision there
    landmarks = replace(landmarks, point_cov=landmarks.point_cov.astype(np.float32).astype(float))
    whole, mapped = (load_landmarks(tmp_path / "m.npz", mapped) for mapped in (False, True))
    assert mapped.n_bytes < whole.n_bytes == landmarks.n_bytes
    assert isinstance(mapped.descriptors.base, np.memmap)
    for _ in range(3):
        true = draw_camera(rng, "q")
        query = Query(see(court, true, rng), SIZE, true)
        first, *others = (relocalize(query, each, np.random.default_rng(3)) for each in (landmarks, whole, mapped))
        assert all(same(first, other) for other in others)


def test_a_file_without_an_index_answers_and_a_wrong_index_is_refused(drawn, rng, tmp_path):
    path = tmp_path / "m.npz"
    save_landmarks(drawn[1], path)
    arrays = dict(np.load(path))
    np.savez(path, **{name: value for name, value in arrays.items() if not name.startswith("index.")})
    plain = load_landmarks(path)
    assert np.array_equal(plain.index.signature, drawn[1].index.signature)
    for name, value, said in (
        ("index.word", arrays["index.word"][:-1], r"index\.word has shape"),
        ("index.word", arrays["index.word"] + np.uint8(200), "words are not those"),
        ("index.signature", arrays["index.signature"][:-5], "do not fit"),
        ("index.starts", arrays["index.starts"][::-1], "words are not those"),
        ("index.words", arrays["index.words"][:, :5], "of other descriptors"),
        ("index.axes", arrays["index.axes"].astype(float), r"index\.axes is float64"),
    ):
        np.savez(path, **{**arrays, name: value})
        with pytest.raises(InputError, match=said):
            load_landmarks(path)
    np.savez_compressed(path, **arrays)
    with pytest.raises(InputError, match="packed and cannot be mapped"):
        load_landmarks(path, mapped=True)
    assert load_landmarks(path).names == drawn[1].names


def compared_with_all(query, landmarks, images, options):
    """Pairs of features and observations that match, image by image, every pair compared."""
    pairs = set()
    for image in images:
        rows = landmarks.rows([image])
        found = match_descriptors(query.descriptors, landmarks.descriptors[rows], options)
        pairs |= set(zip(found.rows_a.tolist(), rows[found.rows_b].tolist(), strict=True))
    return pairs


@pytest.mark.parametrize("options", [MatchingOptions(), MatchingOptions(1.0, 0.5), MatchingOptions(0.95)])
def test_words_lose_hardly_a_match(drawn, rng, options):
    court, landmarks = drawn
    query = see(court, draw_camera(rng, "q"), rng)
    twice = query.take(np.append(np.arange(len(query)), np.arange(40)))  # features that are the same decide nothing
    for features in (query, twice):
        wanted = compared_with_all(features, landmarks, range(len(landmarks.cameras)), options)
        words = train_words(landmarks.descriptors, 32)
        word = words.nearest(landmarks.descriptors)[:, 0]
        for n, least in ((32, 1.0), (PROBES, 0.97)):
            probes = words.nearest(features.descriptors, n)
            described = landmarks.descriptors, word, landmarks.image
            rows, of = match_words(features.descriptors, probes, *described, options)
            found = set(zip(rows.tolist(), of.tolist(), strict=True))
            assert len(found) == len(rows)
            if n == len(words) and options.max_ratio < 1:
                assert found == wanted
            assert len(found & wanted) >= least * len(wanted)  # measured 0.99 and more with 8 of 32 words
    none = match_words(query.descriptors[:0], np.zeros((0, 1), int), *described, options)
    assert [len(each) for each in none] == [0, 0]


def test_the_images_that_show_a_place_come_first_of_many(drawn, large, rng):
    n = len(drawn[1].cameras)
    for _ in range(4):
        order = rank_images(see(drawn[0], draw_camera(rng, "q"), rng), large)
        assert sorted(order[:n].tolist()) == list(range(n))
        assert sorted(order.tolist()) == list(range(len(large.cameras)))


def test_many_images_do_not_slow_a_query(drawn, large, rng):
    court, landmarks = drawn
    true = draw_camera(rng, "q")
    query = Query(see(court, true, rng), SIZE, true)
    seconds = []
    for each in (landmarks, large):
        times = []
        for _ in range(4):
            start = time.process_time()
            found = relocalize(query, each, np.random.default_rng(3))
            times.append(time.process_time() - start)
        assert found.answered
        assert np.linalg.norm(found.camera.centre_world - true.centre_world) < 0.05
        seconds.append(min(times[1:]))  # the first makes what it is searched by
    assert seconds[1] < 3 * seconds[0]  # measured 1.1: of 40 times as many images
    small, wide = (np.diff(each.index.starts).mean() for each in (landmarks, large))
    assert wide < 1.1 * small  # signatures that a voter meets in a word


def test_a_map_whose_descriptors_stay_in_the_file_takes_a_quarter_of_them(large):
    kept = large.n_bytes - large.descriptors.nbytes
    assert kept < 0.25 * 4 * large.descriptors.size  # measured 0.15 of what they take as float32
    assert large.n_bytes < 0.45 * 4 * large.descriptors.size


def test_observations_of_landmarks_are_all_found(large, rng):
    points = rng.permutation(len(large))[:50]
    rows, of = large.sights(points)
    assert sorted(rows.tolist()) == np.flatnonzero(np.isin(large.point, points)).tolist()
    assert np.array_equal(large.point[rows], points[of])
    assert [len(each) for each in large.sights(points[:0])] == [0, 0]
    images = np.array([3, 17, 4])
    shared = large.shared_points(images)
    for i, j in combinations(range(3), 2):
        both = set(large.point[large.rows(images[[i]])]) & set(large.point[large.rows(images[[j]])])
        assert shared[i, j] == shared[j, i] == len(both)


NO_REPEATS = np.zeros((0, 3))


def test_places_that_are_not_looked_at_could_not_have_made_an_answer_doubtful(drawn, rng):
    options, camera = RelocalizationOptions(), replace(drawn[1].cameras[0], calib_cov=1e-6 * np.eye(6))

    def place(n, odds=9.0):
        return Hypothesis(camera, np.arange(n), np.arange(n), Evidence(20, 20, odds, 0.8 * n, int(0.6 * n)), 0.0)

    settled = 0
    for _ in range(300):
        first, n = int(rng.integers(50, 800)), int(rng.integers(1, 6))
        rest = sorted((min(first, int(each)) for each in rng.integers(6, 60, n)), reverse=True)
        if not _settled([place(first)], rest, options, NO_REPEATS):
            continue
        settled += 1
        for k in range(n + 1):
            for rivals in combinations(rest, k):
                found = _judged(_with_probabilities([place(first), *map(place, rivals)], NO_REPEATS), options, drawn[1])
                assert found.answered
                assert found.probability > 0.998  # asked: 0.99
    assert 20 < settled < 300
    assert not _settled([place(500, odds=-1.0)], [6], options, NO_REPEATS)
