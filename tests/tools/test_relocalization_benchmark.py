"""The benchmark of relocalization: its drawn map holds real places among others, and its peer finds poses in it."""

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "relocalize")]

from benchmarks.hloc_style import match_images, pose_of  # noqa: E402
from benchmarks.relocalization import rows_of  # noqa: E402
from benchmarks.tiled_map import copied_images, offset_of, stored_images, tiled  # noqa: E402
from drawn_landmarks import SIZE, cameras_of, draw_camera, draw_court, see  # noqa: E402

from geoloc.features.local import unit_descriptors  # noqa: E402
from geoloc.relocalize.candidates import rank_images  # noqa: E402
from geoloc.relocalize.mapping import build_landmarks  # noqa: E402
from geoloc.relocalize.relocalization import Query, relocalize  # noqa: E402


def test_a_drawn_map_keeps_its_real_places_and_its_peer_finds_them(rng):
    courts, maps, features = [draw_court(rng, 300), draw_court(rng, 300)], [], {}
    for place, court in enumerate(courts):
        cameras = cameras_of(rng, 4, name=f"{place}c")
        seen = [see(court, camera, rng) for camera in cameras]
        features |= {camera.name: each for camera, each in zip(cameras, seen, strict=True)}
        maps.append(build_landmarks(seen, cameras))
    large = tiled(maps, maps, 26)
    assert len(large.cameras) == 28
    stored = copied_images(large, [stored_images(part, features) for part in maps])
    for place, court in enumerate(courts):
        true = draw_camera(rng, "q")
        query = see(court, true, rng)
        found = relocalize(Query(query, SIZE, true), large, rng)
        assert np.linalg.norm(found.camera.centre_world - offset_of(place) - true.centre_world) < 0.1
        order = rank_images(query, large)
        assert {large.names[image].split(":")[0] for image in order[:4].tolist()} == {str(place)}
        near = [stored(image) for image in order[:4].tolist()]
        rows, points = match_images(unit_descriptors(query.descriptors), near)
        pose = pose_of(true, query.pixels[rows].astype(float), large.points[points])
        centre = -pose.rotation.inv().apply(pose.translation) - offset_of(place)
        assert np.linalg.norm(centre - true.centre_world) < 0.1
        others = [stored(image) for image in range(len(large.cameras) - 4, len(large.cameras))]
        assert len(match_images(unit_descriptors(query.descriptors), others)[0]) < 0.1 * len(rows)
        image = int(order[0])  # a copy's stored landmarks are those that the map has there
        assert set(large.point[large.rows([image])]) == set(stored(image).point) - {-1}
        last = len(large.cameras) - 1
        assert set(large.point[large.rows([last])]) == set(stored(last).point) - {-1}


def test_figures_become_rows():
    one = {"n": 3, "recall": [1.0, 1.0], "median_mm": 4.0, "seconds": 0.4, "slowest": 0.5,
           "parts": {"extraction": 0.2, "matching": 0.1}}  # fmt: skip
    duel = {"geoloc": one, "hloc-style": {**one, "seconds": 1.0}}
    weighed = {"images": 2000, "landmarks": 9, "observations": 10, "memory": {"whole": 4e8, "mapped": 1e8},
               "load_s": {"whole": 1.0, "mapped": 0.5}, "index_s": 9.0, "file": 6e8, "raw_observed": 2e9,
               "raw_all": 5e9}  # fmt: skip
    rows = rows_of({"strecha": duel, "drawn": duel, "features": {"as they are": one}, "map": weighed})
    assert rows[0].value == pytest.approx(400)
    assert rows[0].ratio == pytest.approx(0.4)
    memory = next(row for row in rows if "left in the file" in row.subject)
    assert (memory.value, memory.ratio) == (pytest.approx(50), pytest.approx(0.02))
