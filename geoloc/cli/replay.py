"""`geoloc replay`: a recording sent to a live service, at any speed."""

import json
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from geoloc.cli.arguments import add_json, add_reading
from geoloc.errors import InputError
from geoloc.files import read_text
from geoloc.io.detections import ReadOptions, read_detections
from geoloc.scene.tables import Detections
from geoloc.service.serve.sender import Sender, batches_of

if TYPE_CHECKING:
    from geoloc.service.serve.bridges.senders import BrokerSender

DESCRIPTION = """\
Send a recording's boxes to `geoloc serve`, itself or over a broker, in order of time, as fast as they came or faster.
What was not acknowledged is sent again, over restarts of the service too. Prints how long batches took to be
acknowledged: by the engine over HTTP and MQTT, by the stream over NATS."""
EXAMPLES = """\
examples:
  geoloc replay boxes.csv http://localhost:8000 --site garage --token-file my.token
      at the speed at which it was recorded
  geoloc replay boxes.csv http://localhost:8000 --site garage --token-file my.token --speed 0 --finish
      as fast as the service takes it; then the windows that wait for more are closed
  geoloc replay boxes.csv mqtt://localhost --site garage --login-file mqtt.login
  geoloc replay boxes.csv nats://localhost --site garage
      over a broker that the service hears
  geoloc replay boxes.csv https://cameras.example --site garage --token-file my.token --now
      as if it happened now"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("recording", metavar="RECORDING", help="file of boxes")
    parser.add_argument("url", metavar="URL", help="of the service, such as http://localhost:8000, or of a broker")
    parser.add_argument("--site", required=True, metavar="NAME", help="the site that it is of")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="file that holds the service's token, and nothing else"
    )
    parser.add_argument("--login-file", default="", metavar="FILE", help="a broker's user and password, two lines")
    parser.add_argument("--ca-file", default="", metavar="FILE.pem", help="authorities that a broker is trusted by")
    parser.add_argument("--speed", type=float, default=1.0, help="times as fast; 0: as fast as can be (default: 1)")
    parser.add_argument("--batch-s", type=float, default=0.1, metavar="S", help="of a batch (default: 0.1)")
    parser.add_argument("--now", action="store_true", help="stamp it as if it happened now")
    parser.add_argument("--finish", action="store_true", help="close the windows that wait for more, at the end")
    parser.add_argument(
        "--patience", type=float, default=60.0, metavar="S", help="give up on a batch after so long (default: 60)"
    )
    add_reading(parser)
    add_json(parser)


def run(args: Namespace) -> None:
    """Read, send, report."""
    for name in ("speed", "batch_s", "patience"):
        if not 0 <= getattr(args, name) < 1e9 or (name == "batch_s" and not args.batch_s):
            raise InputError(f"--{name.replace('_', '-')} {getattr(args, name):g}: it must be positive")
    options = ReadOptions(camera=args.camera, fps=args.fps, start=args.start, label=args.label)
    detections = read_detections(Path(args.recording), args.kind, options).detections
    if not len(detections):
        raise InputError(f"{args.recording}: holds no box that can be sent")
    start = time.monotonic()
    with _sender(args) as sender:
        send_all(sender, detections, args)
    seconds, sent = time.monotonic() - start, sender.sent
    middle, late = (1000 * np.quantile(sent.took_s, [0.5, 0.99])).round(1).tolist()
    said = {"batches": sent.batches, "boxes": sent.rows, "seconds": round(seconds, 2), "sent_again": sent.again,
            "ack_p50_ms": middle, "ack_p99_ms": late}  # fmt: skip
    if args.json:
        print(json.dumps(said))
        return
    print(f"{sent.rows:,} boxes in {sent.batches:,} batches acknowledged in {seconds:.1f} s; sent again: {sent.again}")
    print(f"acknowledged after {middle:.1f} ms (median), {late:.1f} ms (99 %)")


def _sender(args: Namespace) -> "Sender | BrokerSender":
    """The one for the address."""
    scheme = urlsplit(args.url).scheme
    if scheme in ("mqtt", "mqtts", "nats", "tls"):
        from geoloc.service.serve.bridges.options import MqttOptions, NatsOptions, address_of
        from geoloc.service.serve.bridges.senders import MqttSender, NatsSender

        address_of(args.url, (scheme,))
        given = {"url": args.url, "login_file": args.login_file, "ca_file": args.ca_file}
        if scheme in ("mqtt", "mqtts"):
            return MqttSender(MqttOptions(**given), args.site, args.patience)
        return NatsSender(NatsOptions(**given), args.site, args.patience)
    if args.token_file is None:
        raise InputError("give --token-file FILE, which holds the service's token")
    token = read_text(args.token_file).strip()
    if not token.isascii() or not token.isprintable() or not token:
        raise InputError(f"{args.token_file}: holds no token")
    return Sender(args.url, args.site, token, args.patience)


def send_all(sender: "Sender | BrokerSender", detections: Detections, args: Namespace) -> None:
    """Send it at its pace; behind it, as fast as it is taken."""
    first = float(np.nanmin(detections.time[np.isfinite(detections.time)]))
    shift = time.time() - first if args.now else 0.0
    begin = time.monotonic()
    for until, batch in batches_of(detections, args.batch_s):
        if args.speed:
            time.sleep(max(begin + (until - first) / args.speed - time.monotonic(), 0.0))
        sender.send(batch.replace(time=batch.time + shift) if shift else batch)
    if args.finish:
        sender.finish()
