"""The WebSockets: `live` tells positions and events as they come, `stream` takes detections."""

import asyncio
import json

from aiohttp import WSMsgType, web

from geoloc.errors import GeolocError, InputError
from geoloc.scene import jsonfile
from geoloc.service.serve.admission import SERVICE, admitted, admitted_by, site_of
from geoloc.service.serve.engine import BusyError, Receipt, UnavailableError
from geoloc.service.serve.heard import frames_of
from geoloc.service.serve.hub import NEWEST, WANTS, Listener, SlowError
from geoloc.service.serve.requests import query
from geoloc.service.serve.said import as_text
from geoloc.service.serve.service import LiveService, ServedSite
from geoloc.service.serve.tokens import Token

SOCKETS = web.AppKey("sockets", set[web.WebSocketResponse])
TOKEN_S = 5.0  # in which a socket's first message, its token, has to come
HEARTBEAT_S = 20.0
LATER, BAD_TOKEN, MAY_NOT = 1013, 4401, 4403  # why a socket is closed


async def live(request: web.Request) -> web.StreamResponse:
    """Map, positions, stalls and events as they come; `wants=all`: every window's whole tracks, revisions too."""
    site, wants = site_of(request), query(request, ("wants",)).get("wants", NEWEST)
    if wants not in WANTS:
        raise InputError(f"wants={wants!r}; known: {', '.join(WANTS)}")
    socket, token = await _open(request, "read", site, 4096)
    if token is None:
        return socket
    try:
        drawn = await asyncio.to_thread(lambda: as_text(site.map if wants == NEWEST else {"type": "ready"}))
        await _listen(socket, site, wants, drawn)
    finally:
        _closed(request, socket)
    return socket


async def _listen(socket: web.WebSocketResponse, site: ServedSite, wants: str, first: str) -> None:
    """What comes, behind what is said `first`, until the client goes or is too slow."""
    listener = site.hub.join(wants)
    try:
        listener.put(first)
        if wants == NEWEST:
            if site.hub.stalls:
                listener.put(as_text(site.hub.stalls))
            listener.put(as_text(site.cameras.health()))
            listener.show(as_text(site.hub.positions))
        await _deliver(socket, listener)
    except SlowError as error:
        site.hub.cut_off += 1
        await socket.close(code=LATER, message=f"too slow: {error}".encode())
    finally:
        site.hub.leave(listener)


async def _deliver(socket: web.WebSocketResponse, listener: Listener) -> None:
    """Until the client goes, or is too slow; what it says is not heard."""
    sending = asyncio.ensure_future(listener.deliver(socket.send_str))
    hearing = asyncio.ensure_future(_until_gone(socket))
    try:
        done, _ = await asyncio.wait((sending, hearing), return_when=asyncio.FIRST_COMPLETED)
        if sending in done:
            try:
                sending.result()
            except ConnectionError:
                return
    finally:
        sending.cancel()
        hearing.cancel()
        await asyncio.gather(sending, hearing, return_exceptions=True)


async def _until_gone(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        return


async def stream(request: web.Request) -> web.StreamResponse:
    """Batches of frames, a message each, answered in order when they are in the log for good.

    The next message is read when the one before is answered: a sender that is too fast is slowed, nothing is refused.
    """
    service, site = request.app[SERVICE], site_of(request)
    query(request, ())
    socket, token = await _open(request, "write", site, service.options.max_body)
    if token is None:
        return socket
    try:
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            data = message.data if isinstance(message.data, bytes) else message.data.encode()
            try:
                receipt = await _taken(service, site, token, data)
                await socket.send_str(as_text({"accepted": receipt.rows, "record": receipt.number}))
            except UnavailableError as error:
                await socket.send_str(as_text({"error": str(error)}))
                await socket.close(code=LATER, message=b"nothing is taken now; come again")
            except GeolocError as error:
                await socket.send_str(as_text({"error": str(error)}))
    except ConnectionError:
        pass  # the sender has gone
    finally:
        _closed(request, socket)
    return socket


async def _taken(service: LiveService, site: ServedSite, token: Token, data: bytes) -> Receipt:
    requests, rows = service.pace(token)
    while wait_s := requests.wait_s(1):
        await asyncio.sleep(wait_s)
    frames = await asyncio.to_thread(frames_of, data, site.site)
    while wait_s := rows.wait_s(len(frames.boxes)):
        await asyncio.sleep(wait_s)
    return await asyncio.wrap_future(await site.take_in_turn(frames))


async def _open(
    request: web.Request, scope: str, site: ServedSite, most: int
) -> tuple[web.WebSocketResponse, Token | None]:
    """A socket, and who is at its other end: by the header, or else by the first message; None: it is closed again."""
    service = request.app[SERVICE]
    if service.sockets >= service.options.max_sockets:
        raise BusyError(f"{service.sockets} sockets are open; come again later")
    token = admitted(request, scope, site.site.name) if "Authorization" in request.headers else None
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=most, compress=False)
    service.sockets += 1
    request.app[SOCKETS].add(socket)
    try:
        await socket.prepare(request)
        if token is None:
            token = await _introduced(request, socket, scope, site.site.name)
    except BaseException:
        _closed(request, socket)
        raise
    if token is None:
        _closed(request, socket)
    return socket, token


async def _introduced(request: web.Request, socket: web.WebSocketResponse, scope: str, site: str) -> Token | None:
    """Whose token the first message holds: {"token": "..."}."""
    try:
        message = await asyncio.wait_for(socket.receive(), TOKEN_S)
        if message.type != WSMsgType.TEXT:
            raise InputError("the first message must be the token")
        first = jsonfile.mapping("the first message", json.loads(message.data))
        jsonfile.check_keys("the first message", first, ("token",))
        return admitted_by(request, jsonfile.text("'token'", first["token"]), scope, site)
    except web.HTTPForbidden:
        await socket.close(code=MAY_NOT, message=b"this token may not do that here")
    except (GeolocError, ValueError, RecursionError, TimeoutError, web.HTTPUnauthorized):
        await socket.close(code=BAD_TOKEN, message=b'first say {"token": "..."}')
    return None


def _closed(request: web.Request, socket: web.WebSocketResponse) -> None:
    if socket in request.app[SOCKETS]:
        request.app[SOCKETS].discard(socket)
        request.app[SERVICE].sockets -= 1


async def close_all(app: web.Application) -> None:
    """Say goodbye to every socket."""
    open_ones = app[SOCKETS].copy()
    for socket in open_ones:
        await socket.close(code=1001, message=b"the service ends")
