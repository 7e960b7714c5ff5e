"""HTTP messages between aiohttp and the azure-functions library, the way the host passes them on."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http.cookies import Morsel
from typing import Any
from urllib.parse import parse_qsl

import azure.functions as func
from aiohttp import web
from azure.functions import http as library_http
from multidict import CIMultiDict

_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "date", "server"})
"""Response headers that belong to this server's connection, never to the function."""

_COOKIE_TIME = "%a, %d %b %Y %H:%M:%S GMT"
_COOKIE_ATTRIBUTES = ("domain", "path", "expires", "secure", "httponly", "max-age")
_SAME_SITES = ("lax", "strict", "none")


class BadReturnError(TypeError):
    """The handler returned something that the worker cannot encode; a request is answered by a 500."""


async def to_function_request(request: web.Request, route_values: Mapping[str, str]) -> func.HttpRequest:
    """Build the request object as the worker builds it from the host's message.

    Header names are lower-case, repeated headers and query values are joined by a comma, empty query values
    are left out, and a body without Content-Length (chunked) arrives empty.

    Raises:
        web.HTTPRequestEntityTooLarge: the body is over the server's limit.
    """
    # Neither an empty body nor one of unknown length is read: the host asks for `ContentLength > 0`.
    body = await request.read() if (request.content_length or 0) > 0 else b""
    query = request.raw_path.partition("?")[2]
    return library_http.HttpRequest(
        method=request.method,
        url=f"{request.scheme}://{request.host}{request.raw_path}",
        headers={name.lower(): ",".join(request.headers.getall(name)) for name in request.headers},
        params=_query(query),
        route_params=dict(route_values),
        body_type="bytes",
        body=body,
    )


def _query(text: str) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    spelled: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        values.setdefault(spelled.setdefault(name.lower(), name), []).append(value)
    joined = {name: ",".join(several) for name, several in values.items()}
    return {name: value for name, value in joined.items() if value}


def to_http_response(returned: object) -> web.Response:
    """Render what a handler returned.

    A bare `str` is sent as text. (The real host reads one that holds JSON once more, and takes an object with
    a `body` member for a response: handlers should return `HttpResponse`.)

    Raises:
        BadReturnError: neither an `HttpResponse` nor a `str`, None included; or cookies that the worker cannot read.
        UnicodeEncodeError: a header or a text holds half a surrogate pair, which no message to the host can carry.
    """
    try:
        datum = library_http.HttpResponseConverter.encode(returned, expected_type=None)
    except NotImplementedError as error:
        raise BadReturnError(f"unable to encode outgoing data of type {type(returned).__name__}") from error
    if datum.type == "string":
        return web.Response(text=datum.value)
    message: dict[str, Any] = datum.value
    headers = CIMultiDict(
        (name, value.value) for name, value in message["headers"].items() if name.lower() not in _FRAMING
    )
    for name, value in headers.items():
        (name + value).encode()
    for cookie in message["cookies"] or ():
        headers.extend(("Set-Cookie", _render_cookie(morsel)) for morsel in cookie.values())
    return web.Response(status=int(message["status_code"].value), headers=headers, body=message["body"].value)


def _render_cookie(morsel: Morsel[str]) -> str:
    """Return a cookie as it comes out of the worker's protocol, which knows some attributes, and some values.

    Raises:
        BadReturnError: the worker would fail over its time or its age.
    """
    try:
        if morsel["expires"]:
            datetime.strptime(morsel["expires"], _COOKIE_TIME).replace(tzinfo=UTC)
        if morsel["max-age"]:
            float(morsel["max-age"])
    except ValueError as error:
        raise BadReturnError("a cookie's Expires or Max-Age cannot be read") from error
    kept: Morsel[str] = Morsel()
    kept.set(morsel.key, morsel.value, morsel.coded_value)
    kept.update({name: morsel[name] for name in _COOKIE_ATTRIBUTES})
    if morsel["samesite"].lower() in _SAME_SITES:
        kept["samesite"] = morsel["samesite"]
    return kept.OutputString()
