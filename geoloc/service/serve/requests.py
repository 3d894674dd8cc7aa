"""The HTTP side: detections in, positions, events and answers out. Every request is checked whole before any work."""

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from geoloc.errors import InputError, UnknownNameError
from geoloc.pipeline.queries import State
from geoloc.service.serve.admission import SERVICE, TooFastError, admitted, site_of
from geoloc.service.serve.heard import frames_of
from geoloc.service.serve.limits import BadBodyError, read_body
from geoloc.service.serve.said import Json, as_text, event_data, plain
from geoloc.service.serve.service import ask

LINES = "application/x-ndjson"
MOST_EVENTS = 1000  # of one answer
BIGGEST = 1 << 53  # number of an object


def answer(data: object, status: int = 200) -> web.Response:
    """JSON."""
    return web.Response(text=as_text(data), status=status, content_type="application/json")


async def take_detections(request: web.Request) -> web.Response:
    """A batch of frames; answered when it is in the log for good."""
    service, site = request.app[SERVICE], site_of(request)
    token = admitted(request, "write", site.site.name)
    if request.content_type != LINES:
        raise web.HTTPUnsupportedMediaType(text=f"send JSON lines as {LINES}")
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise web.HTTPUnsupportedMediaType(text="send it plain or as gzip")
    async with service.reader():
        try:
            body = await read_body(request.content.iter_any(), encoding, service.options)
            frames = await asyncio.to_thread(frames_of, body, site.site)
        except UnknownNameError as error:
            raise InputError(str(error)) from error  # the address is right, the batch is not
    wait_s = service.pace(token)[1].wait_s(len(frames.boxes))
    if wait_s:
        raise TooFastError(wait_s)
    receipt = await asyncio.wrap_future(await site.take_in_turn(frames, service.options.turn_s))
    return answer({"accepted": receipt.rows, "record": receipt.number})


async def finish(request: web.Request) -> web.Response:
    """No more comes of what is being sent: close the windows that wait."""
    site = site_of(request)
    admitted(request, "write", site.site.name)
    if request.can_read_body:
        raise BadBodyError("must be empty")
    receipt = await asyncio.wrap_future(site.engine.finish())
    return answer({"record": receipt.number})


async def sites(request: web.Request) -> web.Response:
    """Names of the sites that the token may read."""
    token = admitted(request, "read")
    return answer({"sites": [name for name in request.app[SERVICE].sites if token.may("read", name)]})


async def positions(request: web.Request) -> web.Response:
    """Where everything is now."""
    site = site_of(request)
    admitted(request, "read", site.site.name)
    query(request, ())
    return answer(site.hub.positions)


async def site_map(request: web.Request) -> web.Response:
    """Levels, stalls, zones, cameras and what they see, as the page draws them."""
    site = site_of(request)
    admitted(request, "read", site.site.name)
    query(request, ())
    return answer(await asyncio.to_thread(lambda: site.map))


async def cameras(request: web.Request) -> web.Response:
    """What is known of each camera: whether it is heard, and what was said of it last."""
    site = site_of(request)
    admitted(request, "read", site.site.name)
    query(request, ())
    return answer(site.cameras.health())


async def where(request: web.Request) -> web.Response:
    """Where an object is, or was at a time."""
    given = query(request, ("time",))
    number = whole(request.match_info["object"], "object")
    return await _asked(request, lambda state: plain(state.where(number, seconds(given, "time"))))


async def state(request: web.Request) -> web.Response:
    """All objects that are there, or were at a time."""
    given = query(request, ("time",))

    def all_of_them(state: State) -> Json:
        time = seconds(given, "time")
        return {"time": plain(state.time if time is None else time), "objects": plain(state.at(time))}

    return await _asked(request, all_of_them)


async def occupancy(request: web.Request) -> web.Response:
    """Which stalls are taken, or were at a time."""
    given = query(request, ("time",))
    return await _asked(request, lambda state: plain(state.occupancy(seconds(given, "time"))))


async def events(request: web.Request) -> web.Response:
    """What became of whom, after an event's number; the same number again replaces what was said of it."""
    given = query(request, ("after", "limit"))
    after = whole(given.get("after", "0"), "after")
    limit = min(whole(given.get("limit", str(MOST_EVENTS)), "limit"), MOST_EVENTS)

    def those(state: State) -> Json:
        found = [event for event in state.happenings() if event.id > after]
        return {"events": [event_data(event) for event in found[:limit]], "more": len(found) > limit}

    return await _asked(request, those)


async def history(request: web.Request) -> web.Response:
    """What became of an object, or who was in a place between two times."""
    given = query(request, ("object", "place", "from", "to"))
    if ("object" in given) == ("place" in given):
        raise InputError("history of what? give object=NUMBER or place=NAME")
    if "place" in given:
        start, end = seconds(given, "from"), seconds(given, "to")
        return await _asked(request, lambda state: {"stays": plain(state.who_was_in(given["place"], start, end))})
    if "from" in given or "to" in given:
        raise InputError("from and to are for places; an object's history is given whole")
    number = whole(given["object"], "object")

    def of_object(state: State) -> Json:
        numbers = set(state.lineage(number).nodes)
        found = [phase for phase in state.phases() if phase.object in numbers]
        return {"phases": plain(found), "events": [event_data(event) for event in state.events(number)]}

    return await _asked(request, of_object)


async def _asked(request: web.Request, question: Callable[[State], Any]) -> web.Response:
    site = site_of(request)
    admitted(request, "read", site.site.name)
    return answer(await ask(site, question))


def query(request: web.Request, known: Iterable[str]) -> dict[str, str]:
    """The query's parameters, each one once; InputError for any other."""
    known = tuple(known)
    for name in request.query:
        if name not in known:
            raise InputError(f"unknown parameter {name[:40]!r}; known: {', '.join(known) or 'none'}")
        if len(request.query.getall(name)) > 1:
            raise InputError(f"{name!r} is there twice")
    return {name: value[:200] for name, value in request.query.items()}


def seconds(given: dict[str, str], name: str) -> float | None:
    """A time (UTC Unix s) of the query, where it is there."""
    if name not in given:
        return None
    try:
        time = float(given[name])
    except ValueError:
        time = math.nan
    if not math.isfinite(time):
        raise InputError(f"{name}={given[name][:40]!r}; give UTC Unix seconds")
    return time


def whole(text: str, name: str) -> int:
    """A number from 0 on."""
    if not (text.isascii() and text.isdecimal() and len(text) < 17 and int(text) < BIGGEST):
        raise InputError(f"{name} {text[:40]!r}; give a whole number")
    return int(text)
