"""The attack table over HTTP, against the callback edge and the media socket: each is started once for all of it."""

import base64
import json
from urllib.parse import quote

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from yarl import URL

from shared.config import AcsTokenSettings
from shared.metrics import Metrics
from shared.security.acs_jwt import AcsTokenVerifier
from shared.security.keyring import CALLBACK_KEY_SECRET, MEDIA_KEY_SECRET
from shared.security.tokens import Audience, SigningKey
from tests.support.attacks import ACS_ATTACKS, ATTACKS, AcsTarget, Target
from tests.support.media import KEY, MemoryOutside, running_gateway
from tests.support.records import call_record, data_bytes


async def added(edge, secret, filler):
    """A new version of a secret."""
    key = filler * 32
    name = await edge.connections.vault.add_version(secret, base64.b64encode(key).decode())
    return SigningKey(name, key)


async def test_no_attack_passes_the_callback_edge(edge):
    record = call_record()
    await edge.connections.calls.create(record)
    disabled = await added(edge, CALLBACK_KEY_SECRET, b"d")
    await edge.connections.vault.disable_version(CALLBACK_KEY_SECRET, disabled.kid)
    target = Target(
        audience=Audience.CALLBACK,
        signing=await added(edge, CALLBACK_KEY_SECRET, b"k"),
        call_id=record.call_id,
        jti="j",
        disabled=disabled,
        other_secret=await added(edge, MEDIA_KEY_SECRET, b"m"),
        second=await added(edge, CALLBACK_KEY_SECRET, b"s"),
    )
    identity = edge.emulator.identity
    url = f"{edge.host.url}/mg-genagent-acs/v1/calls/{record.call_id}/events"
    acs = f"Bearer {identity.callback_token()}"
    reader = InMemoryMetricReader()

    async def post(query, authorization=acs, path=url, name="call_connected", **headers):
        headers = {"Authorization": authorization} | headers
        body = data_bytes(f"callbacks/{name}.json")
        async with edge.http.post(URL(path + query, encoded=True), data=body, headers=headers) as response:
            return response.status

    assert await post(f"?token={quote(target.good())}", name="unknown_type") == 200
    from functions.process import PROCESS  # imported anew for each app

    (await PROCESS.gateway()).callbacks._metrics = Metrics(MeterProvider([reader]).get_meter("test"))
    accepted, sent = [], 0
    for name, attack in ATTACKS.items():
        sent += 1
        status = await post(f"?token={quote(attack.make(target))}")
        if status != 401:
            accepted.append((name, status))
    good = quote(target.good())
    acs_target = AcsTarget(
        edge.emulator.settings.resource_id, identity.issuer, identity._key_id, identity._key, target.good()
    )
    for name, (make, _) in ACS_ATTACKS.items():
        sent += 1
        if (status := await post(f"?token={good}", make(acs_target))) != 401:
            accepted.append((f"ACS: {name}", status))
    others = {
        "two tokens, the good one first": (await post(f"?token={good}&token=x"), 401),
        "two tokens, the good one last": (await post(f"?token=x&token={good}"), 401),
        "the token in a header": (await post("", token=target.good()), 401),
        "ours as ACS's and none as ours": (await post("", f"Bearer {target.good()}"), 401),
        "ACS's as ours": (await post(f"?token={acs.removeprefix('Bearer ')}"), 401),
        "token of another call": (await post(f"?token={quote(target.token(call_id='another'))}"), 403),
        "token of the call in upper case": (
            await post(f"?token={quote(target.token(call_id=record.call_id.upper()))}"), 403,
        ),
        "token of another account": (await post(f"?token={quote(target.token(account_id='another'))}"), 403),
        "the token in upper case": (await post(f"?TOKEN={good.upper()}"), 401),
    }  # fmt: skip
    accepted += [(name, got) for name, (got, wanted) in others.items() if got != wanted]
    assert accepted == []
    # None of it left a trace, and each refusal was counted under a reason of the fixed list.
    stored = await edge.connections.calls.get(record.call_id)
    assert stored is not None
    assert [event.name for event in await edge.connections.calls.events(record.call_id)] == ["SomethingNew"]
    (metric,) = (
        metric
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
    counted = {point.attributes["reason"]: point.value for point in metric.data.data_points}
    assert sum(counted.values()) == sent + len(others)
    assert {"unknown_key", "expired", "bad_signature", "other_call", "other_account", "acs_expired"} <= set(
        counted
    )
    assert await post(f"?token={good}") == 200


ACS = AcsTokenSettings("resource", "acs", "http://127.0.0.1:1", on_callbacks=True, on_media=True)


@pytest.fixture
async def acs_keys():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    verifier = AcsTokenVerifier(ACS)

    async def read():
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
        jwks = {"keys": [{**public, "kid": "acs-1", "alg": "RS256", "use": "sig"}]}
        verifier._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(jwks).keys}

    verifier.refresher._read = read
    yield AcsTarget("resource", "acs", "acs-1", key, ""), verifier
    await verifier.refresher.close()


