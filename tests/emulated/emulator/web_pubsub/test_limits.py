"""What is kept for clients and for people has a limit: what happens there."""

import asyncio
import json

import pytest

from emulator.faults import Faults
from emulator.web_pubsub import wire as wires
from emulator.web_pubsub.connections import MAX_ACK_IDS, MAX_UNACKNOWLEDGED, Connection, Overflow, Target
from emulator.web_pubsub.content import Content, DataType, Message
from emulator.web_pubsub.frames import Subprotocol
from emulator.web_pubsub.pubsub import WebPubSub
from emulator.web_pubsub.sent import MAX_SENT
from emulator.web_pubsub.tokens import Claims
from emulator.web_pubsub.wire import MAX_QUEUED_FRAMES, Close, Wire
from tests.emulated.emulator.web_pubsub.conftest import HUB

MESSAGE = Message(Content(DataType.TEXT, b"text"))


@pytest.fixture
def connection():
    return Connection("id", HUB, Subprotocol.RELIABLE, Claims(), "token")


def numbers(connection):
    return [json.loads(frame)["sequenceId"] for frame in connection.unacknowledged]


def test_so_many_messages_may_be_unconfirmed_and_no_more(connection):
    for _ in range(MAX_UNACKNOWLEDGED):
        connection.frame(MESSAGE)
    with pytest.raises(Overflow):
        connection.frame(MESSAGE)

    connection.acknowledge(MAX_UNACKNOWLEDGED - 1)

    assert json.loads(connection.frame(MESSAGE))["sequenceId"] == MAX_UNACKNOWLEDGED + 1
    assert numbers(connection) == [MAX_UNACKNOWLEDGED, MAX_UNACKNOWLEDGED + 1]


def test_confirming_what_never_was_or_was_confirmed_before_is_no_fault(connection):
    for _ in range(3):
        connection.frame(MESSAGE)

    for number in (2, 0, 1, 2):
        connection.acknowledge(number)
    assert numbers(connection) == [3]
    connection.acknowledge(10**30)
    assert numbers(connection) == []


def test_numbers_of_old_frames_are_forgotten(connection):
    for number in range(MAX_ACK_IDS + 1):
        connection.remember_done(number)

    assert not connection.has_done(0)
    assert connection.has_done(1)


def test_plain_client_has_nothing_to_confirm():
    plain = Connection("id", HUB, Subprotocol.JSON, Claims(), None)

    for _ in range(MAX_UNACKNOWLEDGED + 1):
        assert "sequenceId" not in json.loads(plain.frame(MESSAGE))
    assert plain.unacknowledged == ()


def test_wire_that_is_full_is_cut():
    cuts = []
    wire = Wire(lambda: cuts.append(1))

    assert all(wire.put("frame") for _ in range(MAX_QUEUED_FRAMES))
    assert cuts == []
    assert not wire.put(Close(1008, ""))
    assert cuts == [1]


async def test_wire_to_a_client_that_takes_nothing_is_cut(monkeypatch):
    monkeypatch.setattr(wires, "SEND_SECONDS", 0.0)

    class Stuck:
        async def send_str(self, _):
            await asyncio.Event().wait()

    cuts = []
    wire = Wire(lambda: cuts.append(1))
    wire.put("frame")

    assert await wire.pump(Stuck()) is None
    assert cuts == [1]


def test_only_so_many_messages_are_remembered():
    service = WebPubSub(Faults(), recovery_seconds=30.0)

    for number in range(MAX_SENT + 2):
        service.send(HUB, Target(HUB), Content(DataType.TEXT, str(number).encode()))

    assert service.forgotten_messages == 2
    assert next(iter(service.messages())).content.data == b"2"
