"""Who is let in, decided before the 101 and from memory alone."""

import asyncio
import json
import time
import uuid
from dataclasses import replace
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from media_gateway.admission import Admission
from shared.config import TokenKeyTimes
from shared.core.call import bind_connection
from shared.security.acs_jwt import AcsTokenVerifier
from shared.security.tokens import Audience, SigningKey, mint
from tests.support.media import ACS_TOKENS, KEY, MemoryOutside, running_gateway

STRANGERS_KEY = SigningKey(KEY.kid, b"s" * 32)
NEW_KEY = SigningKey("version-2", b"n" * 32)


def token_for(call_id, *, audience=Audience.MEDIA, signing=KEY):
    return mint(audience, call_id=call_id, account_id="demo", jti="jti", signing=signing)


def issued_in(seconds, token, signing):
    """The same token, minted so much later (or earlier)."""
    claims = jwt.decode(token, options={"verify_signature": False})
    claims |= {"iat": claims["iat"] + seconds, "exp": claims["exp"] + seconds}
    return jwt.encode(claims, signing.key, algorithm="HS256", headers={"kid": signing.kid})


def expired_token(call_id, *, ago_s):
    now = int(time.time())
    claims = {
        "iss": "acs-voice-gateway", "aud": "media", "iat": now - ago_s - 30, "exp": now - ago_s,
        "jti": "jti", "call_id": call_id, "account_id": "demo",
    }  # fmt: skip
    return jwt.encode(claims, KEY.key, algorithm="HS256", headers={"kid": KEY.kid})


@pytest.mark.parametrize(
    "make_token",
    [
        lambda call_id: "none",
        lambda call_id: "a.b.c",
        lambda call_id: token_for(call_id, signing=STRANGERS_KEY),
        lambda call_id: token_for(call_id, audience=Audience.CALLBACK),
        lambda call_id: token_for("another-call"),
        lambda call_id: expired_token(call_id, ago_s=3 * 3600),
        lambda call_id: jwt.encode({"call_id": call_id}, "", algorithm="none", headers={"kid": KEY.kid}),
    ],
    ids=["missing", "malformed", "forged", "callback", "other call", "expired", "unsigned"],
)
async def test_bad_token_is_401(gateway, make_token):
    call = gateway.answer()
    status, body = await gateway.refusal(call, token=make_token(call.call_id))

    assert status == 401
    assert json.loads(body)["status"] == 401
    assert call.call_id.encode() not in body
    assert not gateway.row(call).media_jti_used


async def test_clock_may_be_five_seconds_off(gateway):
    call = gateway.answer()
    socket = await gateway.open_socket(call, token=expired_token(call.call_id, ago_s=2))
    socket.close()


async def test_expired_token_is_let_in_and_loses_a_call_that_did_not_lose_its_media(gateway):
    """Media that begin again come with the URL of the answer; the row says whether they do."""
    call = gateway.answer()
    gateway.calls.rows[call.call_id] = bind_connection(
        replace(gateway.row(call), media_jti="jti"), call.call_connection_id
    )
    socket = await gateway.open_socket(call, token=expired_token(call.call_id, ago_s=10))
    await socket.until_closed()

    assert (socket.close_code, socket.close_reason) == (1008, "token_expired")
    assert gateway.row(call).epoch == 0


async def test_expired_token_gets_a_call_whose_media_were_asked_for(gateway):
    call = gateway.answer()
    gateway.calls.rows[call.call_id] = bind_connection(
        replace(gateway.row(call), media_jti="jti", media_grant_until=time.time() + 5),
        call.call_connection_id,
    )
    call.socket = await gateway.open_socket(call, token=expired_token(call.call_id, ago_s=10_000))
    call.socket.send_metadata(24_000)
    await gateway.until_streaming(call)


async def test_token_must_be_there(gateway):
    call = gateway.answer()
    assert (await gateway.refusal(call, path=f"/media/{call.call_id}"))[0] == 401


@pytest.mark.parametrize(
    "path", ["/", "/media", "/media/", "/media/a/b", "/other", "/media%2Fa", "/readyz/x"]
)
async def test_other_paths_are_404(gateway, path):
    assert (await gateway.refusal(gateway.answer(), path=path))[0] == 404


@pytest.mark.parametrize("value", ["", "x" * 129])
async def test_call_connection_id_must_be_one(gateway, value):
    assert (await gateway.refusal(gateway.answer(), headers={"x-ms-call-connection-id": value}))[0] == 401


