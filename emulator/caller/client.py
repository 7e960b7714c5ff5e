"""The caller's end of the phone socket."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import numpy as np
from yarl import URL

from emulator.caller.report import Outcome
from emulator.caller.script import Action, HangUp, Plan, Press, Remark, Say, Script
from emulator.media.pcm import FRAME_MS, is_audible

CONNECT_TIMEOUT_S: Final = 5.0
SILENCE_TIMEOUT_S: Final = 10.0
"""The emulator sends 50 frames a second; one that sends nothing for so long hangs."""

CLOSE_TIMEOUT_S: Final = 2.0

Timeline = Callable[[float, str, Mapping[str, Any]], None]
"""Told each happening: ms since the call was placed, name, details."""


class EmulatorUnreachable(Exception):
    """No phone socket at that address; the text is meant for the user."""


@dataclass(frozen=True)
class Dialling:
    """Whom to call, as whom, and where the emulator is.

    Attributes:
        url: the phone socket without its query.
        context: custom context, names as in the query: `voip.<key>`, `sip.<key>`.
    """

    url: str
    to: str
    from_: str
    context: Mapping[str, str] = field(default_factory=dict)


async def place_call(
    dialling: Dialling, plan: Plan, *, timeline: Timeline, record: Callable[[bytes], None] | None = None
) -> Outcome:
    """Place one call, follow the plan, and return when it has ended.

    Args:
        dialling: whom to call, and where.
        plan: what the caller does; its rate is the phone's.
        timeline: told each happening as it comes.
        record: given both tracks, interleaved, 20 ms at a time from the moment the call was placed.

    Raises:
        EmulatorUnreachable: no call was placed.
    """
    query = {"to": dialling.to, "from": dialling.from_, "rate": str(plan.rate_hz), "tracks": "2"}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            socket = await session.ws_connect(
                URL(dialling.url).update_query(query | dict(dialling.context)),
                timeout=aiohttp.ClientWSTimeout(ws_receive=SILENCE_TIMEOUT_S, ws_close=CLOSE_TIMEOUT_S),
            )
        except aiohttp.WSServerHandshakeError as error:
            what = f"what listens at {dialling.url} is not the emulator's phone (HTTP {error.status})"
            raise EmulatorUnreachable(what) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = f"no emulator at {dialling.url}; start it with: python -m emulator up"
            raise EmulatorUnreachable(what) from error
        async with socket:
            return await _Caller(socket, plan, timeline, record).run()


class _Caller:
    """One call in progress."""

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        plan: Plan,
        timeline: Timeline,
        record: Callable[[bytes], None] | None,
    ) -> None:
        self._socket = socket
        self._script = Script(plan)
        self._timeline = timeline
        self._record = record
        self._outcome = Outcome()

    async def run(self) -> Outcome:
        """Return when the call has ended, or the socket has."""
        while True:
            try:
                message = await self._socket.receive()
            except TimeoutError:
                self._outcome.message = f"the emulator sent nothing for {SILENCE_TIMEOUT_S:g} s"
                return self._outcome
            if message.type is aiohttp.WSMsgType.BINARY:
                for action in self._hear(message.data):
                    await self._act(action)
            elif message.type is aiohttp.WSMsgType.TEXT:
                if self._learn(json.loads(message.data)):
                    return self._outcome
            else:
                self._outcome.message = "the emulator closed the phone socket in mid-call"
                return self._outcome

    def _hear(self, tracks: bytes) -> list[Action]:
        if self._record is not None:
            self._record(tracks)
        said, heard = np.frombuffer(tracks, "<i2").reshape(-1, 2).T
        audible = is_audible(heard.tobytes())
        if audible:
            self._outcome.heard_ms += FRAME_MS
        return self._script.tick(said=is_audible(said.tobytes()), heard=audible)

    def _learn(self, message: dict[str, Any]) -> bool:
        """Take a message about the call; True when it was the last."""
        if message.pop("type", None) != "state":
            return False
        name, at_ms = str(message.pop("state")), float(message.pop("at_ms"))
        self._outcome.states.append((name, at_ms))
        self._script.state(name)
        if name != "ended":
            self._timeline(at_ms, name, message)
            return False
        self._outcome.end = str(message.get("reason"))
        self._outcome.message = str(message.get("message", ""))
        self._outcome.measured = message.get("report", {})
        self._timeline(at_ms, name, {"reason": self._outcome.end})
        return True

    async def _act(self, action: Action) -> None:
        match action:
            case Say(pcm):
                await self._socket.send_bytes(pcm)
            case Press(digit):
                await self._socket.send_str(json.dumps({"type": "dtmf", "digit": digit}))
            case HangUp(why):
                self._timeline(self._script.now_ms, "hanging_up", {"why": why})
                await self._socket.send_str('{"type":"hangup"}')
            case Remark(name):
                self._timeline(self._script.now_ms, name, {})
