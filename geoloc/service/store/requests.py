"""The HTTP side of the store: ways and heat out, a part at a time; an object erased."""

import asyncio
import json
import struct
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial

from aiohttp import web

from geoloc.errors import InputError, unknown_name
from geoloc.io.store_rows import COLUMNS, N_COV, THINNED
from geoloc.scene.sitemap import Place
from geoloc.service.serve.admission import SERVICE, admitted, site_of
from geoloc.service.serve.engine import BusyError, UnavailableError
from geoloc.service.serve.requests import LINES, answer, query, seconds, whole
from geoloc.service.serve.said import Json, as_text, plain
from geoloc.service.serve.service import ServedSite
from geoloc.service.store.database import Row, StoreError
from geoloc.service.store.forgetting import forget_live
from geoloc.service.store.queries import Wanted, family, find, heat, within
from geoloc.service.store.store import Store

STREAMS = web.AppKey("streams", list[str])  # sites whose stores are being read
MOST_STREAMS = 8
STREAM_S = 600.0  # in which an answer has to be taken: what is read meanwhile is kept from being tidied up
MOST_CELLS = 250_000
LARGEST = 1e6  # m, of a box
FORMS = ("ndjson", "geojson")
LEFT_OUT = ("win", "step", "object", "lon", "lat", "cov", "track", "level_probability")
PLACES = {name: k for k, name in enumerate((*COLUMNS, *THINNED))}


async def tracks(request: web.Request) -> web.StreamResponse:
    """Positions that are kept, by time, box, level and object: JSON lines or GeoJSON, never held whole."""
    site = site_of(request)
    admitted(request, "read", site.site.name)
    given = query(request, ("from", "to", "bbox", "place", "level", "object", "format"))
    form = given.get("format", FORMS[0])
    if form not in FORMS:
        raise InputError(f"format={form!r}; known: {', '.join(FORMS)}")
    if form == "geojson":
        site.site.site_map.require_datum("GeoJSON")
    wanted, inside = _wanted(site, given), None
    if "place" in given:
        place = _place(site, given["place"])
        wanted, inside = replace(wanted, box=place.polygon.bounds, level=place.level), place.polygon
    streams = request.app[STREAMS]
    if len(streams) >= MOST_STREAMS:
        raise BusyError(f"{len(streams)} answers are being read from stores; ask again in a moment")
    streams.append(site.site.name)
    try:
        store = await asyncio.to_thread(_reader(site))
        try:
            if "object" in given:
                numbers = await asyncio.to_thread(family, store, whole(given["object"], "object"))
                wanted = replace(wanted, objects=numbers)
            rows = find(store, wanted) if inside is None else within(find(store, wanted), inside)
            return await _stream(request, rows, form)
        finally:
            await asyncio.to_thread(store.close)
    except StoreError as error:
        raise UnavailableError(str(error)) from error
    finally:
        streams.remove(site.site.name)


async def _stream(request: web.Request, rows: Iterator[list[Row]], form: str) -> web.StreamResponse:
    service, parts = request.app[SERVICE], _texts(rows, form)
    first = await asyncio.to_thread(next, parts, "")  # what cannot be read is said by a status
    kind = LINES if form == "ndjson" else "application/geo+json"
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(request)
    try:
        async with asyncio.timeout(STREAM_S):
            while first:
                async with asyncio.timeout(service.options.send_s):
                    await response.write(first.encode())
                first = await asyncio.to_thread(next, parts, "")
        await response.write_eof()
    except (TimeoutError, StoreError, ConnectionError):
        # the answer has begun: that it is not whole is told by how it ends
        if request.transport is not None:
            request.transport.abort()
    finally:
        await asyncio.to_thread(parts.close)
    return response


def _texts(rows: Iterator[list[Row]], form: str) -> Generator[str]:
    """The text of an answer, a part at a time; parts that are empty would be taken for its end."""
    rows = (part for part in rows if part)
    if form == "ndjson":
        for part in rows:
            yield "".join(as_text(_position(row)) + "\n" for row in part)
        return
    between = '{"type":"FeatureCollection","features":['
    for part in rows:
        yield between + ",".join(as_text(_feature(row)) for row in part)
        between = ","
    yield (between if len(between) > 1 else "") + "]}"


