"""Every real recording that lies in the data folder is read, and its geometry agrees with its truth."""

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from geoloc.io.cityflow import read_cityflow, read_cityflow_tracks, read_cityflow_truth
from geoloc.io.cmc import read_cmc, read_cmc_site, read_cmc_tracks
from geoloc.io.detections import ReadOptions, read_detections
from geoloc.io.homographies import apply_homography, invert
from geoloc.io.meva import meva_slots, read_meva, read_meva_site
from geoloc.io.meva_truth import (
    read_meva_gps,
    read_meva_gps_matches,
    read_meva_objects,
    read_meva_pairs,
    read_meva_truth,
)
from geoloc.io.multiviewx import read_multiviewx, read_multiviewx_box_truth, read_multiviewx_truth
from geoloc.io.wildtrack import read_wildtrack, read_wildtrack_positions, read_wildtrack_truth
from geoloc.scene.ground import intersect_ground
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections


def feet_on_map(site: Site, found: Detections) -> np.ndarray:
    """Where the middle of each box's lower edge meets the ground (N, 2) m; NaN where it does not."""
    foot = np.stack([(found.box[:, 0] + found.box[:, 2]) / 2, found.box[:, 3]], axis=1)
    out = np.full((len(found), 2), np.nan)
    for camera in site.cameras:
        mine = found.camera == camera.name
        if camera.is_homography:
            out[mine] = apply_homography(invert(camera.lens.params.reshape(3, 3), camera.name), foot[mine])
        else:
            rays = camera.unproject(foot[mine])
            out[mine] = intersect_ground(site.site_map, camera.centre_world[None], rays).xyz[:, :2]
    return out


def check_common(site: Site, found: Detections) -> None:
    assert len(found)
    assert set(found.camera.tolist()) <= set(site.camera_index)
    assert np.isfinite(found.box).all()
    assert (found.box[:, 2:] > found.box[:, :2]).all()
    assert len(np.unique(found.id)) == len(found)


def test_wildtrack_feet_lie_on_the_true_positions(recording):
    """Median distance of a foot to the nearest truth: measured 0.102 to 0.132 m over the seven cameras."""
    site, found = read_wildtrack(recording("wildtrack"))
    check_common(site, found)
    truth = read_wildtrack_truth(recording("wildtrack"))
    xy = feet_on_map(site, found)
    for camera in site.cameras:
        nearest = [
            np.linalg.norm(truth.xy[truth.time == found.time[i]] - xy[i], axis=1).min()
            for i in np.flatnonzero(found.camera == camera.name)
            if (truth.time == found.time[i]).any()
        ]
        assert np.median(nearest) < 0.16, (camera.name, np.median(nearest))


def test_wildtrack_map_times_and_published_detector(recording):
    folder = recording("wildtrack")
    site, found = read_wildtrack(folder)
    truth = read_wildtrack_truth(folder)
    published = read_wildtrack_positions(folder / "mvdet_positions.txt")
    assert set(found.time) <= set(truth.time)
    np.testing.assert_allclose(np.diff(np.unique(truth.time)).min(), 0.5)
    (zone,) = site.site_map.zones
    assert (zone.kind, zone.polygon.bounds) == ("area_of_interest", (-3.0, -9.0, 9.0, 27.0))
    for table in (truth, published):
        assert (table.xy >= [-3.0, -9.0]).all()
        assert (table.xy <= [9.0, 27.0]).all()


def test_multiviewx_is_turned_to_a_right_handed_world(recording):
    """Feet against the person's own truth, ids by `..._box_truth` only: measured 0.095 to 0.129 m median."""
    folder = recording("multiviewx")
    site, found = read_multiviewx(folder)
    check_common(site, found)
    truth, boxes = read_multiviewx_truth(folder), read_multiviewx_box_truth(folder)
    np.testing.assert_array_equal(boxes.box, found.box)
    where = {(t, i): xy for t, i, xy in zip(truth.time, truth.id, truth.xy, strict=True)}
    true_xy = np.array([where[t, i] for t, i in zip(boxes.time, boxes.id, strict=True)])
    error = np.linalg.norm(feet_on_map(site, found) - true_xy, axis=1)
    for camera in site.cameras:
        median = np.nanmedian(error[found.camera == camera.name])
        assert median < 0.15, (camera.name, median)
        assert camera.centre_world[2] > 2.0  # above the ground, not under a mirrored one
    assert np.isnan(error).mean() < 0.01


def test_cityflow_cameras_agree_on_the_ground(recording):
    """The same car at the same time in two cameras: measured 3.6, 2.9 and 4.3 m, medians."""
    folder = recording("cityflow")
    site, found = read_cityflow(folder)
    check_common(site, found)
    truth = read_cityflow_truth(folder)
    np.testing.assert_array_equal(truth.box, found.box)
    xy = feet_on_map(site, found)
    rows = {}
    for i in range(len(truth)):
        rows.setdefault((int(truth.id[i]), round(float(truth.time[i]) * 10)), []).append(i)
    for a, b in combinations(site.camera_index, 2):
        pairs = [(i, j) for same in rows.values() for i in same for j in same]
        pairs = [(i, j) for i, j in pairs if (truth.camera[i], truth.camera[j]) == (a, b)]
        if pairs:
            i, j = np.array(pairs).T
            median = np.median(np.linalg.norm(xy[i] - xy[j], axis=1))
            assert median < 5.0, (a, b, median)


