"""Clients of Web PubSub: the real client package with either subprotocol, and what each frame does."""

import asyncio
import itertools

import pytest
from azure.messaging.webpubsubclient import WebPubSubClient as SyncWebPubSubClient
from azure.messaging.webpubsubclient.models import CallbackType, SendMessageError, WebPubSubDataType

from emulator.web_pubsub import wire
from emulator.web_pubsub.connections import MAX_UNACKNOWLEDGED
from tests.emulated.emulator.web_pubsub.conftest import ALL_ROLES, GROUP, HUB, PLAIN, RELIABLE, until

SEND = {"type": "sendToGroup", "group": GROUP, "dataType": "text", "data": "text"}


@pytest.mark.parametrize("protocol", [RELIABLE, PLAIN])
async def test_pod_gets_what_is_sent_to_its_group(server, open_pod, protocol):
    pod = await open_pod(server, protocol_type=protocol)

    await server("send_to_group", GROUP, {"call": "c-1"})
    await server("send_to_user", "pod-1", "a text", content_type="text/plain")
    await server("send_to_all", b"\x00\xff", content_type="application/octet-stream")

    await pod.gets({"call": "c-1"}, "a text", b"\x00\xff")
    assert pod.received[0].group == GROUP
    assert [event.sequence_id for event in pod.received] == (
        [1, 2, 3] if protocol == RELIABLE else [None] * 3
    )


async def test_synchronous_client_works_too(server):
    url = await server.access(roles=list(ALL_ROLES))
    received = []

    def talk():
        # It waits for answers that came before it waits until its time-out, and takes them then.
        client = SyncWebPubSubClient(url, ack_timeout=0.2, start_timeout=0.2)
        client.subscribe(CallbackType.GROUP_MESSAGE, lambda event: received.append(event.data))
        client.open()
        client.join_group(GROUP)
        client.send_to_group(GROUP, {"a": 1}, WebPubSubDataType.JSON)
        client.leave_group(GROUP)
        client.close()

    await asyncio.to_thread(talk)

    assert received == [{"a": 1}]


async def test_pods_talk_to_each_other(server, open_pod):
    first = await open_pod(server, user_id="first", groups=[])
    second = await open_pod(server, user_id="second", groups=[])
    for pod in (first, second):
        await pod.client.join_group("all")

    await first.client.send_to_group("all", {"a": 1}, WebPubSubDataType.JSON)
    await first.client.send_to_group("all", memoryview(b"\xff"), WebPubSubDataType.BINARY, no_echo=True)
    await second.client.send_to_group("all", "text", WebPubSubDataType.TEXT, ack=False)

    await first.gets({"a": 1}, "text")
    await second.gets({"a": 1}, b"\xff", "text")
    assert [event.from_user_id for event in second.received] == ["first", "first", "second"]


async def test_client_that_leaves_a_group_gets_nothing_more_of_it(server, open_pod):
    pod = await open_pod(server)

    await pod.client.leave_group(GROUP)

    await server("send_to_group", GROUP, "not for it")
    await server("send_to_user", "pod-1", "for it")
    await pod.gets("for it")


@pytest.mark.parametrize(
    ("roles", "joins", "sends"),
    [
        ([], False, False),
        (["webpubsub.joinLeaveGroup"], True, False),
        (["webpubsub.sendToGroup"], False, True),
        ([f"webpubsub.joinLeaveGroup.{GROUP}", f"webpubsub.sendToGroup.{GROUP}"], True, True),
        (["webpubsub.joinLeaveGroup.pod", "webpubsub.sendToGroup.pod"], False, False),
        (["joinLeaveGroup", "sendToGroup"], False, False),
    ],
)
async def test_roles_say_what_a_client_may_do(server, open_raw, roles, joins, sends):
    client = await open_raw(await server.access(roles=roles), PLAIN)
    await client.next()

    joined = await client.ask(type="joinGroup", group=GROUP, ackId=1)
    left = await client.ask(type="leaveGroup", group=GROUP, ackId=2)
    sent = await client.ask(**SEND, ackId=3)

    assert [ack["success"] for ack in (joined, left, sent)] == [joins, joins, sends]
    assert {ack["error"]["name"] for ack in (joined, sent) if not ack["success"]} <= {"Forbidden"}
    assert await server("group_exists", GROUP) is False


async def test_real_client_hears_that_it_may_not(server, open_pod):
    pod = await open_pod(server, roles=[])
    pod.client._message_retry_policy.retry_total = 0

    with pytest.raises(SendMessageError) as refused:
        await pod.client.join_group("other")

    assert refused.value.error_detail.name == "Forbidden"


async def test_frame_of_the_same_number_has_its_effect_once(server, open_raw):
    client = await open_raw(await server.access(roles=list(ALL_ROLES), groups=[GROUP]), RELIABLE)
    await client.next()

    assert (await client.ask(**SEND, ackId=7))["type"] == "message"
    assert await client.next() == {"type": "ack", "ackId": 7, "success": True}
    again = await client.ask(**SEND, ackId=7)

    assert (again["success"], again["error"]["name"]) == (False, "Duplicate")
    assert (await client.ask(type="ping")) == {"type": "pong"}


