"""`geoloc search`: which object a picture shows, where it is now and where it has been."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.cli.arguments import add_json, add_mesh, add_site, seen_through_mesh
from geoloc.cli.ask import seconds
from geoloc.cli.gallery_filling import SEED, gallery_folder
from geoloc.cli.search_answers import plain_answer, told_answer
from geoloc.errors import InputError, unknown_name
from geoloc.scene.site import Site
from geoloc.scene.storage import load_site

if TYPE_CHECKING:
    from geoloc.pipeline.whereabouts import Whereabouts
    from geoloc.retrieval.gallery import Gallery
    from geoloc.retrieval.looks import Looks
    from geoloc.retrieval.matches import Matches
    from geoloc.retrieval.surroundings import Surroundings
    from geoloc.retrieval.where import Where

DESCRIPTION = """\
Which object of a site a picture shows, with a probability and the reason, or that it is none of them; with --state
where it is now and where it has been. The gallery is what `geoloc localize --gallery` keeps. Several pictures are
views of one object, and say more than one. Times are UTC Unix seconds, or such as 2024-06-07T10:02:11."""
EXAMPLES = """\
examples:
  geoloc search garage crop.jpg
      which object is it?
  geoloc search garage still.jpg --box 812,440,1010,590
      the object in this box of the picture (left, top, right, bottom in px)
  geoloc search garage crop.jpg --near 12,5 --when 2024-06-07T10:00..2024-06-07T10:05 --class car
      of the cars that were seen within 25 m of x 12 y 5 at that time; --near=-12,5,8: within 8 m of x -12 y 5
  geoloc search garage still.jpg --box 812,440,1010,590 --taken ramp,2024-06-07T10:02:11
      by this camera at this time: how long others took from the cameras that saw an object before counts too
  geoloc search garage crop.jpg --state state/garage --plot answer.png
      where it is now and has been, and a picture of the answer
  geoloc search garage --object 17
      what else looks like object 17
  geoloc search garage --forget 17
      forget it, in every index, crop and snapshot, and prove that nothing is left; with --state under all the
      numbers that it had
  geoloc search garage --calibrate
      learn what looks say here, and keep the stages of re-ranking that are shown to help
  geoloc search garage crop.jpg --json | jq .matches[0].object
      for machines"""
AROUND_S = 300.0  # s, before and after a single time


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("pictures", nargs="*", type=Path, metavar="PICTURE", help="crops of the object")
    parser.add_argument("--box", metavar="X1,Y1,X2,Y2", help="where in the picture it is, px")
    parser.add_argument("--taken", metavar="CAMERA,TIME", help="by which camera, when the pictures were taken")
    parser.add_argument("--object", type=int, metavar="NUMBER", help="an object of the gallery instead of a picture")
    parser.add_argument("--near", metavar="X,Y[,R]", help="seen within R m (default: 25) of this point")
    parser.add_argument("--when", metavar="T1..T2", help="seen in this time; one time: five minutes around it")
    parser.add_argument("--class", dest="label", default="", metavar="NAME", help="of this class")
    parser.add_argument("--color", default="", metavar="NAME", help="of this colour")
    parser.add_argument("--by", default="", metavar="CAMERA", help="seen by this camera")
    parser.add_argument("--level", default="", metavar="NAME", help="seen on this level")
    parser.add_argument("-k", type=int, default=5, metavar="N", help="answers at most (default: 5)")
    parser.add_argument("--gallery", metavar="FOLDER", help="the gallery (default: ROOT/gallery/SITE)")
    parser.add_argument("--state", type=Path, metavar="FOLDER", help="that localize --state keeps: where is it now?")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the answer")
    parser.add_argument("--forget", type=int, metavar="NUMBER", help="forget this object and end")
    parser.add_argument(
        "--calibrate", action="store_true", help="learn how to judge looks from the gallery's own objects and end"
    )
    parser.add_argument("--snapshot", metavar="NAME", help="keep the gallery as it is under a name and end")
    parser.add_argument("--restore", metavar="NAME", help="make the gallery what that snapshot was and end")
    add_mesh(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Read, search, tell."""
    from geoloc.retrieval.gallery import Gallery
    from geoloc.retrieval.gallery_folder import GalleryFolder

    _check_plot(args.plot)
    site = load_site(args.site, args.root)
    folder = gallery_folder(args, site)
    if not GalleryFolder(folder).exists:
        made = f"geoloc localize {args.site} ... --gallery --images FOLDER"
        raise InputError(f"{folder}: no gallery; make one with {made}")
    with Gallery.open(folder) as gallery:
        if _upkeep(args):
            return _keep_up(args, gallery, site)
        query, crops = _query(args, gallery, site)
        where, around = _where(args, gallery, site), _around(gallery, site, query)
        asked = {"near": _near(args.near), "when": _when(args.when), "label": args.label, "where": where}
        matches = gallery.search(query, args.k, **asked, around=around)
        found = _whereabouts(args, site, matches)
        if args.plot is not None:
            _draw(args, site, gallery, matches, found, crops)
    print(json.dumps(plain_answer(matches, found), allow_nan=False) if args.json else told_answer(matches, found))


