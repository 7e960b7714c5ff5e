"""Signing requests with an access key by hand, for tests that look at bytes or send what no SDK sends."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from emulator.service import Emulator

API_VERSION = "2026-03-12"


def signed_headers(
    method: str, url: str, body: bytes, access_key: str, *, date: datetime | None = None
) -> dict[str, str]:
    """The headers of a signed request; its body is JSON."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    when = format_datetime(date or datetime.now(UTC), usegmt=True)
    content_hash = base64.b64encode(hashlib.sha256(body).digest()).decode()
    text = f"{method}\n{target}\n{when};{parts.netloc};{content_hash}"
    signature = base64.b64encode(hmac.digest(base64.b64decode(access_key), text.encode(), "sha256")).decode()
    return {
        "x-ms-date": when,
        "x-ms-content-sha256": content_hash,
        "Authorization": "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="
        + signature,
        "Content-Type": "application/json",
    }


async def send(
    http: aiohttp.ClientSession,
    emulator: Emulator,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    query: str = f"?api-version={API_VERSION}",
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    """Send a signed request under `/calling`; the status and the JSON of the answer, None without one."""
    url = f"{emulator.base_url}/calling{path}{query}"
    signed = signed_headers(method, url, body, emulator.settings.access_key)
    async with http.request(
        method, URL(url, encoded=True), data=body, headers={**signed, **(headers or {})}
    ) as response:
        return response.status, await response.json() if response.content_type == "application/json" else None
