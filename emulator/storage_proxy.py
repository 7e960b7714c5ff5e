"""A proxy in front of Azurite, at which Table and Blob storage misbehave on purpose.

SharedKey signatures cover the path and not the host, so that requests pass as they are.
"""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from xml.sax.saxutils import escape

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from emulator.faults.gate import Gate
from emulator.faults.operations import STORAGE_OTHER
from emulator.faults.registry import Occasion
from emulator.faults.rules import Status

MAX_BODY_BYTES: Final = 64 * 1024 * 1024

_HOP_BY_HOP: Final = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})
_AUTOMATIC: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that the client would add to a request that came without them, and that may be signed."""

_TABLE_PATH: Final = re.compile(r"/[^/]+/(?P<name>[$\w]+)(?P<keys>\(.*\))?", re.DOTALL)
_TABLE_IN_BATCH: Final = re.compile(
    rb"^(?:GET|POST|PUT|PATCH|MERGE|DELETE) https?://[^/]+/[^/]+/(\w+)", re.MULTILINE
)
_NEW_TABLE: Final = re.compile(rb'"TableName"\s*:\s*"(\w+)"')

_ON_ENTITY: Final[Mapping[str, str]] = {
    "GET": "getEntity",
    "PUT": "updateEntity",
    "PATCH": "mergeEntity",
    "MERGE": "mergeEntity",
    "DELETE": "deleteEntity",
}
_ON_CONTAINER: Final[Mapping[tuple[str, str], str]] = {
    ("PUT", ""): "createContainer",
    ("DELETE", ""): "deleteContainer",
    ("GET", ""): "getContainerProperties",
    ("HEAD", ""): "getContainerProperties",
    ("GET", "list"): "listBlobs",
}
_ON_BLOB: Final[Mapping[tuple[str, str], str]] = {
    ("PUT", ""): "putBlob",
    ("PUT", "block"): "putBlock",
    ("PUT", "blocklist"): "putBlockList",
    ("PUT", "appendblock"): "appendBlock",
    ("GET", ""): "getBlob",
    ("HEAD", ""): "getBlobProperties",
    ("DELETE", ""): "deleteBlob",
}
_CODES: Final[Mapping[int, str]] = {
    400: "InvalidInput",
    403: "AuthenticationFailed",
    404: "ResourceNotFound",
    409: "Conflict",
    412: "ConditionNotMet",
    500: "InternalError",
    503: "ServerBusy",
}
"""Codes of injected errors that name none."""


class StorageService(StrEnum):
    """Whose port it is."""

    BLOB = "blob"
    TABLE = "table"


class StorageProxy:
    """Passes the requests of one storage service on to Azurite, through the gate.

    Args:
        service: which one it is.
        target: Azurite's address, for example `http://127.0.0.1:10002`.
        session: for the requests; must not decompress.
        gate: where requests are remembered, and struck by faults.
    """

    def __init__(
        self, service: StorageService, target: str, session: aiohttp.ClientSession, gate: Gate
    ) -> None:
        self._service = service
        self._target = target
        self._session = session
        self._gate = gate

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request as Azurite does, unless a fault strikes it."""
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(
                Status(status=413, code="RequestBodyTooLarge", message="The body is too large.")
            )

        async def forward() -> web.Response:
            return await self._forward(request, body)

        return await self._gate.answer(request, self._occasion(request, body), forward, self._refuse)

    def _occasion(self, request: web.Request, body: bytes) -> Occasion:
        if self._service is StorageService.TABLE:
            method = request.headers.get("X-HTTP-Method", request.method)
            operation, part = table_operation(method, request.path, body)
        else:
            operation, part = blob_operation(request.method, request.path, request.query)
        # Rows' keys are the application's, new in each run: the n-th request of its kind is the same thing.
        return Occasion(
            operation, part, thing=f"{operation} {part}", about=f"{request.method} {request.path}"
        )

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        headers = CIMultiDict((n, v) for n, v in request.headers.items() if n.lower() not in _HOP_BY_HOP)
        try:
            async with self._session.request(
                request.method,
                URL(self._target + request.raw_path, encoded=True),
                data=body or None,
                headers=headers,
                skip_auto_headers=_AUTOMATIC,
                allow_redirects=False,
            ) as reply:
                content = await reply.read()
        except (aiohttp.ClientError, TimeoutError):
            return self._refuse(Status(status=502, code="BadGateway", message="Azurite does not answer."))
        kept = CIMultiDict((n, v) for n, v in reply.headers.items() if n.lower() not in _HOP_BY_HOP)
        if request.method == "HEAD" and "Content-Length" in reply.headers:
            kept["Content-Length"] = reply.headers["Content-Length"]
        return web.Response(status=reply.status, reason=reply.reason, headers=kept, body=content or None)

    def _refuse(self, fault: Status) -> web.Response:
        code = fault.code or _CODES.get(fault.status, "InternalError")
        headers = {"x-ms-error-code": code, **fault.headers()}
        if self._service is StorageService.TABLE:
            message = {"lang": "en-US", "value": fault.message}
            body = json.dumps({"odata.error": {"code": code, "message": message}})
            kind = "application/json;odata=minimalmetadata"
        else:
            body = (
                '<?xml version="1.0" encoding="utf-8"?>'
                f"<Error><Code>{escape(code)}</Code><Message>{escape(fault.message)}</Message></Error>"
            )
            kind = "application/xml"
        return web.Response(
            status=fault.status, body=body.encode(), headers={**headers, "Content-Type": kind}
        )


def table_operation(method: str, path: str, body: bytes) -> tuple[str, str]:
    """The operation of a request to Table storage, and its table.

    Args:
        method: the method that is meant, where a header overrides the request's own.
        path: decoded, with the account first.
        body: read where only it names the table.
    """
    found = _TABLE_PATH.fullmatch(path)
    if found is None:
        return STORAGE_OTHER, ""
    name, keys = found["name"], found["keys"]
    if name == "$batch":
        table = _TABLE_IN_BATCH.search(body)
        return "storage.batch", table[1].decode() if table else ""
    if name == "Tables":
        return _on_tables(method, keys, body)
    if keys not in (None, "()"):
        operation = _ON_ENTITY.get(method)
    else:
        operation = {"GET": "queryEntities", "POST": "insertEntity"}.get(method)
    return (f"storage.{operation}" if operation else STORAGE_OTHER), name


def _on_tables(method: str, keys: str | None, body: bytes) -> tuple[str, str]:
    if method == "POST":
        new = _NEW_TABLE.search(body)
        return "storage.createTable", new[1].decode() if new else ""
    if method == "DELETE" and keys:
        return "storage.deleteTable", keys.strip("()'")
    return ("storage.queryTables" if method == "GET" else STORAGE_OTHER), ""


def blob_operation(method: str, path: str, query: Mapping[str, str]) -> tuple[str, str]:
    """The operation of a request to Blob storage, and its container.

    Args:
        method: of the request.
        path: decoded, with the account first.
        query: `restype` and `comp` matter.
    """
    _, _, rest = path.removeprefix("/").partition("/")
    container, _, blob = rest.partition("/")
    what = (method, query.get("comp", ""))
    if not container:
        operation = "listContainers" if what == ("GET", "list") else None
    elif query.get("restype") == "container":
        operation = _ON_CONTAINER.get(what)
    else:
        operation = _ON_BLOB.get(what) if blob else None
    return (f"storage.{operation}" if operation else STORAGE_OTHER), container
