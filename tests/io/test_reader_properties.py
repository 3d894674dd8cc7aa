"""Any well-formed file comes back: boxes by their pixels and times, cameras by their projections, tracks bit by bit."""

import json

import numpy as np
from detection_samples import SAMPLES
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from geoloc.geometry.geodesy import Datum
from geoloc.geometry.se3 import look_at
from geoloc.io.calibrations import CameraOptions, read_cameras
from geoloc.io.detections import ReadOptions, read_detections
from geoloc.io.tracks import read_tracks, write_tracks
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole, RadialTangential
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks

EACH = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CORNERS = st.floats(-500, 2500)
SIDES = st.floats(0.5, 2000)
ROWS = st.lists(st.tuples(st.integers(1, 5000), CORNERS, CORNERS, SIDES, SIDES, st.floats(0.01, 0.99)), max_size=8)


def foreign_texts(rows: list[tuple]) -> dict[str, tuple[str, ReadOptions]]:
    """The rows (frame, left, top, width, height, score) in the forms that count frames, as `SAMPLES` shifts them."""
    camera = ReadOptions(camera="C1", fps=10.0)
    mot = "".join(f"{f},-1,{x!r},{y!r},{w!r},{h!r},{s!r},-1,-1,-1\n" for f, x, y, w, h, s in rows)
    coco = [{"image_id": f"C1_{f}", "bbox": [x, y, w, h], "score": s, "category_id": 1} for f, x, y, w, h, s in rows]
    flow = "".join(f"1 -1 {f} {x!r} {y!r} {w!r} {h!r} -1 -1\n" for f, x, y, w, h, _ in rows)
    mvdetr: dict[str, list[list[float]]] = {}
    for f, x, y, w, h, _ in rows:
        mvdetr.setdefault(str(f), []).append([x, y, w, h, -1, 0])
    return {
        "mot": (mot, camera),
        "coco": (json.dumps(coco), ReadOptions(fps=10.0, image_pattern=r"(?P<camera>\w+)_(?P<frame>\d+)")),
        "cityflow": (flow, ReadOptions()),
        "mvdetr": (json.dumps(mvdetr), ReadOptions()),
    }


FIRST_FRAME = {"mot": 1, "coco": 0, "cityflow": 1, "mvdetr": 0}
SECONDS_OF_A_FRAME = {"mot": 0.1, "coco": 0.1, "cityflow": 0.1, "mvdetr": 0.5}


@EACH
@given(rows=ROWS)
def test_boxes_of_frame_counting_forms_come_back_with_their_shift_and_time(tmp_path, rows):
    rows = sorted(rows, key=lambda row: row[0])
    for kind, (text, options) in foreign_texts(rows).items():
        (tmp_path / kind).write_text(text)
        result = read_detections(tmp_path / kind, kind, options)
        found = result.detections
        assert result.report.n_skipped == 0, result.report
        frame, left, top, width, height, score = np.array(rows, float).reshape(-1, 6).T
        wanted = np.column_stack([left, top, left + width, top + height]) + SAMPLES[kind].shift
        np.testing.assert_allclose(found.box, wanted, atol=1e-9, err_msg=kind)
        seconds = (frame - FIRST_FRAME[kind]) * SECONDS_OF_A_FRAME[kind]
        np.testing.assert_allclose(found.time, seconds, atol=1e-9, err_msg=kind)
        if kind in ("mot", "coco"):
            np.testing.assert_allclose(found.score, score)


NINE = st.lists(st.floats(-10, 10), min_size=9, max_size=9)
FOCAL, CENTRE = st.floats(200, 3000), st.floats(100, 1800)
PLACE = st.tuples(st.floats(-30, 30), st.floats(-30, 30), st.floats(1, 30))
DISTORTION = st.sampled_from([(), (-0.2, 0.05, 1e-3, -2e-3), (-0.2, 0.05, 1e-3, -2e-3, 0.01)])


