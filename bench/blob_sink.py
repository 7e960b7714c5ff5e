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
_BATCHED = re.compile(rb"Content-ID: (\d+).*?DELETE /([^ ?]+)", re.DOTALL | re.IGNORECASE)


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
        asked = request.headers.get("x-ms-range") or request.headers.get("Range")
        first, _, last = (asked or "bytes=0-").removeprefix("bytes=").partition("-")
        part = blob[int(first) : int(last) + 1 if last else None]
        end = int(first) + len(part) - 1
        headers = _headers() | {
            "Content-Range": f"bytes {first}-{end}/{len(blob)}",
            "x-ms-blob-type": "BlockBlob",
        }
        return web.Response(status=206 if blob else 200, body=part, headers=headers)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete Blob."""
        self._blobs.pop(request.path, None)
        return web.Response(status=202, headers=_headers())

    async def batch(self, request: web.Request) -> web.Response:
        """Delete blobs in a batch."""
        answers = []
        for number, path in _BATCHED.findall(await request.read()):
            self._blobs.pop("/" + path.decode(), None)
            answers.append(
                f"--batch\r\nContent-Type: application/http\r\nContent-ID: {number.decode()}\r\n\r\n"
                "HTTP/1.1 202 Accepted\r\nx-ms-request-id: bench\r\nx-ms-version: 2025-01-05\r\n\r\n"
            )
        text = "".join(answers) + "--batch--\r\n"
        headers = _headers() | {"Content-Type": "multipart/mixed; boundary=batch"}
        return web.Response(status=202, body=text.encode(), headers=headers)

    def _list(self, request: web.Request) -> web.Response:
        container = f"{request.path}/"
        begins = container + request.query.get("prefix", "")
        blobs = "".join(
            f"<Blob><Name>{escape(path.removeprefix(container))}</Name><Properties>"
            f"<Creation-Time>{formatdate(usegmt=True)}</Creation-Time><Last-Modified>{formatdate(usegmt=True)}"
            f"</Last-Modified><Etag>1</Etag><Content-Length>{len(blob)}</Content-Length>"
            "<BlobType>BlockBlob</BlobType></Properties></Blob>"
            for path, blob in sorted(self._blobs.items())
            if path.startswith(begins)
        )
        text = f"<?xml version='1.0'?><EnumerationResults><Blobs>{blobs}</Blobs><NextMarker/></EnumerationResults>"
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
            web.post("/{path:.*}", sink.batch),
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