def test_cityflow_published_tracks_lie_on_the_true_boxes(recording):
    """Their pixels and clocks are those of the truth: measured 0.63 median IoU, 0.55 two frames beside it."""
    folder = recording("cityflow")
    _, found = read_cityflow(folder, "tracks")
    tracks, truth = read_cityflow_tracks(folder), read_cityflow_truth(folder)
    np.testing.assert_array_equal(tracks.box, found.box)
    rows = {}
    for i in range(len(truth)):
        rows.setdefault((truth.camera[i], truth.frame[i]), []).append(i)
    medians = []
    for offset in (-2, 0, 2):
        found_rows = [
            (i, rows.get((tracks.camera[i], tracks.frame[i] + offset))) for i in range(0, len(tracks), 7)
        ]
        overlap = [best_iou(tracks.box[i], truth.box[same]) for i, same in found_rows if same]
        medians.append(np.median(overlap))
    assert medians[1] > 0.6, medians
    assert max(medians[0], medians[2]) < medians[1] - 0.04, medians


def best_iou(box: np.ndarray, others: np.ndarray) -> float:
    size = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.maximum(size, 0), axis=1)
    area = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1)
    return float((shared / (area - shared)).max())


def test_cityflow_keeps_all_digits_of_its_homographies(recording):
    """Metres around the datum to pixels, against degrees to pixels: measured 0.008 px within 60 m."""
    from geoloc.geometry.geodesy import geodetic_from_enu
    from geoloc.io.calibration_forms import parse_latlon_homography

    folder = recording("cityflow")
    site, found = read_cityflow(folder)
    for camera in site.cameras:
        xy = feet_on_map(site, found.take(found.camera == camera.name))
        xy = xy[np.linalg.norm(xy, axis=1) < 60.0][::50]
        lat, lon, _ = geodetic_from_enu(site.site_map.datum, np.column_stack([xy, np.zeros(len(xy))]))
        matrix, error = parse_latlon_homography(folder / "calibration" / f"{camera.name}.txt")
        exact = apply_homography(matrix, np.stack([lat, lon], axis=1))
        metric = apply_homography(camera.lens.params.reshape(3, 3), xy)
        assert np.abs(exact - metric).max() < 0.05, (camera.name, np.abs(exact - metric).max())
        assert camera.homography_sigma_px == error


def test_meva_slots_are_read_on_a_common_grid(recording):
    folder = recording("meva")
    for slot in meva_slots(folder)[:2]:
        site, every_frame = read_meva(folder, slot)
        _, found = read_meva(folder, slot, every_s=0.2)
        check_common(site, found)
        assert set(found.id) <= set(every_frame.id)
        assert 5.5 < len(every_frame) / len(found) < 6.5
        off_grid = np.abs(found.time - 0.2 * np.rint(found.time / 0.2))
        assert off_grid.max() < 0.018  # half a frame at 30 a second, and the rounding to 1 ms
        # one frame of a camera for each instant
        for name in np.unique(found.camera):
            assert np.diff(np.unique(found.time[found.camera == name])).min() > 0.15
        assert set(found.label) <= {"person", "vehicle"}
        assert (found.score == 1.0).all()


def test_meva_ground_is_the_measured_profile(recording):
    folder = recording("meva")
    level = read_meva_site(folder, meva_slots(folder)[0]).site_map.level("ground")
    y = np.array([-300.0, -80.0, -55.0, -42.5, -30.0, 9.0, 48.0, 300.0])
    z = level.z_at(np.column_stack([np.zeros(8), y]))
    np.testing.assert_allclose(z, [1.0, 1.0, 1.1, 0.91, 0.72, 0.11, -0.5, -0.5], atol=1e-9)


def test_meva_truth_says_whose_every_detection_is(recording):
    folder = recording("meva")
    slot = meva_slots(folder)[0]
    _, found = read_meva(folder, slot, every_s=1.0)
    truth = read_meva_truth(folder, slot)
    mine = truth.take(found.id)
    np.testing.assert_array_equal(mine.detection, found.id)
    np.testing.assert_array_equal(mine.camera, found.camera)
    np.testing.assert_array_equal(mine.time, found.time)
    objects = {(c, o) for c, o in zip(truth.camera, truth.object, strict=True)}
    for slot_name in meva_slots(folder):
        pairs = read_meva_pairs(folder, slot_name)
        assert set(pairs.level) <= set("ABCG")
    listed = read_meva_objects(folder, slot)
    assert {(c, o) for c, o in zip(listed.camera, listed.object, strict=True)} <= objects
    assert int(listed.n_frames.sum()) <= len(truth)
    pairs = read_meva_pairs(folder, slot)
    assert {(c, o) for c, o in zip(pairs.camera_a, pairs.object_a, strict=True)} <= objects