async def test_a_load_tool_need_not_name_the_connection_of_a_call_that_is_bound_to_one(gateway):
    call = gateway.answer()
    gateway.calls.rows[call.call_id] = bind_connection(gateway.row(call), call.call_connection_id)
    call.socket = await gateway.open_socket(call, headers={})
    call.socket.send_metadata(24_000)
    await gateway.until_streaming(call)

    assert gateway.row(call).call_connection_id == call.call_connection_id


async def test_a_socket_that_names_no_connection_loses_a_call_that_is_bound_to_none(gateway):
    socket = await gateway.open_socket(gateway.answer(), headers={})
    await socket.until_closed()
    assert (socket.close_code, socket.close_reason) == (1008, "no_connection")


async def test_full_pod_is_503_and_has_room_again(agent):
    async with running_gateway(max_calls=1) as gateway:
        first = await gateway.place()
        await gateway.until_streaming(first)
        assert (await gateway.refusal(gateway.answer()))[0] == 503
        assert (await gateway.get("/readyz"))[1]["checks"]["room"] == "full"

        agent.sink.end()
        await gateway.until_over()
        await gateway.place()


async def test_stopping_pod_lets_nobody_in_and_says_so(agent):
    async with running_gateway() as gateway:
        call = await gateway.place()
        await gateway.until_streaming(call)
        gateway.calls.gate.clear()
        gateway.stop.set()
        await gateway.until(lambda: gateway.core.calls.is_draining)

        assert (await gateway.refusal(gateway.answer()))[0] == 503
        status, report = await gateway.get("/readyz")
        assert (status, report["checks"]["room"]) == (503, "stopping")
        assert (await gateway.get("/healthz"))[0] == 200
        load = gateway.outside.pods.loads["pod-a"]
        await gateway.until(lambda: gateway.outside.pods.loads["pod-a"] is not load)
        assert gateway.outside.pods.loads["pod-a"].capacity == 1
        gateway.calls.gate.set()


async def test_connection_header_may_be_a_list(gateway):
    call = gateway.answer()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.core.port)
    writer.write(
        f"GET /media/{call.call_id}?token={call.token} HTTP/1.1\r\nHost: gateway\r\n"
        "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-ms-call-connection-id: {uuid.uuid4()}\r\n\r\n".encode()
    )
    assert await reader.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
    writer.close()
    await writer.wait_closed()


async def test_request_that_is_no_upgrade_owns_nothing(gateway):
    call = gateway.answer()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.core.port)
    writer.write(
        f"GET /media/{call.call_id}?token={call.token} HTTP/1.1\r\nHost: gateway\r\n"
        f"x-ms-call-connection-id: {uuid.uuid4()}\r\n\r\n".encode()
    )
    assert (await reader.readline()).split()[1] == b"400"
    writer.close()
    await writer.wait_closed()
    assert len(gateway.core.calls) == 0


async def test_without_keys_nobody_is_let_in_until_they_are_read():
    outside = MemoryOutside()
    outside.vault.is_away = True
    async with running_gateway(outside=outside) as gateway:
        assert (await gateway.refusal(gateway.answer()))[0] == 503
        assert (await gateway.get("/readyz"))[1]["checks"]["keys"] == "not loaded"
        outside.vault.is_away = False
        await gateway.until(lambda: gateway.core.is_ready)
        await gateway.place()


async def test_key_newer_than_the_last_read_is_a_503_until_the_vault_is_read_again():
    """ACS is not told for good that a token is bad, while we cannot know it; nor does anybody wait for the vault."""
    async with running_gateway(token_keys=TokenKeyTimes(min_interval_s=0.3)) as gateway:
        vault, call = gateway.outside.vault, gateway.answer()
        vault.versions = [KEY, NEW_KEY]
        new = issued_in(1, token_for(call.call_id, signing=NEW_KEY), NEW_KEY)
        status, body = await gateway.refusal(call, token=new)
        assert (status, json.loads(body)["detail"]) == (503, "keys older than the token")
        await gateway.until(lambda: vault.reads == 2)
        socket = await gateway.open_socket(call, token=new)
        await socket.until_closed()  # its jti is not the call's


