"""The marking page's server: this machine only, a random word in every address, no file but the site's own stills."""

import hmac
import json
import secrets
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from geoloc.draw.style import DARK, LIGHT, css_variables
from geoloc.errors import GeolocError, InputError
from geoloc.service.marking import MarkingSession
from geoloc.service.marking_data import Json, scan_data, site_data, state_data
from geoloc.service.marking_requests import apply_change, picked, scan_picture, solved
from geoloc.service.stills import KINDS

HOST = "127.0.0.1"
MAX_BODY = 100_000  # bytes of a change
ASSETS = {
    "": ("geoloc.service", "mark.html", "text/html"),
    "mark.css": ("geoloc.service", "mark.css", "text/css"),
    "panes.js": ("geoloc.service", "panes.js", "text/javascript"),
    "lines.js": ("geoloc.service", "lines.js", "text/javascript"),
    "scan.js": ("geoloc.service", "scan.js", "text/javascript"),
    "proposals.js": ("geoloc.service", "proposals.js", "text/javascript"),
    "mark_paint.js": ("geoloc.service", "mark_paint.js", "text/javascript"),
    "said.js": ("geoloc.service", "said.js", "text/javascript"),
    "mark.js": ("geoloc.service", "mark.js", "text/javascript"),
    "geometry.js": ("geoloc.draw", "geometry.js", "text/javascript"),
    "paint.js": ("geoloc.draw", "paint.js", "text/javascript"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class MarkingServer(ThreadingHTTPServer):
    """Serves one session; `url` is where its page is. Port 0 takes a free one."""

    daemon_threads = True

    def __init__(self, session: MarkingSession, port: int = 0) -> None:
        self.session = session
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(f"port {port}: cannot be used ({error}); give another --port") from error

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"


class _Handler(BaseHTTPRequestHandler):
    """One request. Whatever is not exactly right gets an error and nothing of the site."""

    server: MarkingServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        name = self._admitted()
        if name is None:
            return
        if name in ASSETS:
            package, file, kind = ASSETS[name]
            self._send(HTTPStatus.OK, f"{kind}; charset=utf-8", _asset(package, file))
        elif name == "palette.css":
            self._send(HTTPStatus.OK, "text/css; charset=utf-8", _palette())
        elif name.startswith("still/"):
            self._picture(name.removeprefix("still/"))
        elif name == "plan" and self.server.session.plan is not None:
            path = self.server.session.plan.path
            kind = next((kind for ending, kind in KINDS.items() if path.lower().endswith(ending)), "image/png")
            self._file(path, kind)
        elif name.startswith("scan/") and name.endswith(".png"):
            self._scan_picture(name.removeprefix("scan/").removesuffix(".png"))
        else:
            self._answer(name, {})

    def do_POST(self) -> None:
        name = self._admitted()
        if name is None:
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "say how long the change is, at most 100 kB")
            return
        body = self.rfile.read(int(length))
        if self.headers.get("Origin") != self._origin() or self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.FORBIDDEN, "changes come from the page itself")
            return
        try:
            change = json.loads(body)
        except (ValueError, RecursionError):
            self._refuse(HTTPStatus.BAD_REQUEST, "the change is no JSON")
            return
        self._answer(name, change, changes=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests of one's own page are no news."""

    def _admitted(self) -> str | None:
        """The path behind the token, or None after a refusal: another host, origin or word sees nothing."""
        own = {f"{HOST}:{self.server.server_port}", f"localhost:{self.server.server_port}"}
        from_elsewhere = self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in own or from_elsewhere or origin not in (None, self._origin()):
            self._refuse(HTTPStatus.FORBIDDEN, "this page is for this machine's browser only")
            return None
        token, slash, name = self.path.partition("?")[0].removeprefix("/").partition("/")
        if not slash or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.NOT_FOUND, "no such page; open the address that geoloc mark printed")
            return None
        return name

    def _origin(self) -> str:
        return f"http://{self.headers.get('Host')}"

    def _answer(self, name: str, content: Any, changes: bool = False) -> None:
        """JSON of what `name` asks for; an error of geoloc is told to the page, which shows it."""
        session = self.server.session
        try:
            if changes and name == "change":
                apply_change(session, content)
                data = state_data(session)
            elif changes and name == "pick":
                data = picked(session, content)
            elif not changes and name.startswith("scan/"):
                data = scan_data(scan_picture(session, name.removeprefix("scan/")))
            elif not changes and name == "site":
                data = site_data(session)
            elif not changes and name == "state":
                data = state_data(session)
            elif not changes and name.startswith("solve/"):
                data = solved(session, name.removeprefix("solve/"))
            else:
                self._refuse(HTTPStatus.NOT_FOUND, "no such page")
                return
        except GeolocError as error:
            self._refuse(HTTPStatus.CONFLICT, str(error))
            return
        self._json(HTTPStatus.OK, data)

    def _picture(self, index: str) -> None:
        """A still by its number: no name of a file ever comes from outside."""
        stills = self.server.session.stills
        if not (index.isascii() and index.isdecimal() and len(index) < 6 and int(index) < len(stills)):
            self._refuse(HTTPStatus.NOT_FOUND, "no such still")
            return
        still = stills[int(index)]
        self._file(str(still.path), still.content_type)

    def _scan_picture(self, which: str) -> None:
        try:
            content = scan_picture(self.server.session, which).png
        except GeolocError as error:
            self._refuse(HTTPStatus.NOT_FOUND, str(error))
        else:
            self._send(HTTPStatus.OK, "image/png", content)

    def _file(self, path: str, kind: str) -> None:
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            self._refuse(HTTPStatus.NOT_FOUND, f"{path}: cannot be read ({error.strerror})")
            return
        self._send(HTTPStatus.OK, kind, content)

    def _json(self, status: HTTPStatus, data: Json) -> None:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        self._send(status, "application/json; charset=utf-8", text.encode())

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        # what of the request was not read must not be taken for the next one
        self.close_connection = True
        self._json(status, {"error": reason})

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)


@cache
def _asset(package: str, name: str) -> bytes:
    return (files(package) / "assets" / name).read_bytes()


@cache
def _palette() -> bytes:
    light, dark = css_variables(LIGHT), css_variables(DARK)
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n".encode()
