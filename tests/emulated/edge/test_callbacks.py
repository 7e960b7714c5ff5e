"""What ACS says of a call is proved, kept once, and applied."""

import asyncio
import base64
import json
import uuid
from dataclasses import replace

import pytest

from emulator.faults import Status
from shared.core.call_state import CallState, Cause
from shared.core.ids import new_call_id
from shared.security.keyring import CALLBACK_KEY_SECRET, MEDIA_KEY_SECRET, Keyring
from shared.security.tokens import Audience, SigningKey, mint
from tests.support.records import CONNECTION_ID, call_record, data_bytes, data_json


class Callbacks:
    """Sends callbacks as ACS does, or nearly so."""

    def __init__(self, edge, record, token, acs_token):
        self.edge, self.record, self.token, self.acs_token = edge, record, token, acs_token

    async def send(self, body, *, call_id=None, token=None, authorization=None):
        url = f"{self.edge.host.url}/mg-genagent-acs/v1/calls/{call_id or self.record.call_id}/events"
        headers = {"Authorization": f"Bearer {self.acs_token}" if authorization is None else authorization}
        params = {"token": self.token if token is None else token}
        async with self.edge.http.post(url, data=body, params=params, headers=headers) as response:
            return response.status, json.loads(await response.read() or b"null")

    async def kept(self):
        return [event.name for event in await self.edge.connections.calls.events(self.record.call_id)]

    async def call(self):
        record = await self.edge.connections.calls.get(self.record.call_id)
        assert record is not None
        return record


async def minted(edge, call_id, secret=CALLBACK_KEY_SECRET, audience=Audience.CALLBACK):
    key = await Keyring(edge.connections.vault, secret).signing_key()
    return mint(audience, call_id=call_id, account_id="demo", jti=uuid.uuid4().hex, signing=key)


@pytest.fixture
async def callbacks(edge):
    record = call_record()
    await edge.connections.calls.create(record)
    return Callbacks(
        edge, record, await minted(edge, record.call_id), edge.emulator.identity.callback_token()
    )


async def test_a_callback_is_kept_and_applied(callbacks):
    for name in ("call_connected", "participants_updated", "call_disconnected"):
        assert await callbacks.send(data_bytes(f"callbacks/{name}.json")) == (200, None)
    assert await callbacks.kept() == ["CallConnected", "ParticipantsUpdated", "CallDisconnected"]
    call = await callbacks.call()
    assert (call.state, call.cause, call.call_connection_id) == (
        CallState.ENDED,
        Cause.CALLER_HUNG_UP,
        CONNECTION_ID,
    )


async def test_a_callback_that_comes_many_times_at_once_is_kept_once(callbacks):
    body = data_bytes("callbacks/call_connected.json")
    answers = await asyncio.gather(*(callbacks.send(body) for _ in range(6)))
    assert {status for status, _ in answers} == {200}
    assert await callbacks.kept() == ["CallConnected"]
    assert [entry.refused for entry in (await callbacks.call()).history] == [False]


@pytest.mark.parametrize("are_others_left", [True, False], ids=["another pod is left", "none is left"])
async def test_media_that_fail_after_their_pod_died_are_asked_for_here_only_where_no_pod_is_left(
    callbacks, are_others_left
):
    connections = callbacks.edge.connections
    await connections.calls.change(
        callbacks.record.call_id, lambda r: replace(r, owner="pod-dead", state=CallState.STREAMING, epoch=1)
    )
    if not are_others_left:
        for pod in await connections.pods.since(0):
            await connections.pods.remove(pod.name)
    assert (await callbacks.send(data_bytes("callbacks/media_streaming_failed.json")))[0] == 200
    call = await callbacks.call()
    assert (call.state, call.cause) == (CallState.INTERRUPTED, None)
    assert bool(call.media_asked) is not are_others_left
    # The emulator does not know the call: that it is over, ACS tells by another callback.
    assert len(callbacks.edge.emulator.requests("startMediaStreaming")) == (not are_others_left)


async def test_unknown_types_are_kept(callbacks):
    assert (await callbacks.send(data_bytes("callbacks/unknown_type.json")))[0] == 200
    assert await callbacks.kept() == ["SomethingNew"]


async def test_a_late_callback_of_an_ended_call_is_harmless(callbacks):
    await callbacks.send(data_bytes("callbacks/call_disconnected.json"))
    assert (await callbacks.send(data_bytes("callbacks/call_connected.json")))[0] == 200
    assert (await callbacks.call()).state is CallState.ENDED


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
async def test_without_a_good_token_of_ours_it_is_refused(callbacks, token):
    assert (await callbacks.send(data_bytes("callbacks/call_connected.json"), token=token))[0] == 401
    assert await callbacks.kept() == []


