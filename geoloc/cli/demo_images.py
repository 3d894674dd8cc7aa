"""`geoloc demo --images`: the garage as its cameras, a walk and phones see it, to try relocalization and checks on."""

import sys
from pathlib import Path

import numpy as np

from geoloc.files import write_whole
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.storage import load_cameras, save_cameras, save_site
from geoloc.synthetic.garage import garage
from geoloc.synthetic.storage import save_csv
from geoloc.synthetic.world import World

SIZE = (960, 540)  # px of the cameras' pictures: a quarter of what they have in the demo of boxes, so that it is quick
WALK_SIZE = (640, 360)
TEXEL = 0.02  # m, of the floors' textures
LEVEL = "P1"  # that is walked through
WALKED, SPACING = 60.0, 2.0  # m of the walk, and between its stations
SIDES = (0.7, -0.7)  # rad: the walk's pictures look half to the left and half to the right
UNSEEN = "P2"
N_PHONES, ALIKE = 4, 0.9  # cosine between a phone's view and one of the walk's
MIDNIGHT = 1_700_006_400.0  # Unix s of the day that is drawn
HOURS = np.arange(7.0, 20.1, 1.0)
TURNED, TURNED_AT, BY_DEG = "p2-southwest", 13.0, (0.9, -0.7, 0.4)  # somebody leans a ladder against it
QUIET = "p1-aisle-s-west"
COVERED, COVERED_AT = "p2-middle", (15.0, 17.0)  # behind the ladder, for a while


def make_images(out: Path, seed: int) -> None:
    """Write the site, and pictures with their truth, into a folder; say what to do with them."""
    from geoloc.synthetic.rendering.moment import MomentOptions, draw_moment
    from geoloc.synthetic.rendering.scene import SceneOptions, build_scene
    from geoloc.synthetic.rendering.viewpoints import fixed_viewpoints

    world, rng = garage(), np.random.default_rng(seed)
    scene = build_scene(world.site.site_map, rng, SceneOptions(texel=TEXEL))
    first = draw_moment(scene, rng, MomentOptions(hour=11.0, clouds=0.5))
    cameras = tuple(view.camera for view in fixed_viewpoints(world, SIZE))
    save_site(Site(world.site.name, cameras, world.site.site_map), out)
    _say(f"{len(cameras)} cameras at calibration time")
    for camera in cameras:
        _draw(out / "stills" / f"{camera.name}.jpg", first, camera, rng)
    _walk(out, world, first, rng)
    later = draw_moment(scene, rng, MomentOptions(hour=16.5, clouds=0.2, exchanged=0.4), first)
    _phones(out, world, later, rng)
    _day(out, cameras, scene, first, rng)
    print(NEXT.format(out=out))


NEXT = """\
now try
  geoloc landmarks garage {out}/stills {out}/walk --cameras {out}/walk.json --root {out}
  geoloc relocalize garage {out}/phones/phone-0.jpg --root {out}
  geoloc check garage --images {out}/stills --pin --root {out}
  geoloc check garage --images {out}/day --plot {out}/drift.png --propose {out}/moved --root {out}
  geoloc check garage --images {out}/day --accept --root {out}"""


def _walk(out: Path, world: World, moment, rng: np.random.Generator) -> None:  # type: ignore[no-untyped-def]
    from geoloc.synthetic.rendering.viewpoints import WalkOptions, walk_viewpoints

    options = WalkOptions(size=WALK_SIZE, focal=0.75, spacing=SPACING, headings=SIDES)
    views = walk_viewpoints(world, rng, (LEVEL,), options)[: len(SIDES) * int(WALKED / SPACING)]
    _say(f"{len(views)} pictures of a walk")
    for view in views:
        _draw(out / "walk" / f"{view.camera.name}.jpg", moment, view.camera, rng)
    save_cameras(tuple(view.camera for view in views), out / "walk.json")


def _phones(out: Path, world: World, moment, rng: np.random.Generator) -> None:  # type: ignore[no-untyped-def]
    """Phones on the next day, other cars about, and where they truly were; the last is where nobody walked."""
    from geoloc.synthetic.rendering.viewpoints import PhoneOptions, phone_viewpoints

    walk, options = load_cameras(out / "walk.json"), PhoneOptions(size=SIZE)
    views = [v for v in phone_viewpoints(world.site.site_map, rng, 400, (LEVEL,), options) if _alike(v.camera, walk)]
    views = views[: N_PHONES - 1] + phone_viewpoints(world.site.site_map, rng, 1, (UNSEEN,), options)
    _say(f"{len(views)} pictures of phones on another day")
    rows = []
    for number, view in enumerate(views):
        name = f"phone-{number}.jpg"
        _draw(out / "phones" / name, moment, view.camera, rng)
        rows.append((name, view.level, *(f"{at:.3f}" for at in view.camera.centre_world)))
    save_csv(out / "phones.csv", ("picture", "level", "x", "y", "z"), rows)


def _alike(camera: Camera, walk: tuple[Camera, ...]) -> bool:
    """Whether a camera looks about where a picture of the walk looked."""
    centres = np.array([each.centre_world for each in walk])
    ahead = np.array([each.cam_from_world.rotation.as_matrix()[2] for each in walk])
    near = np.linalg.norm(centres - camera.centre_world, axis=1) < SPACING
    return bool((near & (ahead @ camera.cam_from_world.rotation.as_matrix()[2] > ALIKE)).any())


def _day(out: Path, cameras: tuple[Camera, ...], scene, first, rng: np.random.Generator) -> None:  # type: ignore[no-untyped-def]
    """Three cameras through a day: one turns at one time, one is covered for a while, one does nothing."""
    from geoloc.synthetic.rendering.moment import MomentOptions, draw_moment
    from geoloc.synthetic.rendering.sensor import PictureOptions
    from geoloc.synthetic.rendering.viewpoints import moved

    chosen = {camera.name: camera for camera in cameras}
    _say(f"{len(HOURS)} times of a day by {TURNED}, {COVERED} and {QUIET}")
    for number, hour in enumerate(HOURS.tolist()):
        options = MomentOptions(hour=hour, clouds=rng.uniform(0, 1), exchanged=0.6, n_people=int(rng.integers(0, 12)))
        moment = draw_moment(scene, rng, options, first)
        for name in (TURNED, COVERED, QUIET):
            camera = chosen[name]
            if name == TURNED and hour >= TURNED_AT:
                camera = moved(camera, np.r_[np.array(BY_DEG) * np.pi / 180, 0.0, 0.0, 0.0])
            hidden = 0.95 * (name == COVERED and COVERED_AT[0] <= hour <= COVERED_AT[1])
            drops = int(rng.integers(10, 40)) if number % 5 == 3 else 0
            sensor = PictureOptions(exposure=rng.normal(0, 0.3), covered=hidden, drops=drops)
            _draw(out / "day" / name / f"{MIDNIGHT + 3600 * hour:.0f}.jpg", moment, camera, rng, sensor)


def _draw(path: Path, moment, camera: Camera, rng: np.random.Generator, sensor=None) -> None:  # type: ignore[no-untyped-def]
    import cv2

    from geoloc.synthetic.rendering.picture import take_picture

    image = take_picture(moment, camera, rng, sensor)
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    write_whole(path, packed.tobytes())


def _say(what: str) -> None:
    print(f"drawing {what} ...", file=sys.stderr)
