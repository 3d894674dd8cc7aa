"""`geoloc calibrate scan`: a scan of any pose gives ground and walls; what cannot be told is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from cli_samples import Done
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.calibrate.scan_faces import map_faces
from geoloc.scene.map_storage import load_map
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, Level, Occluder, SiteMap, Surface
from geoloc.scene.storage import save_site

pytest.importorskip("open3d", reason="scans need open3d")

RISE, FROM = 0.3, 20.0  # m; the true ground lies this much over the map's from there on eastwards
POSE = RigidTransform.from_components([40.0, -25.0, 3.0], Rotation.from_rotvec([0.3, -0.2, 2.1]))


def yard_map(symmetric: bool = False) -> SiteMap:
    """A yard with walls on three sides and a shed; a square one with four equal walls where it is symmetric."""
    outline = shapely.box(0, 0, 20, 20) if symmetric else shapely.box(0, 0, 24, 16)
    x1, y1 = outline.bounds[2:]
    corners = [(0, 0), (x1, 0), (x1, y1), (0, y1), (0, 0)]
    line = corners if symmetric else [(9, 0), *corners[1:4], (0, 6)]
    things = [Occluder("wall", "yard", shapely.LineString(line), 3.0)]
    if not symmetric:
        things.append(Occluder("shed", "yard", shapely.box(16, 11, 21, 14), 2.5))
    points = tuple(ControlPoint(f"corner {i}", (*corner, 0.0)) for i, corner in enumerate(corners[:4]))
    level = Level("yard", (Surface(polygon=outline, sigma_z=0.05),))
    return SiteMap((level,), occluders=tuple(things), control_points=points)


def scanned(site_map: SiteMap, rng: np.random.Generator) -> np.ndarray:
    """World points of a scan of the map, on ground that rises in the east, and of a pillar that the map lacks."""
    faces = map_faces(site_map, 0.12, 0.02)
    points = faces.points[faces.points[:, 2] > -1]
    points[~faces.upright & (points[:, 0] > FROM), 2] += RISE
    angle, height = rng.uniform(0, 2 * np.pi, 4000), rng.uniform(0, 2.6, 4000)
    pillar = np.column_stack([7 + 0.3 * np.cos(angle), 9 + 0.3 * np.sin(angle), height])
    return np.concatenate([points, pillar]) + 0.01 * rng.normal(size=(len(points) + len(pillar), 3))


def write_ply(path: Path, points: np.ndarray) -> Path:
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    header += [f"property double {axis}" for axis in "xyz"] + ["end_header\n"]
    path.write_bytes("\n".join(header).encode() + points.astype("<f8").tobytes())
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    save_site(Site("yard", (), yard_map()), tmp_path)
    write_ply(tmp_path / "scan.ply", POSE.inv().apply(scanned(yard_map(), np.random.default_rng(0))))
    return tmp_path


def test_a_scan_gives_ground_a_pillar_and_a_picture(call: Callable[..., Done], site: Path) -> None:
    out = site / "new.geojson"
    words = ("calibrate", "scan", "yard", site / "scan.ply", "--root", site, "-o", out, "--mesh", site / "m.ply")
    done = call(*words, "--json")
    assert done.code == 0, done.err
    assert done.json["rms_m"] < 0.03  # m; measured 0.013
    assert np.allclose(done.json["world_from_scan"], POSE.as_matrix(), atol=0.1)
    proposed = load_map(out)
    z = proposed.level("yard").z_at(np.array([[4.0, 4.0], [12.0, 8.0], [22.5, 4.0]]))
    assert np.abs(z - [0, 0, RISE]).max() < 0.02  # m; measured 0.0006
    fresh = [thing for thing in proposed.occluders if thing.name in done.json["new_occluders"]]
    assert len(fresh) == 1
    assert fresh[0].geometry.centroid.distance(shapely.Point(7, 9)) < 0.15
    assert (site / "new.png").stat().st_size > 20_000
    assert (site / "m.ply").is_file()
    assert not load_map(site / "sitemaps" / "yard.geojson").occluders[2:]  # a proposal only


def test_the_sites_map_is_replaced_on_request_and_the_old_one_kept(call: Callable[..., Done], site: Path) -> None:
    done = call("calibrate", "scan", "yard", site / "scan.ply", "--root", site, "-o", site / "n.geojson", "--write")
    assert done.code == 0, done.err
    assert "+30" in done.out
    assert len(load_map(site / "sitemaps" / "yard.geojson").occluders) == 3
    assert len(load_map(site / "calibration" / "yard" / "map-before-scan-1.geojson").occluders) == 2


def test_a_symmetric_site_is_refused_and_picks_decide_it_whatever_the_unit(
    call: Callable[..., Done], tmp_path: Path
) -> None:
    square = yard_map(symmetric=True)
    save_site(Site("yard", (), square), tmp_path)
    faces = map_faces(square, 0.08, 0.02)
    points = POSE.inv().apply(faces.points) / 0.3048
    scan = write_ply(tmp_path / "feet.ply", points)
    words = ("calibrate", "scan", "yard", scan, "--root", tmp_path, "-o", tmp_path / "n.geojson")
    done = call(*words, "--unit", "ft")
    assert done.code == 2
    assert "two places alike" in done.err
    picks = np.array([[0, 0, 0], [20, 0, 0], [20, 20, 0], [20, 10, 1.5]])
    rows = zip(("corner 0", "corner 1", "corner 2", "sign"), POSE.inv().apply(picks) / 0.3048, strict=True)
    text = "\n".join(["point,x,y,z", *(f"{name},{x},{y},{z}" for name, (x, y, z) in rows)])
    (tmp_path / "picks.csv").write_text(text)
    done = call(*words, "--picks", tmp_path / "picks.csv", "--free-scale", "--json")
    assert done.code == 0, done.err
    assert done.json["scale"] == pytest.approx(0.3048, rel=2e-3)
    assert done.json["new_control_points"] == ["sign"]
    sign = next(point for point in load_map(tmp_path / "n.geojson").control_points if point.name == "sign")
    assert np.linalg.norm(np.subtract(sign.xyz, picks[3])) < 0.02  # m; measured 1e-14, the scan has no noise


def test_a_scan_of_another_site_is_refused(call: Callable[..., Done], site: Path) -> None:
    rng = np.random.default_rng(1)
    hills = np.column_stack([rng.uniform(0, 20, (5_000, 2)), np.zeros(5_000)])
    hills[:, 2] = 3 * np.sin(hills[:, 0] / 4) + 3 * np.cos(hills[:, 1] / 5)
    done = call("calibrate", "scan", "yard", write_ply(site / "hills.ply", hills), "--root", site)
    assert done.code == 2
    assert "does not fit" in done.err
    assert not (site / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "map.json"), "written as .geojson"),
        (("--free-scale",), "needs --picks"),
        (("--mesh", "m.obj"), "written as .ply"),
        (("--set", "ground.unevn=1"), "did you mean 'ground.uneven'"),
    ],
)
def test_wrong_calls_are_told_before_any_work(call: Callable[..., Done], site: Path, words, said) -> None:
    done = call("calibrate", "scan", "yard", site / "none.ply", "--root", site, *words)
    assert done.code == 2
    assert said in done.err


def test_two_picks_do_not_say_where_a_scan_lies(call: Callable[..., Done], site: Path) -> None:
    (site / "picks.csv").write_text("point,x,y,z\ncorner 0,0,0,0\ncorner 1,1,0,0\n")
    done = call("calibrate", "scan", "yard", site / "scan.ply", "--root", site, "--picks", site / "picks.csv")
    assert done.code == 2
    assert "three say where" in done.err
