"""`geoloc adapt`: an embedding that learns of a site's own tracks."""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.cli.arguments import add_json, add_options, add_site
from geoloc.cli.gallery_filling import gallery_folder
from geoloc.errors import GeometryError, InputError
from geoloc.options import load_options
from geoloc.scene.storage import calibration_folder, load_site, site_root

if TYPE_CHECKING:
    from geoloc.features.crop_head import Head
    from geoloc.retrieval.gallery import Gallery

DESCRIPTION = """\
An embedding head that learns of a site's own tracks, of the gallery that `geoloc localize --gallery` keeps: views of
one track in several cameras show one object, tracks at one time show different ones. It is judged by the tracks that
came last, of which it learnt nothing, and refused where it is not surely better. Needs PyTorch."""
EXAMPLES = """\
examples:
  geoloc adapt garage
      writes calibration/garage/looks.npz; for new galleries: --embedder adapted --weights calibration/garage/looks.npz
  geoloc adapt garage --into gallery/garage-adapted
      and writes the gallery's views there as the head shows them: geoloc search garage --gallery ...
  geoloc adapt garage --set steps=400 --set dim=64 --json | jq .judged

Exit code 2 where it is no better, with the figures on stderr; nothing is written then."""
SEED = 1


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("--gallery", metavar="FOLDER", help="the gallery (default: ROOT/gallery/SITE)")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="of the head (default: with the calibration)")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="a new gallery of the same views by the head")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the random draws (default: {SEED})")
    add_options(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Learn, judge, write, tell."""
    from geoloc.features.crop_head import save_head
    from geoloc.retrieval.adapt import AdaptOptions, adapt
    from geoloc.retrieval.gallery import Gallery
    from geoloc.retrieval.gallery_folder import GalleryFolder

    site = load_site(args.site, args.root)
    folder = gallery_folder(args, site)
    if not GalleryFolder(folder).exists:
        raise InputError(f"{folder}: no gallery; make one with geoloc localize {args.site} ... --gallery")
    if args.into is not None and GalleryFolder(args.into).exists:
        raise InputError(f"{args.into}: holds a gallery; give a folder without one")
    path = args.out or calibration_folder(site.name, site_root(args.site, args.root)) / "looks.npz"
    options = load_options(AdaptOptions(), args.options, args.set)
    with Gallery.open(folder) as gallery:
        made = gallery.manifest
        if made.embedder_options.weights and Path(made.embedder_options.weights).resolve() == path.resolve():
            raise InputError(f"{path}: the gallery's own vectors are made by it; give another file by -o")
        found = adapt(gallery.views(), made.model, np.random.default_rng(args.seed), options)
        if not found.better:
            raise GeometryError(f"refused: {found.told()}; nothing was written")
        head = replace(found.head, embedder=made.embedder, options=made.embedder_options)
        save_head(head, path)
        told = [found.told(), f"{path}: {head.fingerprint}"]
        if args.into is not None:
            told.append(_shown_by(head, path, gallery, args.into))
    report = {"judged": asdict(found.judged), "tracks": found.n_tracks, "head": str(path), "model": head.fingerprint}
    print(json.dumps(report) if args.json else "\n".join(told))


def _shown_by(head: "Head", path: Path, gallery: "Gallery", folder: Path) -> str:
    """Write the views of a gallery as a head shows them into a new one; says how many."""
    looks = gallery.views()
    crops = [crop for view in looks.id.tolist() if (crop := gallery.crop(view)) is not None]
    with _empty_gallery(head, path, [place.name for place in gallery.manifest.indexes], folder) as adapted:
        kept = adapted.add(looks.replace(vector=head(looks.vector)), crops if len(crops) == len(looks) else ())
        told = f"{folder}: {np.count_nonzero(kept >= 0):,} of {len(looks):,} views"
        try:
            adapted.calibrate(np.random.default_rng(SEED))
        except InputError as error:
            return f"{told}; {error}; looks are judged as at other sites"
    return told


def _empty_gallery(head: "Head", path: Path, indexes: list[str], folder: Path) -> "Gallery":
    from geoloc.features.crops import EmbedderOptions
    from geoloc.retrieval.gallery import Gallery

    if not head.embedder:  # vectors are made elsewhere, and go through the head there
        return Gallery.open(folder, indexes, dim=head.dim, model=head.fingerprint)
    return Gallery.open(folder, indexes, embedder="adapted", embedder_options=EmbedderOptions(weights=str(path)))
