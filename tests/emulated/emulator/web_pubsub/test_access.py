"""Who may talk to Web PubSub: signed requests, access tokens, and what is wrong with others."""

import io
import time

import aiohttp
import jwt
import pytest
from azure.core.credentials import AccessToken
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient as AsyncWebPubSubServiceClient

from tests.emulated.emulator.acs.conftest import run
from tests.emulated.emulator.web_pubsub.conftest import GROUP, HUB, PLAIN

SEND = f"/api/hubs/{HUB}/:send?api-version=2024-12-01"
ENTRA = "stands-in-for-entra"


@pytest.fixture
def sign(acs_emulator):
    """A token of the access key for a path of the emulator, or what is wrong with it."""

    def sign(path, *, key=None, lifetime_s=60, base_url=None, **claims):
        content = {"aud": (base_url or acs_emulator.base_url) + path, "exp": int(time.time()) + lifetime_s}
        key = key or acs_emulator.settings.web_pubsub_access_key
        return jwt.encode({**content, **claims}, key, algorithm="HS256")

    return sign


WRONG = {
    "forged": {"key": "another key, which is long enough for it"},
    "expired": {"lifetime_s": -1},
    "of_another_host": {"base_url": "http://other.example.com"},
    "without_an_audience_that_is_a_url": {"aud": "http://[rubbish"},
    "without_an_audience": {"aud": 1},
}


async def status_of_sending(http, acs_emulator, token, path=SEND):
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    async with http.post(acs_emulator.base_url + path, json={}, headers=headers) as response:
        assert response.status == 202 or set(await response.json()) == {"code", "message"}
        return response.status


async def test_signed_request_is_accepted(http, acs_emulator, sign):
    assert await status_of_sending(http, acs_emulator, sign(SEND)) == 202


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_request_with_a_wrong_token_is_refused(http, acs_emulator, sign, wrong):
    assert await status_of_sending(http, acs_emulator, sign(SEND, **wrong)) == 401
    assert acs_emulator.web_pubsub.messages() == []


@pytest.mark.parametrize("path", [f"/api/hubs/{HUB}/:send", SEND.replace(HUB, "other"), SEND + "&excluded=a"])
async def test_token_for_another_request_is_refused(http, acs_emulator, sign, path):
    assert await status_of_sending(http, acs_emulator, sign(path)) == 401


@pytest.mark.parametrize("token", [None, "", "rubbish"])
async def test_request_without_a_token_is_refused(http, acs_emulator, token):
    assert await status_of_sending(http, acs_emulator, token) == 401


async def test_unsigned_token_is_refused(http, acs_emulator):
    content = {"aud": acs_emulator.base_url + SEND, "exp": int(time.time()) + 60}
    assert await status_of_sending(http, acs_emulator, jwt.encode(content, None, algorithm="none")) == 401


@pytest.mark.parametrize(
    "path",
    [
        f"/api/hubs/{HUB}/:send",
        "/api/hubs/1st/:send?api-version=2024-12-01",
        f"/api/hubs/{HUB}/groups/{'g' * 1025}/:send?api-version=2024-12-01",
    ],
)
async def test_request_that_is_not_valid_is_told_so(http, acs_emulator, sign, path):
    assert await status_of_sending(http, acs_emulator, sign(path), path) == 400


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("text/plain", b"\xff", 400),
        ("image/png", b"", 415),
        ("text/plain", b"x" * (1024 * 1024 + 1), 413),
    ],
)
async def test_body_has_to_be_what_it_says(http, acs_emulator, sign, content_type, body, status):
    headers = {"Authorization": f"Bearer {sign(SEND)}", "Content-Type": content_type}
    async with http.post(acs_emulator.base_url + SEND, data=io.BytesIO(body), headers=headers) as response:
        assert response.status == status


class Credential:
    def get_token(self, *scopes, **options):
        return AccessToken(ENTRA, 2**31)


class AsyncCredential(Credential):
    async def get_token(self, *scopes, **options):
        return AccessToken(ENTRA, 2**31)


