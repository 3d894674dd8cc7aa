"""The live service put together: every address that there is, and what answers it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from importlib.resources import files

from aiohttp import web

from geoloc.draw.style import DARK, LIGHT, css_variables
from geoloc.service.serve import picture_requests, requests, sockets
from geoloc.service.serve.admission import SERVICE, add_headers, admitted, guard
from geoloc.service.serve.figures import ServiceFigures
from geoloc.service.serve.requests import answer
from geoloc.service.serve.service import LiveService
from geoloc.service.store import requests as stored

FIGURES = web.AppKey("figures", ServiceFigures)
SITE = "/v1/sites/{site}"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ASSETS = {
    "/": ("geoloc.service", "live.html", "text/html"),
    "/live.css": ("geoloc.service", "live.css", "text/css"),
    "/live.js": ("geoloc.service", "live.js", "text/javascript"),
    "/page.css": ("geoloc.draw", "page.css", "text/css"),
    "/geometry.js": ("geoloc.draw", "geometry.js", "text/javascript"),
    "/paint.js": ("geoloc.draw", "paint.js", "text/javascript"),
    "/paint_moving.js": ("geoloc.draw", "paint_moving.js", "text/javascript"),
    "/openapi.json": ("geoloc.service", "openapi.json", "application/json"),
    "/asyncapi.json": ("geoloc.service", "asyncapi.json", "application/json"),
}
GET: dict[str, Handler] = {
    "/v1/sites": requests.sites,
    f"{SITE}/map": requests.site_map,
    f"{SITE}/positions": requests.positions,
    f"{SITE}/events": requests.events,
    f"{SITE}/cameras": requests.cameras,
    f"{SITE}/where/{{object}}": requests.where,
    f"{SITE}/state": requests.state,
    f"{SITE}/occupancy": requests.occupancy,
    f"{SITE}/history": requests.history,
    f"{SITE}/tracks": stored.tracks,
    f"{SITE}/heat": stored.heat_of,
    f"{SITE}/live": sockets.live,
    f"{SITE}/stream": sockets.stream,
}
POST: dict[str, Handler] = {
    f"{SITE}/detections": requests.take_detections,
    f"{SITE}/finish": requests.finish,
    f"{SITE}/relocalize": picture_requests.place,
    f"{SITE}/search": picture_requests.search,
}
DELETE: dict[str, Handler] = {
    f"{SITE}/objects/{{object}}": stored.erase,
}


def make_app(service: LiveService) -> web.Application:
    """The application: every address that there is. No part of a request ever names a file."""
    app = web.Application(middlewares=[guard], client_max_size=service.options.max_body)
    app[SERVICE], app[FIGURES], app[sockets.SOCKETS] = service, ServiceFigures(service), set()
    app[stored.STREAMS] = []
    for path in ASSETS:
        app.router.add_get(path, _asset)
    app.router.add_get("/palette.css", _palette)
    app.router.add_get("/healthz", _health)
    app.router.add_get("/readyz", _ready)
    app.router.add_get("/metrics", _metrics)
    for path, handler in GET.items():
        app.router.add_get(path, handler, allow_head=False)
    for path, handler in POST.items():
        app.router.add_post(path, handler)
    for path, handler in DELETE.items():
        app.router.add_delete(path, handler)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(sockets.close_all)
    app.cleanup_ctx.append(_at_work)
    return app


def make_runner(app: web.Application) -> web.AppRunner:
    """A runner that unpacks nothing by itself: bodies are unpacked within limits."""
    return web.AppRunner(app, auto_decompress=False, access_log=None, handle_signals=False, shutdown_timeout=5.0)


async def _at_work(app: web.Application) -> AsyncIterator[None]:
    await app[SERVICE].start()
    yield
    await app[SERVICE].stop()


async def _asset(request: web.Request) -> web.Response:
    package, name, kind = ASSETS[request.path]
    return web.Response(body=_content(package, name), content_type=kind, charset="utf-8")


@cache
def _content(package: str, name: str) -> bytes:
    return (files(package) / "assets" / name).read_bytes()


async def _palette(request: web.Request) -> web.Response:
    light, dark = css_variables(LIGHT), css_variables(DARK)
    text = f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    return web.Response(text=text, content_type="text/css")


async def _health(request: web.Request) -> web.Response:
    """Whether the process should go on: no engine has stopped. It does not say more to strangers."""
    failed = bool(request.app[SERVICE].failures)
    return answer({"healthy": not failed}, 503 if failed else 200)


async def _ready(request: web.Request) -> web.Response:
    """Whether detections are taken now; a store that is behind or down is said, and holds up nothing."""
    service = request.app[SERVICE]
    waits, stores = bool(service.not_ready), service.stores
    return answer({"ready": not waits} | ({"stores": stores} if stores else {}), 503 if waits else 200)


async def _metrics(request: web.Request) -> web.Response:
    admitted(request, "metrics")
    text = await asyncio.to_thread(request.app[FIGURES].text)
    return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
