"""What the rules make of a message to the application: when it is sent, how often, and how it is spoiled."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar, assert_never

import msgspec

from emulator.faults.registry import Faults, Occasion, Strike
from emulator.faults.rules import Delay, Drop, Duplicate, Malformation, Pause, Reorder, When
from emulator.tasks import Tasks

Sent = TypeVar("Sent")
Message = TypeVar("Message")


async def wait_as_told(faults: Faults, strike: Strike | None, occasion: Occasion) -> bool:
    """Wait as long as the strike wants; False when the message is not to be sent at all."""
    match strike and strike.action:
        case Delay(ms=ms):
            await asyncio.sleep(ms / 1000)
        case Reorder(within_ms=within_ms) if strike is not None:
            await asyncio.sleep(strike.draw * within_ms / 1000)
        case Pause():
            return await faults.hold(occasion, When.BEFORE)
        case Drop():
            return False
    return True


async def send_as_often_as_told(
    strike: Strike | None, send: Callable[[], Awaitable[Sent]], tasks: Tasks
) -> Sent:
    """Send once or more often; what comes of the first counts.

    Args:
        strike: of this attempt.
        send: sends one copy.
        tasks: own the copies that are sent later.
    """
    match strike and strike.action:
        case Duplicate(copies=copies, after_ms=0):
            first, *_ = await asyncio.gather(*(send() for _ in range(copies)))
            return first
        case Duplicate(copies=copies, after_ms=after_ms):
            for number in range(1, copies):
                tasks.start(_send_later(number * after_ms / 1000, send), name="fault-duplicate")
    return await send()


async def _send_later(seconds: float, send: Callable[[], Awaitable[object]]) -> None:
    await asyncio.sleep(seconds)
    await send()


class Gathering(Generic[Message]):
    """Brings messages of separate origin together that go to the same address."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, tuple[list[Message], asyncio.Event]] = {}

    async def join(
        self, address: Hashable, message: Message, *, size: int, within_seconds: float
    ) -> list[Message] | None:
        """Wait for company: the first of a group gets all messages to send, the others get None at once."""
        waiting = self._groups.get(address)
        if waiting is not None:
            messages, full = waiting
            messages.append(message)
            if len(messages) >= size:
                del self._groups[address]
                full.set()
            return None
        messages, full = self._groups[address] = ([message], asyncio.Event())
        try:
            async with asyncio.timeout(within_seconds):
                await full.wait()
        except TimeoutError:
            pass
        finally:
            if self._groups.get(address, (None,))[0] is messages:
                del self._groups[address]
        return messages


def malformed(envelopes: list[dict[str, Any]] | dict[str, Any], variant: Malformation) -> bytes:
    """The body of a message, spoiled.

    Args:
        envelopes: one event, or an array of them.
        variant: how to spoil it.
    """
    whole = msgspec.json.encode(envelopes)
    if variant is Malformation.TRUNCATED:
        return whole[: len(whole) // 2]
    if isinstance(envelopes, dict):
        return msgspec.json.encode(_spoiled(envelopes, variant))
    return msgspec.json.encode([_spoiled(envelope, variant) for envelope in envelopes])


def _spoiled(envelope: dict[str, Any], variant: Malformation) -> dict[str, Any]:
    data = envelope.get("data")
    match variant:
        case Malformation.WRONG_TYPES:
            members = dict.fromkeys(data, 17) if isinstance(data, dict) else 17
            return {**envelope, "id": 17, "data": members}
        case Malformation.MISSING_DATA:
            return {name: value for name, value in envelope.items() if name != "data"}
        case Malformation.UNKNOWN_ENVELOPE:
            return {"schema": "3.0", "kind": envelope.get("eventType", envelope.get("type")), "payload": data}
        case Malformation.TRUNCATED:
            raise ValueError("only whole bodies are truncated")
        case _:
            assert_never(variant)
