"""`geoloc regions`: a large site cut into regions, each for a worker of its own."""

from argparse import ArgumentParser, Namespace

from geoloc.cli.arguments import add_site
from geoloc.options import load_options
from geoloc.pipeline.regions import RegionOptions, split_site
from geoloc.scene.storage import load_site, site_root
from geoloc.service.workers.region_file import region_path, write_regions

DESCRIPTION = """\
Cut a large site into regions, strips with about as many cameras each; cameras that see a border are in both. `geoloc
worker` finds them in regions/SITE.json, has an engine for each, and joins their tracks: an object that crosses keeps
its number. The file may be edited: names, areas (corners in m), cameras."""
EXAMPLES = """\
examples:
  geoloc regions garage --count 2
      two, in regions/garage.json
  geoloc regions airport --count 6 --set overlap_m=12
      cameras that see 12 m beyond a border are in both
  geoloc regions airport --root sites --count 6 --set camera_share=0.2
      more cameras in several regions: fewer identities are lost at borders, at the price of work done twice"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("--count", type=int, default=2, help="regions (default: 2)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="how it is cut")


def run(args: Namespace) -> None:
    """Cut, write, tell."""
    site, root = load_site(args.site, args.root), site_root(args.site, args.root)
    regions = split_site(site, args.count, load_options(RegionOptions(), None, args.set))
    path = region_path(root, site.name)
    write_regions(regions, path)
    print(f"wrote      {path}")
    for region in regions:
        print(f"{region.name:<10} {len(region.cameras)} cameras: {', '.join(region.cameras)}")
