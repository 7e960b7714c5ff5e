"""What becomes of a request's head, and of one that is none."""

import asyncio

import pytest

from emulator.ingress.head import MAX_HEAD_BYTES, HeadRefused, forwarded
from tests.emulated.emulator.ingress.conftest import WITHIN_S


def lines(*texts):
    return b"\r\n".join(text.encode() for text in texts) + b"\r\n\r\n"


UPGRADE = (
    "GET /v1/media?token=a%2Fb HTTP/1.1",
    "Host: gateway.example:443",
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "x-ms-call-connection-id: 401f3500",
)


def test_an_upgrade_is_passed_on_as_it_came_with_what_is_known_of_the_client():
    assert forwarded(lines(*UPGRADE), "192.0.2.1") == lines(
        *UPGRADE,
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: gateway.example:443",
    )


def test_any_other_request_is_the_last_of_its_connection():
    head = lines("GET /readyz HTTP/1.1", "host: a", "Connection: keep-alive", "Keep-Alive: timeout=5")

    assert forwarded(head, "192.0.2.1") == lines(
        "GET /readyz HTTP/1.1",
        "host: a",
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: a",
        "Connection: close",
    )


def test_a_client_is_believed_who_was_before_it_and_nothing_else():
    head = lines(
        *UPGRADE, "X-Forwarded-For: 203.0.113.7", "x-forwarded-proto: wss", "X-Forwarded-Host: evil.example"
    )

    passed = forwarded(head, "192.0.2.1").decode()

    assert "\r\nX-Forwarded-For: 203.0.113.7, 192.0.2.1\r\n" in passed
    assert passed.lower().count("x-forwarded-") == 3
    assert "evil" not in passed


@pytest.mark.parametrize(
    "head",
    [
        lines("GET / HTTP/1.1"),
        lines("GET / HTTP/1.1", "Host: a", "Host: b"),
        lines("GET / HTTP/2.0", "Host: a"),
        lines("GET  / HTTP/1.1", "Host: a"),
        lines("GET /", "Host: a"),
        lines("GET / HTTP/1.1", "Host : a"),
        lines("GET / HTTP/1.1", "Host: a", " folded"),
        lines("GET / HTTP/1.1", "Host: a", "no colon"),
        lines("\x16\x03\x01 TLS"),
        lines(""),
    ],
)
def test_what_is_no_request_is_refused(head):
    with pytest.raises(HeadRefused, match="Bad Request"):
        forwarded(head, "192.0.2.1")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (lines("GET / HTTP/1.1"), 400),
        (lines("GET / HTTP/1.1", "Host: a", "X: " + "x" * MAX_HEAD_BYTES), 431),
        (b"x" * (MAX_HEAD_BYTES + 1), 431),
    ],
)
async def test_who_sends_no_request_is_told(ingress, sent, status):
    reader, writer = await asyncio.open_connection("127.0.0.1", ingress.port)
    writer.write(sent)

    async with asyncio.timeout(WITHIN_S):
        assert (await reader.readline()).split()[1] == b"%d" % status

    writer.transport.abort()
    assert ingress.counters[f"refused_{status}"] == 1


async def test_a_head_may_come_in_pieces_and_with_what_follows_it(ingress, start_pods):
    (pod,) = await start_pods(ingress, 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", ingress.port)

    for byte in lines("GET /name HTTP/1.1", "Host: a"):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)

    async with asyncio.timeout(WITHIN_S):
        assert (await reader.read()).endswith(b"pod-0")
    writer.close()
    await writer.wait_closed()
    assert pod.requests[0].headers["X-Forwarded-For"] == "127.0.0.1"