@pytest.mark.parametrize(
    ("package", "credential"),
    [(WebPubSubServiceClient, Credential()), (AsyncWebPubSubServiceClient, AsyncCredential())],
)
async def test_entra_sends_and_has_the_service_make_tokens(start_emulator, open_raw, package, credential):
    emulator = await start_emulator(entra_token=ENTRA)
    client = package(emulator.base_url, HUB, credential)
    # Azure's packages hold bearer tokens back from plain HTTP unless they are told.
    plain = {"enforce_https": False}

    access = await run(
        client.get_client_access_token,
        user_id="pod-1",
        roles=["webpubsub.joinLeaveGroup.a", "webpubsub.sendToGroup.a"],
        groups=[GROUP, "pod/2"],
        minutes_to_expire=5,
        **plain,
    )
    pod = await open_raw(access["url"], PLAIN)

    assert (await pod.next())["userId"] == "pod-1"
    await run(client.send_to_group, "pod/2", "hello", **plain)
    assert (await pod.next())["data"] == "hello"
    assert (await pod.ask(type="joinGroup", group="a", ackId=1))["success"]
    assert not (await pod.ask(type="joinGroup", group="b", ackId=2))["success"]
    claims = jwt.decode(access["token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 300
    await run(client.close)


@pytest.mark.parametrize("settings", [{}, {"entra_token": "another"}])
async def test_other_bearer_tokens_are_refused(start_emulator, http, settings):
    emulator = await start_emulator(**settings)
    assert await status_of_sending(http, emulator, ENTRA) == 401


@pytest.mark.parametrize("query", ["minutesToExpire=0", "minutesToExpire=x", "clientType=MQTT"])
async def test_tokens_are_only_made_for_what_there_is(http, acs_emulator, sign, query):
    path = f"/api/hubs/{HUB}/:generateToken?api-version=2024-12-01&{query}"
    assert await status_of_sending(http, acs_emulator, sign(path), path) in (400, 501)


CLIENTS = f"/client/hubs/{HUB}"


async def test_client_may_bring_its_token_in_the_query_or_a_header(acs_emulator, open_raw, sign):
    url = acs_emulator.base_url + CLIENTS
    by_query = await open_raw(f"{url}?access_token={sign(CLIENTS, sub='a')}", PLAIN)
    by_header = await open_raw(url, PLAIN, headers={"Authorization": f"Bearer {sign(CLIENTS, sub='b')}"})

    assert [(await client.next())["userId"] for client in (by_query, by_header)] == ["a", "b"]


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_client_with_a_wrong_token_is_refused(acs_emulator, open_raw, sign, wrong):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await open_raw(f"{acs_emulator.base_url}{CLIENTS}?access_token={sign(CLIENTS, **wrong)}")
    assert refused.value.status == 401
    assert acs_emulator.web_pubsub.connections() == []


@pytest.mark.parametrize("query", ["", f"?access_token={'x' * 10}"])
async def test_client_without_a_token_is_refused(acs_emulator, open_raw, query):
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await open_raw(acs_emulator.base_url + CLIENTS + query)


async def test_token_of_another_hub_is_refused(acs_emulator, open_raw, sign):
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await open_raw(f"{acs_emulator.base_url}{CLIENTS}?access_token={sign('/client/hubs/other')}")


async def test_client_that_opens_no_socket_is_refused(acs_emulator, http, sign):
    async with http.get(f"{acs_emulator.base_url}{CLIENTS}?access_token={sign(CLIENTS)}") as response:
        assert response.status == 400


async def test_tokens_are_not_shown_with_the_requests(acs_emulator, open_raw, sign, http):
    await open_raw(f"{acs_emulator.base_url}{CLIENTS}?access_token={sign(CLIENTS)}&x=1")

    async with http.get(f"{acs_emulator.base_url}/emulator/requests?operation=web_pubsub.*") as response:
        [seen] = (await response.json())["value"]
    assert (seen["operation"], seen["path"]) == ("web_pubsub.connect", f"{CLIENTS}?x=1")