def _check_plot(path: Path | None) -> None:
    """InputError, before anything is searched, where the answer could not be drawn there."""
    if path is not None and (path.suffix.lower() != ".png" or path.is_dir()):
        raise InputError(f"--plot {path}: the answer is drawn as a PNG; give a file that ends in .png")


def _upkeep(args: Namespace) -> bool:
    """Whether the gallery is to be kept up, not searched."""
    wishes = {"--forget": args.forget is not None, "--calibrate": args.calibrate}
    wishes |= {"--snapshot": bool(args.snapshot), "--restore": bool(args.restore)}
    asked = [name for name, wished in wishes.items() if wished]
    if len(asked) > 1 or (asked and (args.pictures or args.object is not None)):
        raise InputError(f"{asked[0]} does that and ends; give it alone")
    return bool(asked)


def _keep_up(args: Namespace, gallery: "Gallery", site: Site) -> None:
    if args.forget is not None:
        _forget(args, gallery, site)
    elif args.calibrate:
        _calibrate(args, gallery)
    elif args.snapshot:
        print(f"{gallery.snapshot(args.snapshot)}: {len(gallery):,} views")
    else:
        gallery.restore(args.restore)
        print(f"{len(gallery):,} views, as snapshot {args.restore} was")


def _forget(args: Namespace, gallery: "Gallery", site: Site) -> None:
    """Forget an object; with a state under all the numbers that it had."""
    numbers: tuple[int, ...] = (args.forget,)
    if args.state is not None:
        from geoloc.pipeline.stored_state import load_state
        from geoloc.pipeline.whereabouts import numbers_of

        every = numbers_of(args.forget, load_state(seen_through_mesh(site, args.mesh), args.state))
        numbers = tuple(number for number in every if gallery.knows(number, site.name)) or numbers
    proofs = [gallery.forget(number, site.name) for number in numbers]
    print(json.dumps([asdict(proof) for proof in proofs]) if args.json else "\n".join(map(str, proofs)))


def _calibrate(args: Namespace, gallery: "Gallery") -> None:
    """Learn what a likeness says, and which stages of re-ranking help."""
    from geoloc.retrieval.rerank.stages import STAGES

    chain = gallery.calibrate(np.random.default_rng(SEED), tuple(STAGES))
    if args.json:
        stages = [asdict(gain) for gain in chain.gains]
        print(json.dumps({"likeness": str(gallery.judgement.likeness), "stages": stages}))
        return
    print(f"likeness {gallery.judgement.likeness}")
    for gain in chain.gains:
        kept = "kept" if gain.stage in chain.stages else "left out"
        print(f"  {gain.stage:18} {100 * gain.before:.1f} -> {100 * gain.after:.1f} % on returns, {kept}")


def _query(args: Namespace, gallery: "Gallery", site: Site) -> "tuple[list[np.ndarray] | Looks, list[np.ndarray]]":
    """What is searched for, and its pictures."""
    from geoloc.io.pictures import read_colours
    from geoloc.retrieval.where import Where

    if (args.object is None) == (not args.pictures):
        raise InputError("give pictures of the object, or --object NUMBER of one of the gallery's")
    if args.object is not None and (args.taken or args.box):
        raise InputError("--taken and --box are of pictures; leave them out with --object")
    if args.object is not None:
        looks = gallery.views(Where().equal("object", args.object).equal("site", site.name))
        if not len(looks):
            raise InputError(f"the gallery has no object {args.object}")
        crops = [crop for view in looks.id.tolist() if (crop := gallery.crop(view)) is not None]
        return looks, crops
    crops = [read_colours(path) for path in args.pictures]
    if args.box:
        from geoloc.features.crops import cut_crops

        box = _numbers(args.box, (4,), "--box", "left,top,right,bottom")
        crops = [cut_crops(crop, np.array([box]))[0] for crop in crops]
        empty = next((path for path, crop in zip(args.pictures, crops, strict=True) if min(crop.shape[:2]) < 2), None)
        if empty is not None:
            raise InputError(f"--box {args.box}: shows nothing of {empty}; give left,top,right,bottom inside of it")
    return (crops if args.taken is None else _taken(args.taken, crops, gallery, site)), crops