async def test_no_attack_passes_the_media_socket_s_upgrade(acs_keys):
    acs, verifier = acs_keys
    outside = MemoryOutside(acs_tokens=verifier)
    second = SigningKey("f" * 32, b"f" * 32)
    outside.vault.versions = [KEY, second]
    async with running_gateway(outside=outside, acs_tokens=ACS) as gateway, aiohttp.ClientSession() as http:
        call = gateway.answer()
        target = Target(Audience.MEDIA, KEY, call.call_id, gateway.row(call).media_jti, second=second)
        fields = {
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "x-ms-call-connection-id": call.call_connection_id,
        }  # fmt: skip

        async def upgrade(query, authorization=None, path=f"/media/{call.call_id}", **headers):
            headers = {**fields, "Authorization": authorization or acs.bearer(), **headers}
            async with http.get(
                URL(f"http://{gateway.url}{path}{query}", encoded=True), headers=headers
            ) as answer:
                return answer.status

        accepted = []
        for name, attack in ATTACKS.items():
            if name == "expired just past the leeway":
                continue  # let in: what the row says of such a socket, `test_ownership.py` has
            if (status := await upgrade(f"?token={quote(attack.make(target))}")) != 401:
                accepted.append((name, status))
        good = quote(target.good())
        for name, (make, _) in ACS_ATTACKS.items():
            headers = make(acs) if name != "ours" else f"Bearer {target.good()}"
            if (status := await upgrade(f"?token={good}", headers or "none")) != 401:
                accepted.append((f"ACS: {name}", status))
        others = {
            "two tokens, the good one first": await upgrade(f"?token={good}&token=x"),
            "two tokens, the good one last": await upgrade(f"?token=x&token={good}"),
            "the token in a header": await upgrade("", token=target.good()),
            "ACS's as ours": await upgrade(f"?token={acs.bearer().removeprefix('Bearer ')}"),
            "token of another call": await upgrade(f"?token={quote(target.token(call_id='another'))}"),
            "another call with this one's token": await upgrade(f"?token={good}", path="/media/another"),
            "the call in upper case": await upgrade(f"?token={good}", path=f"/media/{call.call_id.upper()}"),
        }
        accepted += [(name, status) for name, status in others.items() if status != 401]
        assert accepted == []
        assert not gateway.row(call).media_jti_used
        headers = {"x-ms-call-connection-id": call.call_connection_id, "Authorization": acs.bearer()}
        await gateway.open_socket(call, headers=headers)
        await gateway.until(lambda: gateway.row(call).media_jti_used)
        replayed = await gateway.open_socket(call, headers=headers | {"x-ms-call-connection-id": "another"})
        await replayed.until_closed()
        assert (replayed.close_code, replayed.close_reason) == (1008, "wrong_connection")
        assert gateway.row(call).epoch == 1


def test_the_table_is_as_long_as_it_is_said_to_be():
    assert len(ATTACKS) >= 80
    assert len(ACS_ATTACKS) >= 20
