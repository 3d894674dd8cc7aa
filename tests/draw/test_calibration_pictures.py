"""Map lines lie on the lines of the still, stills lie on the map, and pictures are whole."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from calibrated import CROSSES, mark, solve, yard
from shapely import Polygon

from geoloc.calibrate.report import calibration_report
from geoloc.calibrate.solution import Solution
from geoloc.draw.calibration_pictures import PictureOptions, draw_coverage, draw_ground_sigma, draw_mosaic
from geoloc.draw.ground_bands import band_edges, band_labels, bands, length_text, region
from geoloc.draw.ground_svg import LAID
from geoloc.draw.still_lines import still_lines
from geoloc.draw.still_picture import draw_still
from geoloc.geometry.se3 import perturb
from geoloc.perception.ground_mosaic import mosaic
from geoloc.scene.lenses import Homography
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap
from geoloc.synthetic.stills import render_still

NOTHING = Solution((), Marks(), np.zeros((0, 2)), np.zeros(0, bool), ())


@pytest.fixture(scope="module")
def site() -> Site:
    return yard((15.0, -4.0), (33.0, 14.0))


@pytest.fixture(scope="module")
def stills(site) -> dict[str, np.ndarray]:
    return {c.name: render_still(c, site.site_map, np.random.default_rng(3)) for c in site.cameras}


@pytest.fixture(scope="module")
def report(site):
    marks = mark(site, np.random.default_rng(5), 0.3)
    return calibration_report(site, solve(site, marks))


def brightness_along(still: np.ndarray, lines: tuple) -> float:
    """Median grey value under the lines of stalls, of what lies in the picture."""
    canvas = np.zeros(still.shape[:2], np.uint8)
    for line in lines:
        if line.kind == "stall":
            cv2.polylines(canvas, [np.rint(line.pixels).astype(np.int32)], False, 255)
    return float(np.median(still.mean(axis=2)[canvas > 0]))


def test_map_lines_lie_on_the_lines_of_the_still(site, stills) -> None:
    camera = site.cameras[1]
    right = brightness_along(stills[camera.name], still_lines(camera, site.site_map))
    turned = replace(camera, cam_from_world=perturb(camera.cam_from_world, np.array([0.02, 0, 0, 0, 0, 0])))
    wrong = brightness_along(stills[camera.name], still_lines(turned, site.site_map))
    assert right > 165  # lines have 239, the floor 112: 190 found
    assert wrong < 140  # one degree off: 112 found


def test_lines_bend_with_the_lens(site) -> None:
    lines = [line for line in still_lines(site.cameras[0], site.site_map) if line.kind == "level"]
    bent = []
    for pixels in (line.pixels for line in lines):
        chord, away = pixels[-1] - pixels[0], pixels - pixels[0]
        off = np.abs(away[:, 0] * chord[1] - away[:, 1] * chord[0]) / max(float(np.linalg.norm(chord)), 1.0)
        bent.append(float(off.max()))
    assert max(bent) > 3.0  # px off the chord


def test_lines_behind_a_wall_are_not_drawn(site) -> None:
    high = replace(site.site_map.occluders[0], height=5.0)
    hidden = replace(site.site_map, occluders=(high,))

    def stalls(site_map: SiteMap) -> float:
        lines = still_lines(site.cameras[0], site_map)
        return sum(np.linalg.norm(np.diff(line.pixels, axis=0), axis=1).sum() for line in lines if line.kind == "stall")

    assert stalls(hidden) < 0.7 * stalls(site.site_map)


def test_a_map_without_lines_gets_a_grid(site) -> None:
    kinds = {line.kind for line in still_lines(site.cameras[0], SiteMap())}
    assert kinds == {"grid"}


def test_a_camera_known_by_a_homography_has_lines(site) -> None:
    camera = site.cameras[0]
    pose, lens = camera.cam_from_world.as_matrix()[:3], np.array([[260, 0, 239.5], [0, 260, 134.5], [0, 0, 1.0]])
    flat = Homography((lens @ pose[:, [0, 1, 3]]).ravel())
    known = replace(camera, lens=flat, homography_level="lot", homography_sigma_px=1.0)
    assert any(line.kind == "stall" for line in still_lines(known, site.site_map))


def test_stills_lie_on_the_map(site, stills) -> None:
    laid = mosaic(site, "lot", stills, LAID)

    def colours(picture: np.ndarray) -> np.ndarray:
        rows = np.rint((laid.corner[1] - np.array(CROSSES)[:, 1]) / laid.pixel - 0.5).astype(int)
        columns = np.rint((np.array(CROSSES)[:, 0] - laid.corner[0]) / laid.pixel - 0.5).astype(int)
        return picture[rows, columns]

    found = colours(laid.image)
    assert (found[:, 3] == 255).all()
    assert (found[:, 2].astype(int) - found[:, 0] > 40).all()  # every cross is red
    turned = [replace(c, cam_from_world=perturb(c.cam_from_world, np.full(6, 0.03))) for c in site.cameras]
    wrong = mosaic(site.with_cameras(turned), "lot", stills, LAID)
    off = colours(wrong.image)
    assert not (off[:, 2].astype(int) - off[:, 0] > 40).any()


def test_a_mosaic_of_smaller_stills_is_the_same_picture(site, stills) -> None:
    small = {name: cv2.resize(still, (240, 135), interpolation=cv2.INTER_AREA) for name, still in stills.items()}
    one, other = (mosaic(site, "lot", given, LAID).image.astype(float) for given in (stills, small))
    assert np.abs(one - other)[..., :3].mean() < 8


def test_a_mosaic_without_stills_is_transparent(site) -> None:
    assert not mosaic(site, "lot", {}, LAID).image.any()


def test_bands_cover_what_is_known_once(report) -> None:
    ground = report.grounds[0]
    edges = band_edges(report.grounds)
    filled = [[Polygon(ring) for ring in rings if len(ring) > 3] for rings in bands(ground, edges)]
    assert sum(bool(rings) for rings in filled) >= 3
    seen = region(ground, ground.count > 0)
    assert Polygon(max(seen, key=len)).area == pytest.approx(ground.seen_m2, rel=0.05)
    cells = np.arange(ground.count.size)
    for spot, words in band_labels(ground, edges, 2.0):
        near = np.argmin(np.linalg.norm(ground.centres(cells) - spot, axis=1))
        value = ground.sigma.flat[near]
        edge = next(edge for edge in edges if length_text(edge) == words)
        assert 0.4 * edge < value < 2.5 * edge


@pytest.mark.parametrize(
    ("metres", "words"),
    [
        (0.0004, "< 1 mm"), (0.004, "4 mm"), (0.012, "1.2 cm"), (0.05, "5 cm"), (0.123, "12 cm"), (0.99, "99 cm"),
        (0.996, "1 m"), (1.24, "1.2 m"), (18.49, "18.5 m"), (1234.5, "1,234 m"), (np.nan, "–"), (0.0, "0 mm"),
    ],
)  # fmt: skip
def test_lengths_are_said_as_people_say_them(metres, words) -> None:
    assert length_text(metres) == words


def test_pictures_are_written_whole(report, stills, tmp_path) -> None:
    small = PictureOptions(width_in=8, height_in=5, dpi=50)
    paths = [
        draw_ground_sigma(report, tmp_path / "sigma.png", small),
        draw_coverage(report, tmp_path / "coverage.png", replace(small, dark=True)),
        draw_mosaic(report, stills, tmp_path / "mosaic.png", small),
        draw_still(report, "pole 1", tmp_path / "still.png", stills["pole 1"], dpi=50),
        draw_still(report, "pole 2", tmp_path / "lines.png", dpi=50),
    ]
    for path in paths:
        image = cv2.imread(str(path))
        assert image.shape[1] >= 350
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100  # something is drawn


def test_a_site_that_nobody_sees_is_drawn_too(site, tmp_path) -> None:
    empty = calibration_report(replace(site, cameras=()), NOTHING)
    assert draw_ground_sigma(empty, tmp_path / "none.png", PictureOptions(dpi=40)).is_file()
    assert draw_coverage(empty, tmp_path / "none2.png", PictureOptions(dpi=40)).is_file()
