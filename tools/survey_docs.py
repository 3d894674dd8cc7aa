"""What docs/survey.md shows: stills of the garage drawn five times over a day, surveyed, and the pictures of it.

    python tools/survey_docs.py                    # some minutes; docs/survey*.jpg anew
    python tools/survey_docs.py --keep out/survey  # and the stills, the site and all results in a folder
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from geoloc.cli.main import main as geoloc
from geoloc.files import write_whole
from geoloc.scene.site import Site
from geoloc.scene.storage import save_site
from geoloc.synthetic.garage import garage
from geoloc.synthetic.rendering.moment import MomentOptions, draw_moment
from geoloc.synthetic.rendering.picture import take_picture
from geoloc.synthetic.rendering.scene import SceneOptions, build_scene
from geoloc.synthetic.rendering.viewpoints import fixed_viewpoints

DOCS = Path(__file__).resolve().parents[1] / "docs"
SIZE = (1280, 720)
HOURS = (8, 10, 12, 14, 17)
SHOWN = {"P1-survey.png": "survey.jpg", "P1-sources.png": "survey_sources.jpg", "P1-sigma.png": "survey_sigma.jpg"}
QUALITY = 84


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, survey, copy the pictures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder for the stills, the site and the results")
    asked = parser.parse_args(arguments)
    if asked.keep is not None:
        return make(asked.keep)
    with TemporaryDirectory() as folder:
        return make(Path(folder))


def make(folder: Path) -> int:
    """The site without stalls and its stills in a folder, and what a survey says of them."""
    world, rng = garage(), np.random.default_rng(9)
    cameras = tuple(view.camera for view in fixed_viewpoints(world, SIZE))
    save_site(Site("garage", cameras, replace(world.site.site_map, stalls=())), folder)
    scene = build_scene(world.site.site_map, rng, SceneOptions(texel=0.02))
    for hour in HOURS:
        moment = draw_moment(scene, rng, MomentOptions(hour=hour, clouds=0.4, parked=0.45))
        for camera in cameras:
            save(take_picture(moment, camera, rng), folder / "stills" / camera.name / f"{hour:02d}.jpg")
        sys.stderr.write(f"drawn: {len(cameras)} stills at {hour}:00\n")
    status = geoloc(["survey", "garage", str(folder / "stills"), "--root", str(folder), "-o", str(folder / "survey")])
    for source, target in SHOWN.items():
        save(np.asarray(cv2.imread(str(folder / "survey" / source))), DOCS / target)
    return status


def save(image: np.ndarray, path: Path) -> None:
    """A picture (H, W, 3) BGR as a JPEG file."""
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    write_whole(path, packed.tobytes())


if __name__ == "__main__":
    sys.exit(main())
