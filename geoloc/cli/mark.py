"""`geoloc mark`: a page on which stills and map are marked."""

import signal
import sys
import webbrowser
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from geoloc.cli.arguments import add_site
from geoloc.errors import InputError
from geoloc.io.known import read_known
from geoloc.io.references import PointOptions
from geoloc.io.world_files import PlanImage, read_plan_image
from geoloc.scene.site import Site
from geoloc.scene.storage import calibration_folder, load_site, site_root
from geoloc.service.live import live_calibration
from geoloc.service.marking import MarkingSession
from geoloc.service.proposal_box import ProposalBox
from geoloc.service.scan_view import ScanView, open_scan
from geoloc.service.stills import find_stills, picture_size

if TYPE_CHECKING:
    from geoloc.service.marking_server import MarkingServer

DESCRIPTION = """\
Serve a page, to this machine only, that shows a camera's still and the site's map side by side: click a spot in
one, then the same spot in the other. The camera is calibrated anew at every mark: residuals, what looks wrong, and
where the next mark helps most are shown as you go. Plumb, parallel and horizon lines are drawn with two clicks each.
All is saved at once in calibration/SITE: marks.csv, lines.csv, and points.csv for new control points. A still is
named after its camera: gate.jpg is of camera 'gate'."""
EXAMPLES = """\
examples:
  geoloc mark garage --stills stills/
      a browser opens; Ctrl+C in the terminal ends it, and nothing is lost
  geoloc mark harbour --stills stills/ --plan aerial.png
      with an aerial picture or floor plan under the map; aerial.pgw beside it says where it lies
  geoloc mark harbour --stills stills/ --plan plan.tif.png --plan-crs EPSG:25832
  geoloc mark garage --stills stills/ --scan garage.las
      a scan, laid on the map, seen from above: a click into it gives a control point with height and sigma
  geoloc mark harbour --stills stills/ --scan harbour.ply --scan-sigma 0.03
      a scan that lies in the site's own metres already, good to 3 cm
  geoloc mark garage --stills stills/ --proposals out/survey/stalls.geojson --plan out/survey/P1-mosaic.png
      stalls that geoloc survey proposes: A accepts one, which is written to the map, R rejects it
  geoloc mark garage --stills stills/ --port 8123 --no-browser"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add_site(parser)
    parser.add_argument("--stills", type=Path, required=True, metavar="DIR", help="folder with one picture a camera")
    parser.add_argument("--plan", type=Path, metavar="IMAGE", help="picture from above, with a world file beside it")
    parser.add_argument(
        "--plan-crs", default="", metavar="EPSG", help="reference system of its world file (default: metres or degrees)"
    )
    parser.add_argument("--scan", type=Path, metavar="FILE", help="scan of the site (PLY, LAS, LAZ), seen from above")
    parser.add_argument(
        "--scan-sigma", type=float, default=0.0, metavar="M", help="it is in the site's metres already, this well (m)"
    )
    parser.add_argument(
        "--proposals", type=Path, metavar="FILE", help="stalls.geojson of geoloc survey, to accept or reject one by one"
    )
    parser.add_argument("--port", type=int, default=0, help="of the page (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")


def run(args: Namespace) -> None:
    """Serve until the person who marks ends it."""
    server = make_server(args)
    with server:
        print(server.url, flush=True)
        print("marks are saved as they are set; Ctrl+C ends this", file=sys.stderr)
        if not args.no_browser:
            webbrowser.open(server.url)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service is ended by it, as a person's by Ctrl+C
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            print(f"{len(server.session.state.marks)} marks in {server.session.folder}", file=sys.stderr)


def make_server(args: Namespace) -> "MarkingServer":
    """The server that the arguments ask for, not yet serving."""
    from geoloc.service.marking_server import MarkingServer

    if not 0 <= args.port <= 65535:
        raise InputError(f"--port {args.port}: it must be within 0 and 65535")
    site = load_site(args.site, args.root, calibrated=False)
    folder = calibration_folder(site.name, site_root(args.site, args.root))
    stills, known = find_stills(args.stills), read_known(folder).known
    plan, scan = _plan(args, site), _scan(args, site)
    proposals = None
    if args.proposals is not None:
        proposals = ProposalBox(args.proposals, site_root(args.site, args.root) / "sitemaps" / f"{site.name}.geojson")
    session = MarkingSession(site, stills, folder, live_calibration(site, known), plan, scan, proposals)
    return MarkingServer(session, args.port)


def _plan(args: Namespace, site: Site) -> PlanImage | None:
    if args.plan is None:
        return None
    options = PointOptions(site_map=site.site_map, crs=args.plan_crs)
    return read_plan_image(args.plan, picture_size(args.plan), options)


def _scan(args: Namespace, site: Site) -> ScanView | None:
    if args.scan is None:
        if args.scan_sigma:
            raise InputError("--scan-sigma says how well a scan lies; give the scan with --scan")
        return None
    if not args.scan_sigma:
        print(f"laying {args.scan.name} on the map ...", file=sys.stderr)
    return open_scan(args.scan, site.site_map, args.scan_sigma)
