"""The stand-in of a realtime voice service: as a server in the test's own event loop, or its session alone."""

import base64
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from emulator.realtime.core import SessionCore
from emulator.realtime.dialects import Dialect
from emulator.realtime.service import RealtimeService
from emulator.realtime.settings import Behaviour, RealtimeSettings, Trouble

FRAME_MS = 20
RATE_HZ = 24_000


@asynccontextmanager
async def running_realtime_service(
    behaviour: Behaviour | str = Behaviour.SILENT, *, troubles: Iterable[str] = (), **changes: Any
) -> AsyncIterator[RealtimeService]:
    """Run a service; it is silent unless told otherwise, so that a test says all that is said.

    Args:
        behaviour: of every session.
        troubles: what goes wrong.
        changes: further fields of `RealtimeSettings`.
    """
    service = RealtimeService(settings(behaviour, troubles=troubles, **changes))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def settings(
    behaviour: Behaviour | str = Behaviour.SILENT, *, troubles: Iterable[str] = (), **changes: Any
) -> RealtimeSettings:
    """Settings by names."""
    return RealtimeSettings(
        behaviour=Behaviour(behaviour), troubles=frozenset(map(Trouble, troubles)), **changes
    )


class Talk:
    """A client's talk with a session that has no socket; each method returns the events that came back."""

    def __init__(
        self, dialect: Dialect | str = Dialect.OPENAI, behaviour: str = "parrot", **changes: Any
    ) -> None:
        self.dialect = Dialect(dialect)
        query = {"model": "gpt-realtime", "api-version": "2026-07-15"}
        self.core = SessionCore(self.dialect, "test", query, settings(behaviour, **changes), None)
        self.opening = self.read(self.core.open())

    def send(self, kind: str, **members: Any) -> list[dict[str, Any]]:
        """Send one event."""
        return self.read(self.core.receive(json.dumps({"type": kind, **members}).encode()))

    def configure(self, **session: Any) -> list[dict[str, Any]]:
        """Update the session; GA's `type` is added."""
        named = {} if self.dialect is Dialect.VOICE_LIVE else {"type": "realtime"}
        return self.send("session.update", session={**named, **session})

    def detect(self, **turn_detection: Any) -> list[dict[str, Any]]:
        """Set how turns are detected."""
        detection = {"type": "server_vad", **turn_detection}
        if self.dialect is Dialect.VOICE_LIVE:
            return self.configure(turn_detection=detection)
        return self.configure(audio={"input": {"turn_detection": detection}})

    def append(self, pcm: bytes) -> list[dict[str, Any]]:
        """Append audio in frames of 20 ms at 24 kHz."""
        size = RATE_HZ * FRAME_MS // 1000 * 2
        events = []
        for start in range(0, len(pcm), size):
            audio = base64.b64encode(pcm[start : start + size]).decode()
            events += self.send("input_audio_buffer.append", audio=audio)
        return events

    @staticmethod
    def read(messages: Iterable[bytes]) -> list[dict[str, Any]]:
        """Decode what a session has said."""
        return [json.loads(message) for message in messages]


def tone(ms: int, rate_hz: int = RATE_HZ, *, peak: int = 6000) -> bytes:
    """A loud sound."""
    ticks = np.arange(rate_hz * ms // 1000)
    return (peak * np.sin(2 * np.pi * 440 * ticks / rate_hz)).astype("<i2").tobytes()


def quiet(ms: int, rate_hz: int = RATE_HZ) -> bytes:
    """Silence."""
    return bytes(rate_hz * ms // 1000 * 2)


def kinds(events: Iterable[dict[str, Any]]) -> list[str]:
    """Types of events, each run of the same once."""
    found: list[str] = []
    for event in events:
        if not found or found[-1] != event["type"]:
            found.append(event["type"])
    return found


def only(events: Iterable[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The one event of this type."""
    (event,) = [event for event in events if event["type"] == kind]
    return event


def audio_of(events: Iterable[dict[str, Any]]) -> bytes:
    """All that is said in these events."""
    deltas = (event["delta"] for event in events if event["type"].endswith("audio.delta"))
    return b"".join(map(base64.b64decode, deltas))
