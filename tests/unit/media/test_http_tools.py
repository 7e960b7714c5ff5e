"""The profile's own tools against a real server on loopback: what they ask, what the model is told, where they stay."""

import asyncio
import gzip
import json
import logging
import socket
from collections import Counter

import pytest
from aiohttp import web

from media_gateway.agents.tools import http
from media_gateway.agents.tools.http import MAX_TOOL_ARGUMENT_BYTES, MAX_TOOL_RESPONSE_BYTES, HttpTools
from media_gateway.secrets import Secrets
from shared.adapters.checked_resolver import AddressRefused, CheckedResolver
from shared.core.profiles import HttpTool
from shared.core.tool_hosts import ToolHosts, parse_host

SAID = "my card is 4929"
API_KEY = "Bearer 0123456789abcdef"


class Vault:
    def __init__(self):
        self.values = {"crm-key": API_KEY + "\n"}
        self.reads = 0

    async def value(self, name):
        self.reads += 1
        return self.values.get(name)


class Dns:
    """Leads every name to the addresses of the moment."""

    def __init__(self, *addresses):
        self.addresses = addresses
        self.asked = []

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address in self.addresses
        ]

    async def close(self):
        pass


class Service:
    """A server, the tools that may call it, and what it was asked."""

    def __init__(self):
        self.requests = []
        self.bodies = []
        self.answer = lambda: web.json_response({"balance": 12})
        self.is_slow = False
        self.connections = 0
        self.vault = Vault()
        self.counters = Counter()
        self.released = asyncio.Event()

    async def start(self):
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        self.runner = web.AppRunner(application)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.port = self.runner.addresses[0][1]
        self.host = f"127.0.0.1:{self.port}"
        self.secrets = Secrets(self.vault, self.counters)
        self.tools = self.tools_for(self.host)

    def tools_for(self, *entries, resolver=None):
        listed = ToolHosts(frozenset(map(parse_host, entries)))
        return HttpTools(listed, self.secrets, self.counters, resolver)

    async def stop(self):
        self.released.set()
        await self.tools.close()
        await self.secrets.close()
        await self.runner.cleanup()

    async def call(self, arguments=None, *, tools=None, url=None, **changes):
        """What the model is told."""
        tool = HttpTool(
            name="balance", description="Looks up", url=url or f"http://{self.host}/balance", **changes
        )
        return await (tools or self.tools).call(tool, {} if arguments is None else arguments, call_id="c-1")

    async def _handle(self, request):
        self.requests.append(request)
        self.bodies.append(await request.read())
        if self.is_slow:
            await self.released.wait()
        return self.answer()


@pytest.fixture
async def service():
    service = Service()
    await service.start()
    yield service
    await service.stop()


def failed(counters):
    return {name: count for name, count in counters.items() if name.startswith("tool_calls_failed")}


async def test_arguments_go_as_json_and_the_answer_comes_as_it_is(service):
    assert json.loads(await service.call({"card": SAID, "deep": {"a": [1]}})) == {"balance": 12}
    (request,), (body,) = service.requests, service.bodies
    assert (request.method, request.headers["Content-Type"]) == ("POST", "application/json")
    assert json.loads(body) == {"card": SAID, "deep": {"a": [1]}}
    assert service.counters == {"tool_calls": 1}


async def test_arguments_of_a_get_go_in_the_query(service):
    url = f"http://{service.host}/balance?tenant=5"
    arguments = {"card": "a b&c=ü", "count": 2, "deep": True, "none": None, "tenant": "6"}
    await service.call(arguments, url=url, method="GET")
    (request,), (body,) = service.requests, service.bodies
    assert dict(request.query) == {"tenant": "5", "card": "a b&c=ü", "count": "2", "deep": "true"}
    assert body == b""


async def test_a_get_takes_no_objects(service):
    told = await service.call({"deep": {"a": 1}}, method="GET")
    assert json.loads(told) == {"error": "the arguments cannot be sent (only texts, numbers, true and false)"}
    assert service.requests == []


