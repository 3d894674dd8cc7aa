"""What docs/maps.md shows: the synthetic garage's map page, its stills with tracks, their mosaic and a film.

    python tools/maps_docs.py              # runs the demo first, into out/maps
    python tools/maps_docs.py out/demo     # of a demo that was run already

Stills are drawn of the moment in the middle of the recording, cars parked where they truly were.
"""

import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path

import cv2
import numpy as np

from geoloc.cli.main import main as geoloc
from geoloc.files import read_columns, write_whole
from geoloc.scene.sitemap import SiteMap
from geoloc.synthetic.garage import garage

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SIZE, TEXEL = (960, 540), 0.02  # px of the stills; m of the floors' textures
SHOWN = "p2-southwest"  # the camera whose still is shown
SPAN = ("--from", "+36", "--to", "+60")  # up to the moment of the stills


def run(*words: str) -> None:
    """A `geoloc` command, which must not fail."""
    if code := geoloc(list(words)):
        sys.exit(code)


def draw_stills(demo: Path, seed: int = 1) -> None:
    """What the cameras see in the middle of the recording, into the folder `stills` of a demo's."""
    from geoloc.synthetic.rendering.moment import MomentOptions, draw_moment
    from geoloc.synthetic.rendering.picture import take_picture
    from geoloc.synthetic.rendering.scene import SceneOptions, build_scene
    from geoloc.synthetic.rendering.viewpoints import fixed_viewpoints

    world, rng = garage(), np.random.default_rng(seed)
    scene = build_scene(world.site.site_map, rng, SceneOptions(texel=TEXEL))
    taken = taken_stalls(demo / "truth.csv", world.site.site_map)
    looks = np.where(taken, rng.integers(0, len(scene.cars), len(taken)), -1)
    moment = draw_moment(scene, rng, MomentOptions(hour=11.0, clouds=0.5), stall_car=looks)
    for view in fixed_viewpoints(world, SIZE):
        image = take_picture(moment, view.camera, rng)
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 88])
        write_whole(demo / "stills" / f"{view.camera.name}.jpg", packed.tobytes())


def taken_stalls(truth: Path, site_map: SiteMap) -> np.ndarray:
    """Which stalls (S,) bool had something in them in the middle of the recording."""
    import shapely

    cells = read_columns(truth)
    time = np.array(cells["time"], float)
    now = time == np.sort(np.unique(time))[len(np.unique(time)) // 2]
    xy, level = np.column_stack([cells["x"], cells["y"]]).astype(float)[now], np.array(cells["level"])[now]
    return np.array([
        bool((shapely.contains_xy(stall.polygon, *xy.T) & (level == stall.level)).any()) for stall in site_map.stalls
    ])  # fmt: skip


def take_pictures(page: Path) -> None:
    """The page at three sizes, light and dark."""
    from playwright.sync_api import sync_playwright

    shots = {
        "map_page": (1280, 800, "light", "() => { select(38); showTab('events'); }"),
        "map_page_dark": (1280, 800, "dark", f"() => {{ setLevel(1); setHeat('sigma'); chooseCamera('{SHOWN}'); }}"),
        "map_page_phone": (390, 844, "light", "() => select(38)"),
    }
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (width, height, scheme, script) in shots.items():
            window = browser.new_page(viewport={"width": width, "height": height}, has_touch=width < 500)
            window.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            window.goto(page.as_uri())
            window.wait_for_function("() => scene.present.length > 0")
            window.evaluate(script)
            window.wait_for_timeout(1000)
            window.screenshot(path=DOCS / f"{name}.png")
            window.close()
        browser.close()


def main() -> None:
    """Make everything anew."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("demo", nargs="?", type=Path, help="folder of a demo that was run already")
    args = parser.parse_args()
    demo = args.demo or Path("out/maps")
    if not args.demo:
        run("demo", "-o", str(demo))
    if not (demo / "stills").is_dir():
        draw_stills(demo)
    tracks, drawn = str(demo / "tracks.csv"), demo / "drawn"
    common = ("map", "garage", tracks, "--root", str(demo), "--stills", str(demo / "stills"))
    run(*common, *SPAN, "-o", str(drawn), "--dpi", "110")
    run("map", "garage", tracks, "--root", str(demo), *SPAN, "-o", str(DOCS / "clip.gif"), "--speed", "6")
    run(*common, "-o", str(demo / "page.html"))
    sources = {"still_tracks.jpg": drawn / "stills" / f"{SHOWN}.jpg", "map_mosaic.jpg": drawn / "mosaic.png"}
    for name, source in sources.items():
        picture = np.asarray(cv2.imread(str(source)))
        height = round(picture.shape[0] * 1100 / picture.shape[1])
        small = cv2.resize(picture, (1100, height), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(DOCS / name), small, [cv2.IMWRITE_JPEG_QUALITY, 84])
    take_pictures((demo / "page.html").resolve())


if __name__ == "__main__":
    main()
