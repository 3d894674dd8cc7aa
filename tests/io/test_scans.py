import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.io.scans import read_scan, write_mesh

POINTS = np.array([[500000.25, 5300000.5, 412.125], [500001.0, 5300000.0, 412.0], [500002.0, 5300001.0, 413.5]])


def _ply(form: str, order: str) -> bytes:
    axes = "\n".join(f"property double {axis}" for axis in "xyz")
    faces = "element face 0\nproperty list uchar int vertex_indices\nend_header\n"
    lines = ["ply", f"format {form} 1.0", "comment a scanner", "element vertex 3", "property uchar red", axes, faces]
    head = "\n".join(lines).encode()
    if form == "ascii":
        return head + "".join(f"7 {x} {y} {z}\n" for x, y, z in POINTS).encode()
    rows = np.zeros(3, [("red", "u1"), *((axis, order + "f8") for axis in "xyz")])
    for i, axis in enumerate("xyz"):
        rows[axis] = POINTS[:, i]
    return head + rows.tobytes()


@pytest.mark.parametrize(("form", "order"), [("ascii", ""), ("binary_little_endian", "<"), ("binary_big_endian", ">")])
def test_every_form_of_ply_gives_its_points_to_the_last_digit(tmp_path, form, order):
    (tmp_path / "a.ply").write_bytes(_ply(form, order))
    np.testing.assert_array_equal(read_scan(tmp_path / "a.ply"), POINTS)


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian"])
def test_a_truncated_scan_is_refused(tmp_path, form):
    (tmp_path / "a.ply").write_bytes(_ply(form, "<")[:-40])
    with pytest.raises(InputError, match="truncated"):
        read_scan(tmp_path / "a.ply")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"ply\nformat ascii 1.0\n", b"ply\nelement vertex many\n"])
def test_what_is_no_scan_is_named(tmp_path, content):
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(InputError, match="header"):
        read_scan(tmp_path / "a.ply")
    with pytest.raises(InputError, match="not read"):
        read_scan(tmp_path / "a.e57")


def test_a_las_keeps_its_points_and_loses_its_noise(tmp_path):
    laspy = pytest.importorskip("laspy", reason="no laspy; pip install 'geoloc[scan]'")
    las = laspy.create(point_format=3, file_version="1.2")
    las.header.offsets, las.header.scales = [500000, 5300000, 400], [0.001] * 3
    las.x, las.y, las.z = POINTS.T
    las.classification = [2, 2, 7]
    for name in ("a.las", "a.laz"):
        las.write(str(tmp_path / name))
        np.testing.assert_allclose(read_scan(tmp_path / name), POINTS[:2], atol=1e-6)
    (tmp_path / "b.las").write_bytes((tmp_path / "a.las").read_bytes()[:-30])
    with pytest.raises(InputError, match="truncated"):
        read_scan(tmp_path / "b.las")


def test_a_mesh_is_read_back_by_open3d(tmp_path):
    open3d = pytest.importorskip("open3d", exc_type=ImportError, reason="no open3d; pip install 'geoloc[mesh]'")
    write_mesh(tmp_path / "m.ply", np.eye(3) * 2.5, np.array([[0, 1, 2]]))
    mesh = open3d.io.read_triangle_mesh(str(tmp_path / "m.ply"))
    np.testing.assert_array_equal(np.asarray(mesh.vertices), np.eye(3) * 2.5)
    np.testing.assert_array_equal(np.asarray(mesh.triangles), [[0, 1, 2]])