def _position(row: Row) -> Json:
    cell = dict(zip(PLACES, row, strict=True))
    packed = struct.unpack(f"<{N_COV}d", bytes(cell["cov"]))
    # the upper triangles of 4 x 4 and 2 x 2: noise and bias of x x, x y, y y
    cov = [packed[0] + packed[10], packed[1] + packed[11], packed[4] + packed[12]]
    said = {name: plain(value) for name, value in cell.items() if name not in LEFT_OUT}
    return {"id": cell["track"], **said, "cov": cov}


def _feature(row: Row) -> Json:
    place = {"type": "Point", "coordinates": [row[PLACES["lon"]], row[PLACES["lat"]]]}
    return {"type": "Feature", "geometry": place, "properties": _position(row)}


async def heat_of(request: web.Request) -> web.Response:
    """Seconds that objects spent in each cell of a box, or of the box round a stall, zone or level."""
    site = site_of(request)
    admitted(request, "read", site.site.name)
    given = query(request, ("from", "to", "bbox", "place", "level", "cell"))
    if ("bbox" in given) == ("place" in given):
        raise InputError("heat of what? give bbox=WEST,SOUTH,EAST,NORTH in m, or place=NAME")
    cell = seconds(given, "cell") or 1.0
    wanted = _wanted(site, given)
    if "place" in given:
        place = _place(site, given["place"])
        wanted = replace(wanted, box=place.polygon.bounds, level=place.level)
    assert wanted.box is not None
    west, south, east, north = wanted.box
    if not cell > 0 or (east - west) * (north - south) / cell**2 > MOST_CELLS:
        raise InputError(f"cell={cell:g}: at most {MOST_CELLS} cells; give larger ones, or a smaller box")

    def work() -> Json:
        store = _reader(site)()
        try:
            found = heat(store, wanted, wanted.box or (), cell)
        finally:
            store.close()
        rows = found.seconds.round(3).tolist()
        return {"west": west, "south": south, "cell": cell, "objects": found.objects, "seconds": rows}

    try:
        return answer(await asyncio.to_thread(work))
    except StoreError as error:
        raise UnavailableError(str(error)) from error


async def erase(request: web.Request) -> web.Response:
    """Forget an object, everywhere; answered when nothing is left of it."""
    site = site_of(request)
    admitted(request, "erase", site.site.name)
    query(request, ())
    number = whole(request.match_info["object"], "object")
    work = partial(forget_live, number=number, writer=site.store, gallery=site.gallery)
    try:
        erased = await asyncio.wrap_future(site.engine.ask(work))
    except StoreError as error:
        raise UnavailableError(str(error)) from error
    return answer(plain(erased))


def _reader(site: ServedSite) -> Callable[[], Store]:
    if site.store is None:
        raise InputError("this service keeps no store; it was begun with --store none")
    return site.store.open_reader


def _wanted(site: ServedSite, given: dict[str, str]) -> Wanted:
    start, end = seconds(given, "from"), seconds(given, "to")
    level = given.get("level", "")
    if level:
        site.site.site_map.level(level)  # UnknownNameError names the known ones
    box = _box(given["bbox"]) if "bbox" in given else None
    all_time = Wanted()
    return Wanted(all_time.start if start is None else start, all_time.end if end is None else end, box, level)


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = (float(json.loads(part)) for part in text.split(","))
    except (ValueError, TypeError, RecursionError):
        west, south, east, north = 1.0, 1.0, 0.0, 0.0
    if not (-LARGEST <= west <= east <= LARGEST and -LARGEST <= south <= north <= LARGEST):
        raise InputError(f"bbox={text[:60]!r}; give WEST,SOUTH,EAST,NORTH in m of the map")
    return west, south, east, north


def _place(site: ServedSite, name: str) -> Place:
    """A stall or zone; of several of a name the first."""
    places = {place.name: place for place in reversed((*site.site.site_map.stalls, *site.site.site_map.zones))}
    if name not in places:
        raise unknown_name("stall or zone", name[:60], places)
    return places[name]