def _taken(text: str, crops: list[np.ndarray], gallery: "Gallery", site: Site) -> "Looks":
    """Pictures as views by a camera at a time."""
    from geoloc.retrieval.looks import Looks

    camera, comma, when = text.rpartition(",")
    if not comma:
        raise InputError(f"--taken {text!r}: give a camera and a time, such as gate,2024-06-07T10:02:11")
    _check_name("camera", camera, [each.name for each in site.cameras])
    n = len(crops)
    known = {"site": np.full(n, site.name), "camera": np.full(n, camera), "time": np.full(n, seconds(when))}
    return Looks(id=np.full(n, -1), vector=gallery.embed(crops), **known)


def _around(gallery: "Gallery", site: Site, query: "list[np.ndarray] | Looks") -> "Surroundings":
    """What is known of the site, for a query whose time is."""
    from geoloc.retrieval.surroundings import NOWHERE, Surroundings

    return NOWHERE if isinstance(query, list) else Surroundings.of(gallery.views(), site)


def _where(args: Namespace, gallery: "Gallery", site: Site) -> "Where":
    from geoloc.features.crop_colours import NAMES
    from geoloc.retrieval.where import Where

    cameras, levels = ([each.name for each in part] for part in (site.cameras, site.site_map.levels))
    wanted = (("color", args.color, NAMES), ("camera", args.by, cameras), ("level", args.level, levels))
    where = Where()
    for field, value, known in wanted:
        if value and not len(gallery.index.ids(Where().equal(field, value))):  # a camera may have been taken down
            _check_name(field, value, known)
        where = where.equal(field, value) if value else where
    return where


def _check_name(kind: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise unknown_name(kind, name, known)


def _near(text: str | None) -> tuple[float, ...]:
    return () if text is None else _numbers(text, (2, 3), "--near", "x,y or x,y,radius, in m")


def _numbers(text: str, counts: Sequence[int], option: str, wanted: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{option} {text!r}: give {wanted}") from error
    if len(values) not in counts or not np.isfinite(values).all():
        raise InputError(f"{option} {text!r}: give {wanted}")
    return values


def _when(text: str | None) -> tuple[float, float]:
    if text is None:
        return -np.inf, np.inf
    first, dots, last = text.partition("..")
    start, end = (seconds(part or None) for part in (first, last))
    if not dots:
        time = start if start is not None else np.nan
        return time - AROUND_S, time + AROUND_S
    return -np.inf if start is None else start, np.inf if end is None else end


def _whereabouts(args: Namespace, site: Site, matches: "Matches") -> "tuple[Whereabouts, ...]":
    if args.state is None:
        return ()
    from geoloc.pipeline.stored_state import load_state
    from geoloc.pipeline.whereabouts import whereabouts

    return whereabouts(matches, load_state(seen_through_mesh(site, args.mesh), args.state), site.name)


def _draw(
    args: Namespace,
    site: Site,
    gallery: "Gallery",
    matches: "Matches",
    found: "tuple[Whereabouts, ...]",
    crops: list[np.ndarray],
) -> None:
    from geoloc.draw.answer_picture import draw_answer

    views = [gallery.crop(match.view) for match in matches]
    draw_answer(site, matches, args.plot, crops, views, _ways(found))


def _ways(found: "tuple[Whereabouts, ...]") -> list[tuple[str, np.ndarray]]:
    """Levels and ways (K, 2) m that the likeliest object has been, as far as stretches tell."""
    if not found:
        return []
    places = [place for stretch in found[0].been for place in (stretch.first, stretch.last)]
    levels = sorted({place.level for place in places})
    return [(level, np.array([place.xy for place in places if place.level == level])) for level in levels]