@EACH
@given(fx=FOCAL, fy=FOCAL, cx=CENTRE, cy=CENTRE, at=PLACE, distortion=DISTORTION, metres=st.sampled_from([1.0, 0.01]))
def test_any_camera_comes_back_from_krtd_and_opencv(tmp_path, fx, fy, cx, cy, at, distortion, metres):
    pose = look_at(np.array(at), np.zeros(3))
    params = np.array([fx, fy, cx, cy, *distortion])
    wanted = Camera("c", RadialTangential(params) if distortion else Pinhole(params), (1920, 1080), pose)
    k, r, t = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), pose.rotation.as_matrix(), pose.translation / metres
    lines = "\n".join(" ".join(map(repr, row)) for row in [*k.tolist(), *r.tolist(), t.tolist(), list(distortion)])
    (tmp_path / "c.krtd").write_text(lines + "\n")
    parts = {"camera_matrix": k, "distCoeffs": np.array([distortion]), "R": r, "tvec": t[:, None]}
    matrices = {
        name: {"type_id": "opencv-matrix", "rows": len(m), "cols": m.shape[1], "dt": "d", "data": m.ravel().tolist()}
        for name, m in parts.items()
        if m.size
    }
    (tmp_path / "c.json").write_text(json.dumps(matrices))
    points = np.array([[0.0, 0.0, 0.0], [1.0, -2.0, 0.5], [-3.0, 1.0, 1.7]])
    for file in ("c.krtd", "c.json"):
        (found,) = read_cameras(tmp_path / file, options=CameraOptions(size=(1920, 1080), metres=metres))
        np.testing.assert_allclose(found.project(points), wanted.project(points), atol=1e-6)


@EACH
@given(values=NINE, back=st.booleans(), metres=st.sampled_from([1.0, 0.01]))
def test_any_homography_comes_back(tmp_path, values, back, metres):
    matrix = np.reshape(values, (3, 3)) + np.diag([50.0, 50.0, 30.0])
    assume(np.linalg.cond(matrix) < 1e6)
    written = np.linalg.inv(matrix) if back else matrix
    (tmp_path / "h.txt").write_text("\n".join(" ".join(map(repr, row)) for row in written.tolist()))
    options = CameraOptions(size=(1920, 1080), ground_from_pixel=back, metres=metres)
    (camera,) = read_cameras(tmp_path / "h.txt", options=options)
    unit = np.array([0.3, -0.2, 1.0])
    u, v, w = matrix @ unit
    x, y, z = camera.lens.params.reshape(3, 3) @ (unit * [metres, metres, 1.0])
    np.testing.assert_allclose([x / z, y / z], [u / w, v / w], rtol=1e-6)


NUMBERS = st.floats(-1e6, 1e6)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


@EACH
@given(st.data())
def test_tracks_come_back_from_csv_bit_by_bit(tmp_path, data):
    n = data.draw(st.integers(0, 6))

    def draw(*shape: int) -> np.ndarray:
        size = int(np.prod(shape, dtype=int))
        return np.array(data.draw(st.lists(NUMBERS, min_size=size, max_size=size)), float).reshape(shape)

    half, bias = draw(n, 4, 4) / 1e3, draw(n, 2, 2) / 1e3
    tracks = Tracks(
        time=draw(n) * 1e3,
        track=np.arange(n),
        object=np.arange(n) - 1,
        level=np.array(["ground"] * n, dtype=str),
        xy=draw(n, 2) / 1e3,
        velocity=draw(n, 2) / 1e3,
        cov=half @ half.swapaxes(1, 2),
        bias_cov=bias @ bias.swapaxes(1, 2),
        label=np.array([data.draw(TEXTS) for _ in range(n)], dtype=str),
        score=np.abs(draw(n)) / 1e6,
        state=np.array(["confirmed"] * n, dtype=str),
    )
    for site_map in (SiteMap(), SiteMap(datum=Datum(48.0, 11.0, 500.0))):
        write_tracks(tmp_path / "tracks.csv", tracks, site_map)
        assert read_tracks(tmp_path / "tracks.csv") == tracks