@pytest.mark.parametrize(
    "arguments",
    [{"a": object()}, {"a": "\ud800"}, {"a": "x" * MAX_TOOL_ARGUMENT_BYTES}, {"a": {1j: 2}}, [1], "text", 5],
    ids=["object", "surrogate", "too much", "odd key", "list", "text", "number"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_arguments_that_are_no_object_or_too_much_are_not_sent(service, arguments, method):
    assert "the arguments cannot be sent" in await service.call(arguments, method=method)
    assert service.requests == []
    assert failed(service.counters) == {"tool_calls_failed_arguments": 1}


async def test_secret_headers_come_from_the_vault_and_are_read_anew_after_a_401(service):
    await service.call(headers={"X-Tenant": "5"}, secret_headers={"Authorization": "crm-key"})
    assert service.requests[0].headers["Authorization"] == API_KEY
    assert service.requests[0].headers["X-Tenant"] == "5"

    service.answer = lambda: web.Response(status=401)
    service.vault.values["crm-key"] = "Bearer new"
    await service.call(secret_headers={"Authorization": "crm-key"})
    await service.call(secret_headers={"Authorization": "crm-key"})
    sent = [request.headers["Authorization"] for request in service.requests]
    assert sent == [API_KEY, API_KEY, "Bearer new"]


@pytest.mark.parametrize("name", ["unknown", "media-token-key"])
async def test_without_its_secret_a_tool_is_not_called(service, name):
    service.vault.values["media-token-key"] = "the key of all calls"
    told = await service.call(secret_headers={"Authorization": name})
    assert json.loads(told) == {"error": "the gateway has no credentials for the service at the moment"}
    assert service.requests == []


@pytest.mark.parametrize("status", [200, 400])
async def test_a_secret_that_comes_back_is_struck_out(service, status):
    service.answer = lambda: web.Response(text=f"you sent {API_KEY}", status=status)
    told = await service.call(secret_headers={"Authorization": "crm-key"})
    assert "you sent" in told
    assert "0123456789" not in told


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "a b"])
@pytest.mark.parametrize("where", ["headers", "secret_headers"])
async def test_headers_of_the_request_itself_are_not_the_profiles(service, name, where):
    assert "not set up" in await service.call(**{where: {name: "crm-key"}})
    assert service.requests == []


async def test_a_header_with_a_line_break_is_not_sent(service):
    service.vault.values["crm-key"] = "a\r\nX-Evil: 1"
    assert "error" in await service.call(secret_headers={"Authorization": "crm-key"})
    assert service.requests == []


async def test_an_error_of_the_service_is_told_with_the_beginning_of_its_body(service):
    service.answer = lambda: web.Response(status=404, text="no such card " + "x" * 5000)
    told = json.loads(await service.call())
    assert told["error"] == "status 404"
    assert told["body"].startswith("no such card x")
    assert len(told["body"]) == 1024
    assert failed(service.counters) == {"tool_calls_failed_status": 1}


async def test_an_empty_answer_is_told_as_its_status(service):
    service.answer = lambda: web.Response(status=204)
    assert json.loads(await service.call()) == {"status": 204}


async def test_a_large_answer_is_none(service):
    service.answer = lambda: web.Response(text="x" * MAX_TOOL_RESPONSE_BYTES)
    assert len(await service.call()) == MAX_TOOL_RESPONSE_BYTES
    service.answer = lambda: web.Response(text="x" * (MAX_TOOL_RESPONSE_BYTES + 1))
    assert json.loads(await service.call()) == {"error": "the answer is too large"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\0\1\2", {"Content-Type": "application/octet-stream"}),
        (b"\0\1\2", {"Content-Type": "image/png"}),
        (gzip.compress(b"x" * 1_000_000), {"Content-Type": "text/plain", "Content-Encoding": "gzip"}),
    ],
    ids=["bytes", "image", "packed"],
)
async def test_what_is_not_text_is_no_answer(service, body, headers):
    service.answer = lambda: web.Response(body=body, headers=headers)
    assert json.loads(await service.call()) == {"error": "the answer is not text"}


async def test_broken_text_is_mended(service):
    service.answer = lambda: web.Response(body=b"caf\xe9", content_type="text/plain")
    assert await service.call() == "caf\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "place",
    ["http://169.254.169.254/metadata/instance", "http://127.0.0.1:1/", "/elsewhere", "https://x.com/"],
)
async def test_a_redirect_is_not_followed(service, place):
    service.answer = lambda: web.Response(status=302, headers={"Location": place}, text=place)
    assert json.loads(await service.call()) == {
        "error": "the service answered with a redirect, which is not followed"
    }
    assert len(service.requests) == 1


async def test_a_slow_service_is_given_up(service):
    service.is_slow = True
    assert json.loads(await service.call(timeout_ms=50)) == {"error": "timed out"}
    assert failed(service.counters) == {"tool_calls_failed_timed_out": 1}


async def test_a_call_that_ends_takes_its_request_along(service):
    service.is_slow = True
    calling = asyncio.create_task(service.call())
    while not service.requests:
        await asyncio.sleep(0.001)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert service.tools._running == 0


async def test_more_than_the_limit_at_once_are_told_so_and_not_sent(service, monkeypatch):
    monkeypatch.setattr(http, "MAX_TOOL_CALLS", 3)
    service.is_slow = True
    calling = [asyncio.create_task(service.call()) for _ in range(3)]
    while len(service.requests) < 3:
        await asyncio.sleep(0.001)
    assert json.loads(await service.call()) == {"error": "too many requests at once, try again later"}
    service.released.set()
    await asyncio.gather(*calling)
    assert len(service.requests) == 3
    service.is_slow = False
    assert json.loads(await service.call()) == {"balance": 12}


