"""The head of a request: all that the ingress reads of a connection, and what it adds."""

from http import HTTPStatus
from typing import Final

END: Final = b"\r\n\r\n"
MAX_HEAD_BYTES: Final = 60 * 1024
"""Envoy's default, which Container Apps' ingress is made of; a longer head is refused with 431."""

_EDGE_SAYS: Final = (b"x-forwarded-proto", b"x-forwarded-host")
"""What a client says of these is not believed."""
_OF_THE_CONNECTION: Final = (b"connection", b"keep-alive", b"proxy-connection")


class HeadRefused(ValueError):
    """It is no request that can be passed on.

    Attributes:
        status: what the client is told.
    """

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def forwarded(head: bytes, client: str) -> bytes:
    """Return the head as a backend gets it.

    Header names are kept as they were written. A request that asks for no upgrade is made the last one of its
    connection, so that the next one is the next backend's.

    Args:
        head: from the request line to the empty line, both included.
        client: the address that it came from.

    Raises:
        HeadRefused: it is not HTTP/1.x.
    """
    request, *lines = head.removesuffix(END).split(b"\r\n")
    words = request.split(b" ")
    if len(words) != 3 or not all(words) or not words[2].startswith(b"HTTP/1."):
        raise HeadRefused(HTTPStatus.BAD_REQUEST)
    fields = [_field(line) for line in lines]
    hosts = [value for name, value, _ in fields if name == b"host"]
    if len(hosts) != 1:
        raise HeadRefused(HTTPStatus.BAD_REQUEST)
    options = {
        word.strip()
        for name, value, _ in fields
        if name == b"connection"
        for word in value.lower().split(b",")
    }
    dropped = {*_EDGE_SAYS, b"x-forwarded-for"}
    added = [
        b"X-Forwarded-For: "
        + b", ".join([*(v for n, v, _ in fields if n == b"x-forwarded-for"), client.encode()]),
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: " + hosts[0],
    ]
    if b"upgrade" not in options:
        dropped.update(_OF_THE_CONNECTION)
        added.append(b"Connection: close")
    kept = [line for name, _, line in fields if name not in dropped]
    return b"\r\n".join([request, *kept, *added]) + END


def refusal(status: HTTPStatus, text: str) -> bytes:
    """Return the answer by which the ingress itself ends a connection."""
    body = f"{text}\n".encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _field(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Name in lower case, value, and the line itself."""
    name, colon, value = line.partition(b":")
    if not colon or not name or name != name.strip():
        raise HeadRefused(HTTPStatus.BAD_REQUEST)
    return name.lower(), value.strip(), line