async def test_flood_of_unknown_keys_reads_the_vault_as_often_as_is_allowed_and_no_more():
    async with running_gateway(token_keys=TokenKeyTimes(min_interval_s=0.3)) as gateway:
        vault, call, started = gateway.outside.vault, gateway.answer(), time.monotonic()
        forged = issued_in(4, token_for(call.call_id, signing=NEW_KEY), NEW_KEY)
        while time.monotonic() - started < 1:
            assert (await gateway.refusal(call, token=forged))[0] == 503
        assert 2 <= vault.reads <= 1 + (time.monotonic() - started) / 0.3


async def test_key_that_was_not_there_after_the_token_was_made_is_a_401_and_costs_no_read(gateway):
    call = gateway.answer()
    forged = issued_in(-20, token_for(call.call_id, signing=NEW_KEY), NEW_KEY)
    for _ in range(20):
        status, body = await gateway.refusal(call, token=forged)
        assert (status, json.loads(body)["detail"]) == (401, "token: unknown_key")
    assert gateway.outside.vault.reads == 1


async def test_token_of_another_account_does_not_get_the_call(gateway):
    call = gateway.answer()
    jti = gateway.row(call).media_jti
    token = mint(Audience.MEDIA, call_id=call.call_id, account_id="another", jti=jti, signing=KEY)
    socket = await gateway.open_socket(call, token=token)
    await socket.until_closed()
    assert (socket.close_code, socket.close_reason) == (1008, "wrong_token")
    assert not gateway.row(call).media_jti_used


async def test_room_is_looked_at_last():
    """A stranger learns nothing of how full the pod is."""
    async with running_gateway(max_calls=1) as gateway:
        await gateway.place()
        call = gateway.answer()
        assert (await gateway.refusal(call, token="bad"))[0] == 401


class AcsKeys:
    """ACS's own key pair, as its tokens are signed and as the verifier finds them."""

    def __init__(self):
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.verifier = AcsTokenVerifier(ACS_TOKENS)
        self.kids = ["acs-1"]
        self.verifier.refresher._read = self.read

    async def read(self):
        await asyncio.sleep(0)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
        jwks = {"keys": [{**public, "kid": kid, "alg": "RS256", "use": "sig"} for kid in self.kids]}
        self.verifier._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(jwks).keys}

    def header(self, kid="acs-1", **changes):
        now = int(time.time())
        claims = {"iss": "acs", "aud": "resource", "exp": now + 86_400, **changes}
        return "Bearer " + jwt.encode(claims, self.private, algorithm="RS256", headers={"kid": kid})


async def test_where_acs_proves_itself_it_names_the_connection_too():
    keys = AcsKeys()
    outside = MemoryOutside(acs_tokens=keys.verifier)
    async with running_gateway(outside=outside, acs_tokens=ACS_TOKENS) as gateway:
        headers = {"Authorization": keys.header()}
        assert (await gateway.refusal(gateway.answer(), headers=headers))[0] == 401


async def test_acs_proves_itself_where_that_is_configured():
    keys = AcsKeys()
    outside = MemoryOutside(acs_tokens=keys.verifier)
    async with running_gateway(outside=outside, acs_tokens=ACS_TOKENS) as gateway:
        call = gateway.answer()
        connection = {"x-ms-call-connection-id": call.call_connection_id}
        for bad in (
            {},
            {"Authorization": "Bearer nonsense"},
            {"Authorization": keys.header(aud="another-resource")},
            {"Authorization": keys.header(iss="somebody")},
            {"Authorization": keys.header(exp=int(time.time()) - 3600)},
            {"Authorization": keys.header(kid="acs-2", iat=int(time.time()) - 20)},
        ):
            assert (await gateway.refusal(call, headers=connection | bad))[0] == 401
        newer = {"Authorization": keys.header(kid="acs-2")}
        assert (await gateway.refusal(call, headers=connection | newer))[0] == 503
        await gateway.open_socket(call, headers=connection | {"Authorization": keys.header()})
        await gateway.until(lambda: gateway.row(call).media_jti_used)
    await keys.verifier.refresher.close()


async def test_checks_take_no_time_worth_speaking_of(gateway):
    """They run on the loop that carries every call's audio."""
    call = gateway.answer()

    request = SimpleNamespace(
        path=f"/media/{call.call_id}?token={call.token}".encode(),
        headers={"x-ms-call-connection-id": call.call_connection_id},
    )
    admission = gateway.core._server._admission
    assert isinstance(admission, Admission)
    started = time.perf_counter()
    for _ in range(100):
        admission.check(request)
    assert (time.perf_counter() - started) / 100 < 0.005
