"""What a handler sees of a request, and what a caller sees of what it returns."""

import asyncio
import json

import pytest
from yarl import URL

from emulator.functions_host import Keys
from tests.support.functions_host import SAMPLE_APPS, until_slow


@pytest.fixture
async def host(functions_host):
    return await functions_host(SAMPLE_APPS / "behaviour")


async def get(http, url, **options):
    async with http.get(url, **options) as response:
        assert response.status == 200, response.status
        return await response.json()


@pytest.mark.parametrize(
    ("method", "path", "status", "function"),
    [
        ("GET", "/v1/items/list", 200, "b_item"),  # by name, not by how specific the route is
        ("DELETE", "/v1/items/list", 200, "A_remove"),
        ("OPTIONS", "/v1/items/5", 200, "A_remove"),
        ("POST", "/v1/items/5", 404, None),  # never 405
        ("GET", "/v1/numbers/12", 200, "number"),
        ("GET", "/v1/numbers/twelve", 200, "word"),
        ("GET", "/V1/NUMBERS/12/", 200, "number"),
        ("GET", "/v1/unrouted", 200, "unrouted"),
        ("PATCH", "/v1/any", 200, "any_method"),
        ("OPTIONS", "/v1/any", 200, "any_method"),
        ("GET", "/unrouted", 404, None),  # the prefix belongs to the route
        ("GET", "/v1/administration", 404, None),  # reserved
        ("GET", "/v1/sweep", 404, None),  # a timer
        ("GET", "/v1/raises", 500, None),
        ("GET", "/v1/returns-none", 500, None),
        ("GET", "/v1/keyed", 200, "keyed"),  # no keys asked, as `func start`
        ("GET", "/v1/mastered", 200, "mastered"),
        ("HEAD", "/v1/sync", 404, None),
        ("GET", "/elsewhere", 404, None),
    ],
)
async def test_which_function_answers(host, http, method, path, status, function):
    async with http.request(method, host.url + path) as response:
        body = await response.read()
        assert response.status == status
        assert (json.loads(body)["function"] if function else body) == (function or b"")


async def test_the_handler_gets_the_request_as_the_worker_builds_it(host, http):
    headers = [("X-Twice", "a"), ("X-Twice", "b"), ("X-Empty", ""), ("content-type", "application/json")]
    url = f"{host.url}/v1/echo/caf%C3%A9?a=1&b=&c&A=2&d=x+y%2Fz"
    seen = await get(http, URL(url, encoded=True), headers=headers, data=b'{"n": 1}')
    assert seen["method"] == "GET"
    assert seen["url"] == url
    assert seen["params"] == {"a": "1,2", "d": "x y/z"}
    assert seen["route_params"] == {"kind": "café"}
    assert seen["headers"]["x-twice"] == "a,b"
    assert seen["headers"]["x-empty"] == ""
    assert all(name == name.lower() for name in seen["headers"])
    assert seen["body"] == '{"n": 1}'


async def test_a_body_without_content_length_arrives_empty(host, http):
    async def chunks():
        yield b"lost"

    async with http.post(f"{host.url}/v1/echo", data=chunks()) as response:
        seen = await response.json()
    assert seen["headers"]["transfer-encoding"] == "chunked"
    assert seen["body"] == ""


async def test_a_compressed_body_is_left_to_the_function(host, http):
    async with http.post(
        f"{host.url}/v1/echo", data=b"abc", headers={"content-encoding": "gzip"}
    ) as response:
        assert (await response.json())["body"] == "abc"


async def test_an_http_response_is_rendered_with_its_type_headers_and_cookies(host, http):
    async with http.get(f"{host.url}/v1/rendered") as response:
        assert response.status == 202
        assert response.headers["content-type"] == "text/html; charset=latin-1"
        assert await response.read() == "déjà".encode("latin-1")
        assert response.headers["x-one"] == "1"
        assert response.headers.getall("set-cookie") == ["a=1; Path=/", "b=2; HttpOnly"]


@pytest.mark.parametrize(
    "case", ["cookie-bad-expires", "cookie-bad-max-age", "header-surrogate", "returned-surrogate"]
)
async def test_what_the_worker_cannot_send_to_its_host_is_a_500(host, http, case):
    async with http.get(f"{host.url}/v1/awkward/{case}") as response:
        assert (response.status, await response.read()) == (500, b"")


async def test_attributes_that_the_worker_s_protocol_has_not_are_lost_from_a_cookie(host, http):
    async with http.get(f"{host.url}/v1/awkward/cookie-samesite-odd") as response:
        assert response.headers["set-cookie"] == "s=1"


async def test_a_bare_string_is_sent_as_text(host, http):
    async with http.get(f"{host.url}/v1/returns-text") as response:
        assert (response.status, response.content_type) == (200, "text/plain")
        assert await response.text() == "plain words"