async def test_a_media_token_is_no_callback_token(callbacks):
    token = await minted(callbacks.edge, callbacks.record.call_id, MEDIA_KEY_SECRET, Audience.MEDIA)
    assert (await callbacks.send(data_bytes("callbacks/call_connected.json"), token=token))[0] == 401


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense", "Basic abc"])
async def test_without_acs_own_token_it_is_refused(callbacks, authorization):
    body = data_bytes("callbacks/call_connected.json")
    assert (await callbacks.send(body, authorization=authorization))[0] == 401


async def test_another_call_s_token_is_forbidden(callbacks):
    token = await minted(callbacks.edge, new_call_id())
    status, problem = await callbacks.send(data_bytes("callbacks/call_connected.json"), token=token)
    assert (status, problem["detail"]) == (403, "the token is for another call")


async def test_another_connection_s_event_is_forbidden_and_not_kept(callbacks):
    await callbacks.send(data_bytes("callbacks/call_connected.json"))
    body = data_json("callbacks/call_disconnected.json")
    body[0]["data"]["callConnectionId"] = str(uuid.uuid4())
    assert (await callbacks.send(json.dumps(body)))[0] == 403
    assert await callbacks.kept() == ["CallConnected"]


async def test_a_call_that_is_not_there_is_not_found(callbacks):
    call_id = new_call_id()
    status, _ = await callbacks.send(
        data_bytes("callbacks/call_connected.json"),
        call_id=call_id,
        token=await minted(callbacks.edge, call_id),
    )
    assert status == 404


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b"[{}]", b"[" * 50_000])
async def test_a_malformed_callback_is_refused(callbacks, body):
    assert (await callbacks.send(body))[0] == 400


async def test_storage_that_is_away_is_a_503(start_edge, unused_tcp_port_factory):
    port = unused_tcp_port_factory()
    gone = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5;"
        f"TableEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    )
    edge = await start_edge(STORAGE_CONNECTION_STRING=gone)
    record = call_record()
    callbacks = Callbacks(
        edge, record, await minted(edge, record.call_id), edge.emulator.identity.callback_token()
    )
    status, problem = await callbacks.send(data_bytes("callbacks/call_connected.json"))
    assert (status, problem["title"]) == (503, "Service Unavailable")


async def test_a_key_newer_than_the_last_read_is_waited_for(start_edge):
    edge = await start_edge(TOKEN_KEY_SIGNING_AGE_S="1", TOKEN_KEY_REFRESH_S="0.4")
    record = call_record()
    await edge.connections.calls.create(record)
    callbacks = Callbacks(
        edge, record, await minted(edge, record.call_id), edge.emulator.identity.callback_token()
    )
    assert (await callbacks.send(data_bytes("callbacks/call_connected.json")))[0] == 200
    secret = base64.b64encode(b"n" * 32).decode()
    version = await edge.connections.vault.add_version(CALLBACK_KEY_SECRET, secret)
    token = mint(
        Audience.CALLBACK, call_id=record.call_id, account_id="demo", jti="j",
        signing=SigningKey(version, b"n" * 32),
    )  # fmt: skip
    assert (await callbacks.send(data_bytes("callbacks/call_disconnected.json"), token=token))[0] == 200


async def test_a_key_that_cannot_be_read_is_a_503_never_a_refusal(start_edge):
    edge = await start_edge(TOKEN_KEY_SIGNING_AGE_S="1", TOKEN_KEY_REFRESH_S="0.4")
    record = call_record()
    await edge.connections.calls.create(record)
    callbacks = Callbacks(
        edge, record, await minted(edge, record.call_id), edge.emulator.identity.callback_token()
    )
    assert (await callbacks.send(data_bytes("callbacks/call_connected.json")))[0] == 200
    edge.emulator.faults.fail_next("key_vault.listSecretVersions", Status(status=403), times=100)
    newer = mint(
        Audience.CALLBACK, call_id=record.call_id, account_id="demo", jti="j",
        signing=SigningKey("0" * 32, b"n" * 32),
    )  # fmt: skip
    body = data_bytes("callbacks/call_disconnected.json")
    assert (await callbacks.send(body, token=newer))[0] == 503
    assert (await callbacks.send(body))[0] == 200  # keys that are known go on


async def test_a_token_of_another_account_is_forbidden_and_changes_nothing(callbacks):
    key = await Keyring(callbacks.edge.connections.vault, CALLBACK_KEY_SECRET).signing_key()
    token = mint(
        Audience.CALLBACK, call_id=callbacks.record.call_id, account_id="another", jti="j", signing=key
    )
    status, problem = await callbacks.send(data_bytes("callbacks/call_connected.json"), token=token)
    assert (status, problem["detail"]) == (403, "the token is for another account")
    assert await callbacks.kept() == []
    assert (await callbacks.call()).call_connection_id is None
