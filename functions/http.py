"""What every HTTP edge shares: bodies, and errors as problem+json (RFC 9457)."""

import functools
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import azure.functions as func
import msgspec

from shared.errors import BodyRequired, BodyTooLarge, GatewayError, meaning

logger = logging.getLogger(__name__)

Handler = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]


def json_response(body: object, status: int = HTTPStatus.OK) -> func.HttpResponse:
    """Return `body` as JSON."""
    return func.HttpResponse(msgspec.json.encode(body), status_code=status, mimetype="application/json")


def problem(error: BaseException, status: int | None = None, **members: object) -> func.HttpResponse:
    """Return an error as problem+json, with more `members`; `status` overrides what the table of errors says."""
    what = meaning(error)
    code = HTTPStatus(status or what.status)
    body: dict[str, Any] = {"type": "about:blank", "title": code.phrase, "status": code.value, **members}
    if isinstance(error, GatewayError):
        body["detail"] = str(error)
    return func.HttpResponse(msgspec.json.encode(body), status_code=code, mimetype="application/problem+json")


def problems(handler: Handler) -> Handler:
    """Answer with problem+json whatever a handler raises; the host's own answer would be an empty 500."""

    @functools.wraps(handler)
    async def guarded(req: func.HttpRequest) -> func.HttpResponse:
        try:
            return await handler(req)
        except GatewayError as error:
            logger.info("refused", extra={"reason": meaning(error).metric, "fault": str(error)})
            return problem(error)
        except Exception as error:
            logger.exception("a request failed")
            return problem(error)

    return guarded


def read_body(req: func.HttpRequest, limit: int) -> bytes:
    """Return the body.

    Raises:
        BodyRequired: there is none; the host drops bodies that come without a Content-Length.
        BodyTooLarge: it is longer than `limit` bytes.
    """
    body: bytes = req.get_body()
    if not body:
        raise BodyRequired("a body with a Content-Length is required")
    if len(body) > limit:
        raise BodyTooLarge(f"the body is larger than {limit} bytes")
    return body