async def test_a_fault_is_an_empty_500_and_its_trace_is_in_the_log(host, http, caplog):
    async with http.get(f"{host.url}/v1/raises?token=secret") as response:
        assert (response.status, await response.read()) == (500, b"")
    assert "RuntimeError: the handler failed" in caplog.text
    assert "secret" not in caplog.text


async def test_the_context_tells_the_invocation_and_continues_the_trace(host, http):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    seen = await get(http, f"{host.url}/v1/context", headers={"traceparent": trace})
    assert seen["function_name"] == "with_context"
    assert seen["folder"] == str(SAMPLE_APPS / "behaviour")
    assert seen["local"] == seen["invocation_id"]
    assert seen["trace_parent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert seen["trace_parent"] != trace
    assert seen["retries"] == 0


async def test_async_handlers_share_one_loop_and_sync_ones_stay_off_it(host, http):
    both = [get(http, f"{host.url}/v1/slow?seconds=0.05"), get(http, f"{host.url}/v1/slow?seconds=0.05")]
    first, second = await asyncio.gather(*both)
    assert first["loop"] == second["loop"] == id(asyncio.get_running_loop())
    assert (await get(http, f"{host.url}/v1/sync"))["main_thread"] is False


async def test_a_client_that_goes_away_does_not_cancel_its_invocation(host, http, caplog):
    caplog.set_level("INFO")
    request = asyncio.create_task(get(http, f"{host.url}/v1/slow?seconds=0.2"))
    await until_slow(http, host)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    await asyncio.wait_for(host.stop(), 5)
    assert "Executed function slow (Succeeded" in caplog.text


async def test_stopping_waits_for_requests_in_progress(host, http, caplog):
    caplog.set_level("INFO")
    under_way = asyncio.create_task(get(http, f"{host.url}/v1/slow?seconds=0.2"))
    await until_slow(http, host)
    await host.stop()
    assert (await under_way)["function"] == "slow"


async def test_requests_that_outlast_the_drain_time_are_cancelled(functions_host, http):
    host = await functions_host(SAMPLE_APPS / "behaviour", drain_s=0.05)
    under_way = asyncio.create_task(http.get(f"{host.url}/v1/slow?seconds=60"))
    await until_slow(http, host)
    await asyncio.wait_for(host.stop(), 5)
    assert isinstance((await asyncio.gather(under_way, return_exceptions=True))[0], Exception)


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/v1/any", None, 200),
        ("/v1/keyed", None, 401),
        ("/v1/keyed", "wrong", 401),
        ("/v1/keyed", "function-key", 200),
        ("/v1/keyed", "master-key", 200),
        ("/v1/mastered", "function-key", 401),
        ("/v1/mastered", "master-key", 200),
        ("/admin/functions", "function-key", 401),
        ("/admin/host/status", "master-key", 200),
        ("/v1/nothing", None, 404),
    ],
)
async def test_keys_are_asked_for_where_they_are_set(functions_host, http, path, key, status):
    host = await functions_host(SAMPLE_APPS / "behaviour", keys=Keys("function-key", "master-key"))
    in_query = f"{host.url}{path}" + (f"?code={key}" if key else "")
    in_header = {"x-functions-key": key} if key else {}
    for url, headers in ((in_query, {}), (host.url + path, in_header)):
        async with http.get(url, headers=headers) as response:
            assert response.status == status
            assert status != 401 or await response.read() == b""


async def test_the_header_key_wins_over_the_query(functions_host, http):
    host = await functions_host(SAMPLE_APPS / "behaviour", keys=Keys("function-key", "master-key"))
    url = f"{host.url}/v1/keyed?code=function-key"
    async with http.get(url, headers={"x-functions-key": "wrong"}) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    ("key", "status"), [("schlüssel".encode(), b"401"), ("schlüssel".encode("latin-1"), b"400")]
)
async def test_a_key_that_is_not_ascii_is_a_wrong_key_and_one_that_is_no_utf_8_no_request(
    functions_host, key, status
):
    host = await functions_host(SAMPLE_APPS / "behaviour", keys=Keys("function-key", "master-key"))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(host.url.rpartition(":")[2]))
    writer.write(
        b"GET /v1/keyed HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-functions-key: " + key + b"\r\n\r\n"
    )
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 " + status)


async def test_the_admin_endpoints_list_functions_and_faults(host, http):
    functions = {function["name"]: function for function in await get(http, f"{host.url}/admin/functions")}
    assert functions["b_item"]["invoke_url_template"] == f"{host.url}/v1/items/{{id}}"
    assert functions["sweep"]["config"]["bindings"][0]["type"] == "timerTrigger"
    status = await get(http, f"{host.url}/admin/host/status")
    assert status["state"] == "Running"
    assert [error for error in status["errors"] if "'reserved'" in error]
