"""Getting through to a realtime service: what a refusal means, and what a credential is."""

import asyncio
import base64
import contextlib
import hashlib
from collections import Counter
from http import HTTPStatus
from types import SimpleNamespace

import pytest
from picows import WSHandshakeError

from media_gateway.agents.contract import AgentFailed
from media_gateway.agents.realtime import connection
from media_gateway.agents.realtime.connection import Connector, _reason
from media_gateway.timing import Timing
from shared.core.profiles import Dialect, EntraAuth, KeyAuth, RealtimeAgent
from shared.errors import NotConfigured, VaultUnavailable


class Given:
    """A vault and an identity that have one value, or none."""

    def __init__(self, value):
        self._value = value

    async def value(self, name):
        if isinstance(self._value, Exception):
            raise self._value
        return self._value

    token = value


def connector(value):
    return Connector(Given(value), Given(value), Counter(), tls=None)


@pytest.mark.parametrize("stored", ["sk-1", "sk-1\n", " sk-1\r\n"])
async def test_a_file_s_last_line_break_is_no_part_of_a_key(stored):
    assert await connector(stored)._credential(KeyAuth("openai-key")) == "sk-1"


@pytest.mark.parametrize("error", [NotConfigured("none"), VaultUnavailable("away")])
@pytest.mark.parametrize("auth", [KeyAuth("openai-key"), EntraAuth("https://x/.default")])
async def test_a_credential_that_cannot_be_had_is_an_outcome_of_its_own(auth, error):
    with pytest.raises(AgentFailed, match=r"^no_credential$"):
        await connector(error)._credential(auth)


async def test_a_service_on_loopback_asks_for_none():
    assert await connector(NotConfigured("none"))._credential(None) == ""


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "unauthorized"),
        (403, "unauthorized"),
        (404, "no_such_model"),
        (429, "quota"),
        (301, "refused"),
        (400, "refused"),
        (418, "refused"),
        (500, "unavailable"),
        (503, "unavailable"),
    ],
)
def test_a_status_before_the_upgrade_has_a_meaning(status, reason):
    error = WSHandshakeError("no")
    error.response = SimpleNamespace(status=HTTPStatus(status))
    assert _reason(error) == reason


def test_no_answer_in_http_is_a_refusal():
    error = WSHandshakeError("no")
    error.response = None
    assert _reason(error) == "refused"


class LateService:
    """Takes connections, and answers the upgrade when the test lets it."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()
        self.ends = 0
        self.connections = 0

    async def serve(self, reader, writer):
        self.connections += 1
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.set()
        await self.gate.wait()
        key = next(
            line.split(": ")[1] for line in head.splitlines() if line.lower().startswith("sec-websocket-key")
        )
        magic = (key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()
        accept = base64.b64encode(hashlib.sha1(magic).digest()).decode()
        writer.write(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        with contextlib.suppress(ConnectionError):
            await reader.read()
        self.ends += 1
        writer.close()


class Owner:
    """Is told of nothing that matters here."""

    def on_open(self):
        pass

    on_writable = on_closed = on_open

    def on_message(self, message):
        pass

    on_flaw = on_message


@contextlib.asynccontextmanager
async def late_service():
    service = LateService()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield (
        service,
        RealtimeAgent(dialect=Dialect.OPENAI, endpoint=f"ws://127.0.0.1:{port}/v1/realtime", model="m"),
    )
    server.close()
    await server.wait_closed()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_connection_that_nobody_waits_for_any_more_is_cut_when_it_is_made():
    async with late_service() as (service, settings):
        connecting = asyncio.create_task(connector("")._try(settings, Owner()))
        await service.asked.wait()
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        service.gate.set()
        await until(lambda: service.ends == 1)


async def test_a_service_that_does_not_answer_is_unreachable_within_the_time_to_open(monkeypatch):
    monkeypatch.setattr(connection, "HANDSHAKE_S", 0.05)
    monkeypatch.setattr(connection, "TRIES_AGAIN", (0.01, 0.01))
    async with late_service() as (service, settings):
        with pytest.raises(AgentFailed, match=r"^unreachable$"):
            await connector("").connect(settings, Owner)
        assert service.connections == 3
        service.gate.set()
        await until(lambda: service.ends == 3)


def test_all_tries_fit_into_the_time_that_an_agent_has_to_open():
    tries = 1 + len(connection.TRIES_AGAIN)
    assert tries * connection.HANDSHAKE_S + sum(connection.TRIES_AGAIN) < Timing().agent_open_s
