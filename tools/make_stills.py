"""Draw sets of pictures of the garage or the plaza with their truth into a folder.

    python tools/make_stills.py out/garage                       # a walk for a map, and phones' queries
    python tools/make_stills.py out/day --day --size 1280x720    # fixed cameras through days, moved or not
    python tools/make_stills.py out/plaza --world plaza --queries 40

What the folder holds is said in geoloc/synthetic/rendering/picture_sets.py. The same seed draws the same pictures.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geoloc.errors import GeolocError
from geoloc.synthetic.garage import garage
from geoloc.synthetic.plaza import plaza
from geoloc.synthetic.rendering.garage_sets import DaySetOptions, MappingSetOptions, day_pictures, mapping_pictures
from geoloc.synthetic.rendering.picture_sets import save_pictures
from geoloc.synthetic.rendering.scene import SceneOptions, build_scene
from geoloc.synthetic.rendering.viewpoints import PhoneOptions, WalkOptions
from geoloc.synthetic.twin_garage import twin_garage

WORLDS = {"twin": twin_garage, "garage": garage, "plaza": plaza}


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the set that is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--world", choices=WORLDS, default="twin")
    parser.add_argument("--day", action="store_true", help="fixed cameras through days, in place of a walk")
    parser.add_argument("--size", default="640x360", help="of the pictures, px (default: 640x360)")
    parser.add_argument("--queries", type=int, default=100, help="phones' pictures (default: 100)")
    parser.add_argument("--trials", type=int, default=24, help="pictures of each fixed camera (default: 24)")
    parser.add_argument("--spacing", type=float, default=2.0, help="m between stations of the walk (default: 2)")
    parser.add_argument("--texel", type=float, default=0.02, help="m, of the floors' textures (default: 0.02)")
    parser.add_argument("--seed", type=int, default=6)
    asked = parser.parse_args(arguments)
    width, _, height = asked.size.partition("x")
    if not (width.isdigit() and height.isdigit()):
        parser.error(f"--size {asked.size}: write it as 640x360")
    size = int(width), int(height)
    world, rng = WORLDS[asked.world](), np.random.default_rng(asked.seed)
    try:
        scene = build_scene(world.site.site_map, rng, SceneOptions(texel=asked.texel))
        if asked.day:
            names = [camera.name for camera in world.site.cameras]
            pictures = day_pictures(world, scene, rng, names, DaySetOptions(size=size, n_trials=asked.trials))
        else:
            walk, phone = WalkOptions(size=size, spacing=asked.spacing), PhoneOptions(size=size)
            options = MappingSetOptions(walk=walk, phone=phone, n_queries=asked.queries)
            pictures = mapping_pictures(world, scene, rng, options)
        n = save_pictures(pictures, asked.folder)
    except GeolocError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stderr.write(f"{asked.folder}: {n} pictures\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