async def test_frame_without_a_number_is_not_acknowledged(server, open_raw):
    client = await open_raw(await server.access(), PLAIN)
    await client.next()

    await client.send(**SEND)

    assert await client.ask(type="ping") == {"type": "pong"}


async def test_event_finds_no_handler_and_can_be_looked_at(server, open_raw, acs_emulator):
    client = await open_raw(await server.access(user_id="a"), PLAIN)
    await client.next()

    ack = await client.ask(type="event", event="moved", dataType="json", data={"x": 1}, ackId=1)

    assert (ack["success"], ack["error"]["name"]) == (False, "InternalServerError")
    [event] = acs_emulator.web_pubsub.messages(HUB)
    assert (event.to, event.name, event.from_user_id, event.content.shown()) == (
        "event",
        "moved",
        "a",
        {"x": 1},
    )


async def test_frames_without_a_subprotocol_are_events(server, open_raw, acs_emulator):
    client = await open_raw(await server.access())

    await client.socket.send_str("text")
    await client.socket.send_bytes(b"\xff")

    await until(lambda: len(acs_emulator.web_pubsub.messages()) == 2)
    assert [event.content.data for event in acs_emulator.web_pubsub.messages()] == [b"text", b"\xff"]


@pytest.mark.parametrize(
    "frame",
    [
        "{",
        "[]",
        '"\\ud800"',
        '{"type": "unknown"}',
        '{"type": "joinGroup"}',
        '{"type": "joinGroup", "group": ""}',
        '{"type": "joinGroup", "group": "a", "ackId": "1"}',
        '{"type": "joinGroup", "group": "a", "ackId": -1}',
        '{"type": "sequenceAck"}',
        '{"type": "sendToGroup", "group": "a", "dataType": "text", "data": 1}',
        '{"type": "sendToGroup", "group": "a", "dataType": "binary", "data": "?"}',
        '{"type": "sendToGroup", "group": "a", "dataType": "binary", "data": "ü"}',
        '{"type": "event", "event": "a", "dataType": "xml", "data": ""}',
        '{"type": "event", "event": "a", "dataType": "json", "data": ' + "[" * 65 + "]" * 65 + "}",
        "[" * 100_000,
        b"binary",
    ],
)
async def test_rubbish_ends_the_connection(server, open_raw, acs_emulator, frame):
    client = await open_raw(await server.access(roles=list(ALL_ROLES)), RELIABLE)
    await client.next()

    await (client.socket.send_str(frame) if isinstance(frame, str) else client.socket.send_bytes(frame))

    told = await client.next()
    assert (told["event"], "not valid" in told["message"]) == ("disconnected", True)
    assert await client.closed_with() == 1008
    assert acs_emulator.web_pubsub.connections() == []


async def test_message_above_the_limit_closes_the_socket(server, open_raw):
    client = await open_raw(await server.access(), PLAIN)
    await client.next()

    await client.socket.send_str("x" * (1024 * 1024 + 1))

    assert await client.closed_with() == 1009


async def test_client_that_says_goodbye_is_gone_at_once(server, open_raw):
    client = await open_raw(await server.access(groups=[GROUP]), RELIABLE)
    await client.next()

    await client.socket.close()

    assert not await server("group_exists", GROUP)


async def test_client_that_confirms_nothing_is_closed_in_the_end(server, open_raw, acs_emulator):
    client = await open_raw(await server.access(user_id="a", roles=list(ALL_ROLES), groups=[GROUP]), RELIABLE)
    await client.next()

    for _ in range(MAX_UNACKNOWLEDGED):
        await client.send(**SEND)
    last = [await client.next() for _ in range(MAX_UNACKNOWLEDGED)][-1]
    assert last["sequenceId"] == MAX_UNACKNOWLEDGED
    await client.send(**SEND)

    assert (await client.next())["event"] == "disconnected"
    assert await client.closed_with() == 1008
    assert acs_emulator.web_pubsub.overflowed == 1


async def test_confirmed_messages_make_room(server, open_raw, acs_emulator):
    client = await open_raw(await server.access(roles=list(ALL_ROLES), groups=[GROUP]), RELIABLE)
    await client.next()

    for number in range(1, MAX_UNACKNOWLEDGED + 2):
        await client.send(**SEND)
        assert (await client.next())["sequenceId"] == number
        await client.send(type="sequenceAck", sequenceId=number)

    await client.ask(type="ping")
    assert acs_emulator.web_pubsub.connections()[0].unacknowledged == ()


async def test_client_that_reads_too_slowly_is_cut(server, open_raw, acs_emulator, monkeypatch):
    monkeypatch.setattr(wire, "MAX_QUEUED_FRAMES", 20)
    slow = await open_raw(await server.access(groups=[GROUP]), PLAIN)
    sender = await open_raw(await server.access(roles=list(ALL_ROLES)), PLAIN)
    await slow.next()
    await sender.next()

    numbers = itertools.count()
    # How many the buffers of both sides take as well is the system's affair.
    while not acs_emulator.web_pubsub.overflowed:
        await sender.ask(**{**SEND, "data": "x" * 100_000}, ackId=next(numbers))

    assert acs_emulator.web_pubsub.overflowed == 1
    await until(lambda: len(acs_emulator.web_pubsub.connections()) == 1)
