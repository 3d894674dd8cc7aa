"""At the door: whose token it is, what it may do, from which page it comes; and what errors are told as."""

import logging
import math
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from geoloc.errors import GeolocError, UnknownNameError
from geoloc.service.marking_server import HEADERS
from geoloc.service.serve.engine import BusyError, UnavailableError
from geoloc.service.serve.limits import BadBodyError, TooLargeError
from geoloc.service.serve.said import as_text
from geoloc.service.serve.service import LiveService, ServedSite
from geoloc.service.serve.tokens import Token

SERVICE = web.AppKey("service", LiveService)
TOKEN = web.RequestKey("token", str)  # of a request, once it is admitted: the name that logs show

logger = logging.getLogger(__name__)


class TooFastError(Exception):
    """A token is over its pace, for so many seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"over the pace of this token; send the same again in {wait_s:.1f} s")
        self.wait_s = wait_s


def admitted(request: web.Request, scope: str, site: str = "") -> Token:
    """Whose request it is, if it may do that; one of its requests is used up."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    return admitted_by(request, secret.strip() if kind.lower() == "bearer" else "", scope, site)


def admitted_by(request: web.Request, secret: str, scope: str, site: str = "") -> Token:
    """As `admitted`, with a token that came another way."""
    service = request.app[SERVICE]
    token = service.tokens.find(secret) if secret else None
    if token is None:
        asks = {"WWW-Authenticate": "Bearer"}
        raise web.HTTPUnauthorized(text="give a token: Authorization: Bearer ...", headers=asks)
    request[TOKEN] = token.name
    if not token.may(scope, site):
        raise web.HTTPForbidden(text=f"this token may not {scope} {'there' if site else ''}".strip())
    wait_s = service.pace(token)[0].wait_s(1)
    if wait_s:
        raise TooFastError(wait_s)
    return token


def site_of(request: web.Request) -> ServedSite:
    """The site of the path. Who may not come in does not learn which there are: they are asked for a token first."""
    service, name = request.app[SERVICE], request.match_info["site"]
    if name not in service.sites:
        admitted(request, "read", name[:100])
    return service.site(name)


@web.middleware
async def guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Tell errors as JSON, count and log; pages of elsewhere are refused, and so is what they open."""
    start = time.monotonic()
    response: web.StreamResponse
    try:
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="pages of another origin may not ask")
        response = await handler(request)
    except web.HTTPException as error:
        response = refusal(error.status, error.text or error.reason)
        response.headers.update({k: v for k, v in error.headers.items() if k in ("WWW-Authenticate", "Allow")})
    except TooLargeError as error:
        response = refusal(413, str(error))
    except BadBodyError as error:
        response = refusal(400, f"the body {error}")
    except TooFastError as error:
        response = refusal(429, str(error), error.wait_s)
    except (BusyError, UnavailableError) as error:
        response = refusal(503, str(error), 0.5 if isinstance(error, BusyError) else 2.0)
    except UnknownNameError as error:
        response = refusal(404, str(error))
    except GeolocError as error:
        response = refusal(400, str(error))
    _note(request, response.status, time.monotonic() - start)
    return response


def refusal(status: int, why: str, wait_s: float = 0.0) -> web.Response:
    """An error for a client: why, and when to try again."""
    response = web.Response(text=as_text({"error": why}), status=status, content_type="application/json")
    if wait_s:
        response.headers["Retry-After"] = str(math.ceil(wait_s))
    if status in (413, 429, 503):
        response.force_close()  # what of the body was not read is not waited for
    return response


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer says to browsers."""
    response.headers.update(HEADERS)


def _note(request: web.Request, status: int, took_s: float) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    request.app[SERVICE].requests[route, status] += 1
    said = {"method": request.method, "route": route, "status": status, "ms": round(1000 * took_s, 1)}
    said |= {"site": request.match_info.get("site", "")[:100], "token": request.get(TOKEN, ""), "from": request.remote}
    logger.log(logging.INFO if status < 400 else logging.WARNING, "request", extra={"said": said})
