"""Blob storage in memory, as much of it as recordings need, in a process of its own.

Azurite would take more of the load's core than load and service do. The real SDK speaks to it; nobody is asked for a
credential.

    python -m bench.blob_sink
"""

import argparse
import json
import re
import sys
from email.utils import formatdate
from xml.sax.saxutils import escape

import uvloop
from aiohttp import web

from bench.processes import until_stopped

MAX_BODY_BYTES = 64 * 1024 * 1024
ACCOUNT_KEY = "YmVuY2g="
_BLOCK = re.compile(r"<(?:Latest|Uncommitted|Committed)>([^<]+)</")


def connection_string(port: int) -> str:
    """How the SDK finds it."""
    return (
        "DefaultEndpointsProtocol=http;AccountName=bench;"
        f"AccountKey={ACCOUNT_KEY};BlobEndpoint=http://127.0.0.1:{port}/bench"
    )


class Sink:
    """The blobs, by path."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._blocks: dict[tuple[str, str], bytes] = {}

    async def put(self, request: web.Request) -> web.Response:
        """Put Blob, Put Block, Put Block List, Create Container."""
        path, what = request.path, request.query.get("comp")
        body = await request.read()
        if what == "block":
            self._blocks[path, request.query["blockid"]] = body
        elif what == "blocklist":
            names = _BLOCK.findall(body.decode())
            self._blobs[path] = b"".join(self._blocks.pop((path, name)) for name in names)
        elif "restype" not in request.query:
            self._blobs[path] = body
        return web.Response(status=201, headers=_headers())

    async def get(self, request: web.Request) -> web.Response:
        """Get Blob, List Blobs."""
        if request.query.get("comp") == "list":
            return self._list(request)
        blob = self._blobs.get(request.path)
        if blob is None:
            return web.Response(status=404, headers={"x-ms-error-code": "BlobNotFound"})
        return web.Response(body=blob, headers=_headers() | {"x-ms-blob-type": "BlockBlob"})

    async def delete(self, request: web.Request) -> web.Response:
        """Delete Blob."""
        self._blobs.pop(request.path, None)
        return web.Response(status=202, headers=_headers())

    def _list(self, request: web.Request) -> web.Response:
        container = f"{request.path}/"
        begins = container + request.query.get("prefix", "")
        paths = sorted(
            path for path in self._blobs if path.startswith(begins) and path > request.query.get("marker", "")
        )
        page = paths[: int(request.query.get("maxresults", 5000))]
        blobs = "".join(
            f"<Blob><Name>{escape(path.removeprefix(container))}</Name><Properties>"
            f"<Creation-Time>{formatdate(usegmt=True)}</Creation-Time><Last-Modified>{formatdate(usegmt=True)}"
            f"</Last-Modified><Etag>1</Etag><Content-Length>{len(self._blobs[path])}</Content-Length>"
            "<BlobType>BlockBlob</BlobType></Properties></Blob>"
            for path in page
        )
        marker = escape(page[-1]) if len(page) < len(paths) else ""
        text = (
            f"<?xml version='1.0'?><EnumerationResults><Blobs>{blobs}</Blobs>"
            f"<NextMarker>{marker}</NextMarker></EnumerationResults>"
        )
        return web.Response(body=text.encode(), headers=_headers() | {"Content-Type": "application/xml"})


def _headers() -> dict[str, str]:
    return {"ETag": '"1"', "Last-Modified": formatdate(usegmt=True), "x-ms-version": "2025-01-05"}


async def _serve() -> None:
    sink = Sink()
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.add_routes(
        [
            web.put("/{path:.*}", sink.put),
            web.get("/{path:.*}", sink.get, allow_head=True),
            web.delete("/{path:.*}", sink.delete),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"port": runner.addresses[0][1]}), file=sys.stderr, flush=True)
    await until_stopped()
    await runner.cleanup()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    uvloop.run(_serve())
