"""Access-key authentication of requests: HMAC-SHA256 over method, path, date, host and content."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, unquote

MAX_CLOCK_SKEW = timedelta(minutes=5)

_AUTHORIZATION = re.compile(r"HMAC-SHA256 SignedHeaders=(?P<headers>[^&]+)&Signature=(?P<signature>\S+)")
_AS_RECEIVED = "surrogateescape"
"""How bytes that are not UTF-8 became text, and become bytes again."""
_SIGNED_HEADERS = "x-ms-date;host;x-ms-content-sha256"


class SignatureRefused(Exception):
    """The request does not prove that its sender has the access key; the text says why."""


@dataclass(frozen=True)
class SignedRequest:
    """What a signature covers.

    Attributes:
        method: in upper case.
        target: path and query as they came over the wire, still percent-encoded.
        headers: looked up by any case.
        body: the bytes of the body, empty when there are none.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def check_signature(request: SignedRequest, *, access_key: bytes, now: datetime) -> None:
    """Check the `Authorization` header of a request.

    Raises:
        SignatureRefused: it is missing, malformed, too old or too new, or does not match.
    """
    authorization = _AUTHORIZATION.fullmatch(_header(request, "Authorization"))
    if authorization is None:
        raise SignatureRefused(
            "The Authorization header is not 'HMAC-SHA256 SignedHeaders=...&Signature=...'."
        )
    if authorization["headers"].lower() != _SIGNED_HEADERS:
        raise SignatureRefused(f"SignedHeaders must be '{_SIGNED_HEADERS}'.")
    date = _header(request, "x-ms-date")
    _check_date(date, now)
    content_hash = _header(request, "x-ms-content-sha256")
    if not hmac.compare_digest(
        content_hash.encode(errors=_AS_RECEIVED), base64.b64encode(hashlib.sha256(request.body).digest())
    ):
        raise SignatureRefused("The x-ms-content-sha256 header does not match the content.")
    # One SDK signs an encoded path segment that its HTTP library sends decoded: try the canonical form too.
    for target in (request.target, _canonical(request.target)):
        text = f"{request.method}\n{target}\n{date};{_header(request, 'Host')};{content_hash}"
        expected = base64.b64encode(hmac.digest(access_key, text.encode(errors=_AS_RECEIVED), hashlib.sha256))
        if hmac.compare_digest(expected, authorization["signature"].encode(errors=_AS_RECEIVED)):
            return
    raise SignatureRefused("The signature does not match.")


def _header(request: SignedRequest, name: str) -> str:
    value = request.headers.get(name)
    if not value:
        raise SignatureRefused(f"The {name} header is missing.")
    return value


def _check_date(date: str, now: datetime) -> None:
    try:
        signed_at = parsedate_to_datetime(date)
        if signed_at.tzinfo is None:
            signed_at = signed_at.replace(tzinfo=UTC)
        skew = abs(now - signed_at)
    except (ValueError, OverflowError):
        raise SignatureRefused("The x-ms-date header is not an HTTP date.") from None
    if skew > MAX_CLOCK_SKEW:
        raise SignatureRefused(
            "The x-ms-date header is more than 5 minutes away from the time of the service."
        )


def _canonical(target: str) -> str:
    path, question_mark, query = target.partition("?")
    segments = (
        quote(unquote(segment, errors=_AS_RECEIVED), safe="", errors=_AS_RECEIVED)
        for segment in path.split("/")
    )
    return "/".join(segments) + question_mark + query
