"""The requests of flows' HTTP steps, against a real server on loopback: what they ask, and where they stay."""

import asyncio

import pytest
from aiohttp import web

from shared.adapters.flow_http import MAX_ANSWER_BYTES, FlowHttp
from shared.core.flow_actions import CallHttp
from shared.core.flow_events import Failed, HttpAnswered
from shared.core.tool_hosts import ToolHosts, parse_host
from shared.security.keyring import CALLBACK_KEY_SECRET


class Vault:
    async def value(self, name):
        return {"crm-token": "Bearer 12345678\n", CALLBACK_KEY_SECRET: "key"}.get(name)


class Api:
    """A server, and what it was asked."""

    def __init__(self):
        self.requests = []
        self.released = asyncio.Event()
        self.answer = lambda: web.json_response({"tier": "gold"})

    async def handle(self, request):
        self.requests.append((request.method, dict(request.query), await request.text(), request.headers))
        if self.answer is None:
            await self.released.wait()
            return web.Response()
        return self.answer()


@pytest.fixture
async def api():
    api = Api()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.host = f"127.0.0.1:{runner.addresses[0][1]}"
    yield api
    api.released.set()
    await runner.cleanup()


@pytest.fixture
async def http(api):
    http = FlowHttp(ToolHosts(frozenset({parse_host(api.host)})), Vault())
    yield http
    await http.close()


def action(api, **changes):
    fields = {
        "id": "3.lookup", "url": f"http://{api.host}/customers?v=1", "method": "POST",
        "arguments": {"account": "1234"}, "headers": {"X-Client": "ivr"}, "secret_headers": {},
        "timeout_ms": 2000, "timeout_s": 62,
    }  # fmt: skip
    return CallHttp(**fields | changes)


async def test_post_sends_json_and_gets_the_decoded_answer(api, http):
    answered = await http.call(action(api, secret_headers={"Authorization": "crm-token"}), call_id="call")
    assert answered == HttpAnswered("3.lookup", 200, {"tier": "gold"})
    [(method, query, body, headers)] = api.requests
    assert (method, query, body) == ("POST", {"v": "1"}, '{"account":"1234"}')
    assert (headers["Authorization"], headers["X-Client"]) == ("Bearer 12345678", "ivr")


async def test_get_sends_a_query(api, http):
    await http.call(action(api, method="GET"), call_id="call")
    assert [request[:3] for request in api.requests] == [("GET", {"v": "1", "account": "1234"}, "")]


async def test_errors_and_redirects_are_answers_and_are_not_followed(api, http):
    api.answer = lambda: web.Response(status=302, headers={"Location": "/elsewhere"})
    assert await http.call(action(api), call_id="call") == HttpAnswered("3.lookup", 302, None)
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://127.0.0.1:1/"},
        {"url": "https://api.example.com/"},
        {"url": "http://api.example.com/"},
        {"secret_headers": {"Authorization": "no-such-secret"}},
        {"secret_headers": {"Authorization": CALLBACK_KEY_SECRET}},
        {"headers": {"Host": "elsewhere"}},
    ],
    ids=str,
)
async def test_what_is_not_allowed_is_not_asked(api, http, changes):
    assert await http.call(action(api, **changes), call_id="call") == Failed("3.lookup")
    assert not api.requests


async def test_an_answer_that_is_too_large_is_none(api, http):
    api.answer = lambda: web.Response(body=b"1" * (MAX_ANSWER_BYTES + 1))
    assert await http.call(action(api), call_id="call") == Failed("3.lookup")


async def test_an_api_that_is_slow_has_failed(api, http, caplog):
    api.answer = None
    assert await http.call(action(api, timeout_ms=100), call_id="call") == Failed("3.lookup")
    assert "1234" not in caplog.text
