"""Requests that no client of good will sends: each service refuses them in its own shape."""

import asyncio
import io
import json
import ssl

import pytest
from aiohttp import web
from yarl import URL

from emulator.access_key import SignatureRefused, check_signature
from tests.emulated.emulator.acs.test_request_authentication import NOW, with_header
from tests.support.acs_signing import API_VERSION, send, signed_headers
from tests.support.shapes import assert_same_shape, example

BODIES = {
    "deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deeper than allowed": b'{"a":' + b"[" * 64 + b"]" * 64 + b"}",
    "not UTF-8": b'{"a":"\xff"}',
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "not JSON": b"{",
}


@pytest.fixture(params=BODIES.values(), ids=BODIES.keys())
def body(request) -> bytes:
    return request.param


async def test_call_automation_refuses_bodies_that_it_cannot_read(acs_emulator, http, body):
    status, sent = await send(http, acs_emulator, "POST", "/callConnections:answer", body)

    assert (status, sent["error"]["code"]) == (400, "8523")
    assert_same_shape(sent, example("error"))


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/eventgrid/subscriptions/gateway"), ("POST", "/eventgrid/publish")]
)
async def test_event_grid_refuses_bodies_that_it_cannot_read(acs_emulator, http, method, path, body):
    async with http.request(method, acs_emulator.base_url + path, data=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == "InvalidRequest"


async def test_key_vault_refuses_bodies_that_it_cannot_read(acs_emulator, http, body):
    trust = ssl.create_default_context(cafile=str(acs_emulator.key_vault_ca_file))
    url = f"{acs_emulator.key_vault_url}/secrets/s1?api-version={API_VERSION}"

    async with http.put(url, data=body, ssl=trust, headers={"Authorization": "Bearer x"}) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == "BadParameter"


async def test_validation_answer_that_cannot_be_read_is_no_consent(acs_emulator, http, application, body):
    application.answer_handshake = lambda _: web.Response(body=body, content_type="application/json")

    url = acs_emulator.base_url + "/eventgrid/subscriptions/gateway"
    async with http.put(url, json={"endpoint": application.events_url}) as response:
        assert (await response.json())["provisioningState"] == "AwaitingManualAction"


@pytest.mark.parametrize(
    "path", [f"/calling/callConnections:answer?api-version={API_VERSION}", "/eventgrid/publish"]
)
async def test_body_over_the_limit_is_refused(acs_emulator, http, path):
    too_much = io.BytesIO(b" " * ((1 << 20) + 1))

    async with http.post(acs_emulator.base_url + path, data=too_much) as response:
        sent = await response.json()

    assert (response.status, sent["error"]["code"]) == (413, "RequestEntityTooLarge")
    if "callConnections" in path:
        assert_same_shape(sent, example("error"))


async def test_body_that_is_not_encoded_as_it_says_is_refused_in_the_shape_of_acs(acs_emulator):
    url = URL(acs_emulator.base_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(
        b"POST /calling/callConnections:answer?api-version=2026-03-12 HTTP/1.1\r\nHost: emulator\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"
    )

    head, _, content = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")

    writer.close()
    await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert_same_shape(json.loads(content), example("error"))


@pytest.mark.parametrize("name", ["Authorization", "x-ms-date", "x-ms-content-sha256", "Host"])
async def test_headers_that_are_not_ascii_are_not_authentic(acs_emulator, name):
    address = URL(acs_emulator.base_url)
    url = f"{address}/calling/callConnections/1?api-version={API_VERSION}"
    headers = {**signed_headers("GET", url, b"", acs_emulator.settings.access_key), "Host": address.authority}
    reader, writer = await asyncio.open_connection(address.host, address.port)
    lines = [f"{header}: {value}".encode() for header, value in headers.items()]
    lines = [line + (b"\xff" if line.startswith(name.encode()) else b"") for line in lines]
    writer.write(
        b"\r\n".join(
            [f"GET {URL(url).raw_path_qs} HTTP/1.1".encode(), b"Connection: close", *lines, b"", b""]
        )
    )

    answer = await asyncio.wait_for(reader.read(), 5)

    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b'"7509"' in answer


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 20 Nov 99999999999999999999 10:00:00 GMT",
        "Fri, 20 Nov 2026 10:00:00 +9999999999999",
        "Mon, 01 Jan 1800 00:00:00 +2359",
        "Fri, 31 Dec 9999 23:59:59 -2359",
    ],
)
def test_absurd_date_is_not_authentic(date):
    with pytest.raises(SignatureRefused, match="x-ms-date"):
        check_signature(with_header("x-ms-date", date), access_key=b"the key", now=NOW)


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:80/a\r\nx: y",
        "http://127.0.0.1:80/a b",
        "http://127.0.0.1:80/a\tb",
        "http://[::1/",
    ],
)
async def test_callback_uri_that_is_none_is_refused(acs_emulator, http, place_call, uri):
    call = await place_call()
    body = json.dumps({"incomingCallContext": call.incoming_call_context, "callbackUri": uri}).encode()

    status, sent = await send(http, acs_emulator, "POST", "/callConnections:answer", body)

    assert (status, sent["error"]["target"]) == (400, "callbackUri")


async def test_callback_to_a_host_that_cannot_be_is_not_reachable(acs_emulator, http, place_call, happened):
    call = await place_call()
    uri = f"https://{'a' * 70}.example/"
    body = json.dumps({"incomingCallContext": call.incoming_call_context, "callbackUri": uri}).encode()

    await send(http, acs_emulator, "POST", "/callConnections:answer", body)

    await happened(call, "callback_failed")
    [failed, *_] = [each for each in call.happenings if each.name == "callback_failed"]
    assert failed.detail["problem"] == "not reachable"