def test_meva_gps_falls_where_its_authors_put_it(recording):
    """x and y of the file against ours from its latitude and longitude: measured 7 mm, its rounding."""
    from geoloc.files import read_columns

    folder = recording("meva")
    for slot in meva_slots(folder):
        fixes, matches = read_meva_gps(folder, slot), read_meva_gps_matches(folder, slot)
        if not len(fixes):
            assert not len(matches)
            continue
        columns = read_columns(folder / "gps" / f"{slot}.csv.gz")
        given = np.array([columns["x"], columns["y"]], float).T
        np.testing.assert_allclose(fixes.xy, given, atol=0.02)
        assert set(matches.logger) <= set(fixes.logger)


def test_meva_cameras_without_the_common_frame_are_left_out_and_said_so(tmp_path, caplog):
    """A slot with a camera of its own frame and one without a model."""
    from meva_sample import make_meva

    folder = make_meva(tmp_path, own_frame="G330", no_model="G999")
    with caplog.at_level("WARNING"):
        site, found = read_meva(folder, "slot")
    assert list(site.camera_index) == ["G1"]
    assert set(found.camera) == {"G1"}
    assert "G330 is left out: its frame is its own" in caplog.text
    assert "G999 is left out: it has no model" in caplog.text


@pytest.mark.parametrize("sequence", ["CMC1", "CMC4"])
def test_cmc_cameras_agree_on_the_floor(recording, sequence):
    """Feet of the same instant in two cameras, paired by distance: measured 0.16 to 0.51 m, medians."""
    folder = recording("cmc")
    if not (folder / "fairmot" / sequence).is_dir():
        pytest.skip(f"sequence {sequence} is not in {folder}")
    site, found = read_cmc(folder, sequence)
    check_common(site, found)
    assert found.embedding.shape == (len(found), 128)
    np.testing.assert_allclose(np.linalg.norm(found.embedding, axis=1), 1.0, atol=1e-3)
    sure = found.take(found.score > 0.5)
    xy = feet_on_map(site, sure)
    for a, b in combinations(site.camera_index, 2):
        distances: list[float] = []
        for time in np.unique(sure.time):
            now = sure.time == time
            gaps = np.linalg.norm(
                xy[now & (sure.camera == a)][:, None] - xy[now & (sure.camera == b)], axis=2
            )
            distances += gaps[linear_sum_assignment(gaps)].tolist()
        assert np.median(distances) < 0.6, (a, b, np.median(distances))


def test_cmc_published_tracks_share_clock_and_floor_with_the_boxes(recording):
    """Nearest foot of any camera to a published position: measured 0.13 m median."""
    folder = recording("cmc")
    site, found = read_cmc(folder, "CMC1")
    tracks = read_cmc_tracks(folder, "CMC1")
    assert set(tracks.time) <= set(found.time)
    xy = feet_on_map(site, found)
    nearest = [
        np.linalg.norm(xy[found.time == t] - p, axis=1).min()
        for t, p in zip(tracks.time, tracks.xy, strict=True)
    ]
    assert np.median(nearest) < 0.2, np.median(nearest)


def test_cmc5_has_the_matrices_of_its_own_day(recording):
    folder = recording("cmc")
    same, other = read_cmc_site(folder, "CMC1"), read_cmc_site(folder, "CMC5")
    moved = [
        np.linalg.norm(same.camera(name).centre_world - other.camera(name).centre_world)
        for name in ("Cam_1", "Cam_2", "Cam_3", "Cam_4")
    ]
    assert moved[:2] == [0.0, 0.0]
    assert min(moved[2:]) > 0.1


@pytest.mark.parametrize("name", ["pets2009", "motmetrics_tud"])
def test_mot_files_of_recordings_are_read_whole(recording, name):
    files = [
        *recording(name).rglob("det.txt"),
        *recording(name).rglob("gt.txt"),
        *recording(name).rglob("test.txt"),
    ]
    assert files
    for file in files:
        result = read_detections(file, options=ReadOptions(camera="view", fps=7.0))
        assert result.report.kind == "mot"
        assert result.report.n_skipped == 0
        assert len(result.detections) == len(file.read_text().split())


def test_pets_tracks_in_cvml_lie_on_the_mot_boxes(recording):
    """The same truth in two formats, whose pixels must agree: measured 0.50 px at most (rounding)."""
    folder = recording("pets2009")
    options = ReadOptions(camera="view", fps=7.0)
    cvml = read_detections(folder / "milan" / "PETS2009-S2L1-gt.xml", options=options).detections
    file = folder / "3DMOT2015Labels" / "train" / "PETS09-S2L1" / "gt" / "gt.txt"
    mot = read_detections(file, options=options).detections
    for time in np.unique(mot.time)[:50]:
        a, b = cvml.box[cvml.time == time], mot.box[mot.time == time]
        gaps = np.abs(a[:, None] - b).max(axis=2)
        worst = gaps[linear_sum_assignment(gaps)].max()
        assert worst < 0.6, (time, worst)
