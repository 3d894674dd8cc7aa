"""The HTTP side of questions with a picture: where it was taken, and which object it shows."""

import asyncio
import math
from collections.abc import Callable

from aiohttp import web

from geoloc.errors import InputError, UnknownNameError
from geoloc.service.serve.admission import SERVICE, admitted, site_of
from geoloc.service.serve.limits import read_body
from geoloc.service.serve.pictures import KINDS, PlaceAsked, place_question, search_question
from geoloc.service.serve.requests import answer, query, whole
from geoloc.service.serve.said import Json
from geoloc.service.serve.service import ServedSite

MOST_ANSWERS = 100
HIGHEST = 1000.0  # m


async def place(request: web.Request) -> web.Response:
    """Where the picture in the body was taken, or why that is not said."""
    site = site_of(request)
    admitted(request, "relocalize", site.site.name)
    asked = _place_asked(query(request, ("camera", "height", "height_sigma")), site)
    path = site.landmarks
    if path is None or not path.exists():
        raise web.HTTPNotFound(text="this site has no landmark map; make one with geoloc landmarks")
    most = request.app[SERVICE].options.max_pixels
    return await _asked(request, lambda data: place_question(site.site, path, data, asked, most))


async def search(request: web.Request) -> web.Response:
    """Which object the picture in the body shows, where it is, and how likely it is none."""
    site = site_of(request)
    admitted(request, "search", site.site.name)
    k = whole(query(request, ("k",)).get("k", "5"), "k")
    if not 1 <= k <= MOST_ANSWERS:
        raise InputError(f"k={k}; give 1 to {MOST_ANSWERS}")
    path = site.gallery
    if path is None or not path.is_dir():
        raise web.HTTPNotFound(text="this site has no gallery; make one with geoloc localize --gallery")
    most = request.app[SERVICE].options.max_pixels
    return await _asked(request, lambda data: search_question(site.site, path, site.folder, data, k, most))


async def _asked(request: web.Request, question: Callable[[bytes], Callable[[], Json]]) -> web.Response:
    service = request.app[SERVICE]
    if request.content_type not in KINDS:
        raise web.HTTPUnsupportedMediaType(text=f"send a picture as {' or '.join(KINDS)}")
    async with service.reader():
        data = await read_body(request.content.iter_any(), "identity", service.options)
    return answer(await asyncio.shield(service.pictures.ask(question(data))))


def _place_asked(given: dict[str, str], site: ServedSite) -> PlaceAsked:
    camera = given.get("camera", "")
    try:
        if camera:
            site.site.camera(camera)
    except UnknownNameError as error:
        raise InputError(str(error)) from error
    height = _metres(given, "height") if "height" in given else None
    sigma = _metres(given, "height_sigma") if "height_sigma" in given else PlaceAsked.height_sigma
    if not sigma > 0:
        raise InputError("height_sigma must be above 0")
    return PlaceAsked(camera, height, sigma)


def _metres(given: dict[str, str], name: str) -> float:
    try:
        value = float(given[name])
    except ValueError:
        value = math.nan
    if not abs(value) <= HIGHEST:
        raise InputError(f"{name}={given[name][:40]!r}; give metres")
    return value