async def test_a_service_that_is_not_there_or_speaks_no_http_is_unreachable(service):
    async def babble(reader, writer):
        writer.write(b"220 smtp ready\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tools = service.tools_for(f"127.0.0.1:{port}")
    unreachable = {"error": "the service cannot be reached"}
    assert json.loads(await service.call(tools=tools, url=f"http://127.0.0.1:{port}/")) == unreachable
    server.close()
    await server.wait_closed()
    assert json.loads(await service.call(tools=tools, url=f"http://127.0.0.1:{port}/")) == unreachable
    await tools.close()


async def test_nothing_is_called_unless_the_operator_lists_it(service):
    assert "not set up" in await service.call(tools=service.tools_for())
    assert "not set up" in await service.call(tools=service.tools_for("127.0.0.1"))
    assert service.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/",
        "ftp://api.example.com/",
        "https://user:password@api.example.com/",
        "https://user@api.example.com/",
        "https://api.example.com@evil.net/",
        "https://evil.net#api.example.com",
        "https://api.example.com:8443/",
        "https://api.example.com./",
        "https://169.254.169.254/",
        "https://[::ffff:169.254.169.254]/",
        "https:///path",
        "//api.example.com/",
        "https://api.example.com:99999/",
        "https://[",
        "",
        "\0",
    ],
)
async def test_a_url_that_is_not_plainly_allowed_is_not_asked(service, url):
    dns = Dns("8.8.8.8")
    tools = service.tools_for("api.example.com", resolver=dns)
    tool = HttpTool(name="t", description="", url=url)
    assert "error" in json.loads(await tools.call(tool, {}, call_id="c-1"))
    assert dns.asked == []
    await tools.close()


@pytest.mark.parametrize(
    "addresses", [("127.0.0.1",), ("169.254.169.254",), ("8.8.8.8", "10.0.0.1"), ("::ffff:127.0.0.1",)]
)
async def test_a_listed_name_that_leads_inside_is_not_asked(service, addresses):
    tools = service.tools_for(f"api.example.com:{service.port}", resolver=Dns(*addresses))
    told = await service.call(tools=tools, url=f"https://api.example.com:{service.port}/")
    assert "not set up" in told
    assert failed(service.counters) == {"tool_calls_failed_not_allowed": 1}
    await tools.close()


async def test_a_name_is_looked_at_for_each_connection(service):
    dns = Dns("127.0.0.1")
    tools = service.tools_for(f"localhost:{service.port}", resolver=dns)
    service.answer = lambda: web.json_response({}, headers={"Connection": "close"})
    url = f"http://localhost:{service.port}/"
    assert await service.call(tools=tools, url=url) == "{}"
    dns.addresses = ("10.0.0.1",)
    assert "not set up" in await service.call(tools=tools, url=url)
    assert dns.asked == ["localhost"] * 2
    await tools.close()


async def test_addresses_that_are_public_are_passed_on_as_they_are():
    dns = Dns("8.8.8.8", "1.1.1.1")
    resolver = CheckedResolver(dns, ToolHosts(frozenset({("api.example.com", 443)})))
    assert [found["host"] for found in await resolver.resolve("api.example.com", 443)] == [
        "8.8.8.8",
        "1.1.1.1",
    ]
    dns.addresses = ("8.8.8.8", "127.0.0.1")
    with pytest.raises(AddressRefused):
        await resolver.resolve("api.example.com", 443)


async def test_cookies_are_not_kept_and_proxies_not_asked(service, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    service.answer = lambda: web.json_response({}, headers={"Set-Cookie": "a=b"})
    await service.call()
    assert await service.call() == "{}"
    assert "Cookie" not in service.requests[1].headers


async def test_nothing_of_what_is_asked_or_answered_is_logged(service, caplog):
    caplog.set_level(logging.DEBUG)
    headers = {"Set-Cookie": f"4929[]={SAID};;;"}
    for status in (200, 302, 404, 500):
        service.answer = lambda status=status: web.Response(text=SAID, status=status, headers=headers)
        for method in ("GET", "POST"):
            await service.call({"card": SAID}, method=method, secret_headers={"Authorization": "crm-key"})
    await service.call({"card": SAID, "x": object()})
    await service.call({"card": SAID}, url="https://[4929")
    logged = [record for record in caplog.records if record.name != "aiohttp.access"]
    written = " ".join(f"{record.getMessage()} {vars(record)}" for record in logged)
    assert "4929" not in written
    assert "0123456789" not in written
    assert {record.getMessage() for record in logged if record.levelno > logging.DEBUG} == {
        "a tool failed",
        "a tool failed in an unexpected way",
    }
