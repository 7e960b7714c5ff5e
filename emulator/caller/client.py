"""The caller's end of the phone socket."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import numpy as np
from yarl import URL

from emulator.caller.actions import Action, HangUp, Press, Remark, Say, Words
from emulator.caller.report import Outcome
from emulator.caller.script import Plan, Script
from emulator.caller.transfers import TransferWatch
from emulator.media.pcm import FRAME_MS, is_audible

CONNECT_TIMEOUT_S: Final = 5.0
SILENCE_TIMEOUT_S: Final = 10.0
"""The emulator sends 50 frames a second; one that sends nothing for so long hangs."""

CLOSE_TIMEOUT_S: Final = 2.0
POLL_S: Final = 0.2

SUBSCRIPTIONS_PATH: Final = "/eventgrid/subscriptions"

Timeline = Callable[[float, str, Mapping[str, Any]], None]
"""Told each happening: ms since the call was placed, name, details."""


class EmulatorUnreachable(Exception):
    """No phone socket at that address; the text is meant for the user."""


class _NoPhone(Exception):
    """The other side does not speak the phone socket's protocol."""


@dataclass(frozen=True)
class Dialling:
    """Whom to call, as whom, and where the emulator is.

    Attributes:
        url: the phone socket without its query.
        context: custom context, names as in the query: `voip.<key>`, `sip.<key>`.
        impairment: of the call's media sockets, JSON; None is what all calls have.
    """

    url: str
    to: str
    from_: str
    context: Mapping[str, str] = field(default_factory=dict)
    impairment: str | None = None


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
    if dialling.impairment is not None:
        query["impairment"] = dialling.impairment
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            socket = await session.ws_connect(
                URL(dialling.url).update_query(query | dict(dialling.context)),
                timeout=aiohttp.ClientWSTimeout(ws_receive=SILENCE_TIMEOUT_S, ws_close=CLOSE_TIMEOUT_S),
            )
        except aiohttp.WSServerHandshakeError as error:
            raise EmulatorUnreachable(f"{_not_the_phone(dialling.url)} (HTTP {error.status})") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = f"no emulator at {dialling.url}; start it with: python -m emulator up"
            raise EmulatorUnreachable(what) from error
        async with socket:
            try:
                return await _Caller(socket, plan, timeline, record).run()
            except _NoPhone as error:
                raise EmulatorUnreachable(_not_the_phone(dialling.url)) from error


async def until_ready(url: str, wait_s: float) -> None:
    """Wait until the emulator answers and an application has subscribed to its calls: the last that a stack does.

    Args:
        url: the phone socket without its query.
        wait_s: how long to wait.

    Raises:
        EmulatorUnreachable: not in time.
    """
    why = f"no emulator at {url}"
    timeout = aiohttp.ClientTimeout(total=CONNECT_TIMEOUT_S)
    try:
        address = URL(url).with_scheme("https" if url.startswith("wss:") else "http")
        async with asyncio.timeout(wait_s), aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                try:
                    async with session.get(address.with_path(SUBSCRIPTIONS_PATH)) as response:
                        if response.status != HTTPStatus.OK:
                            return  # no emulator, which dialling tells
                        subscriptions = (await response.json())["value"]
                    if any(each["provisioningState"] == "Succeeded" for each in subscriptions):
                        return
                    why = f"no application has subscribed to the calls of {url}"
                except (aiohttp.ClientConnectionError, TimeoutError):
                    pass  # not up yet
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise EmulatorUnreachable(f"{why} within {wait_s:g} s") from None
    except (aiohttp.ClientError, ValueError, KeyError, TypeError) as error:
        raise EmulatorUnreachable(_not_the_phone(url)) from error


def _not_the_phone(url: str) -> str:
    return f"what listens at {url} is not the emulator's phone"


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
        self._transfers = TransferWatch()
        self._outcome = Outcome(transfers=self._transfers.seen)

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
                if self._learn(message.data):
                    return self._outcome
            elif not self._outcome.states:
                raise _NoPhone
            else:
                self._outcome.message = "the emulator closed the phone socket in mid-call"
                return self._outcome

    def _hear(self, tracks: bytes) -> list[Action]:
        try:
            said, heard = np.frombuffer(tracks, "<i2").reshape(-1, 2).T
        except ValueError as error:
            raise _NoPhone from error
        if self._record is not None:
            self._record(tracks)
        audible = is_audible(heard.tobytes())
        actions = self._script.tick(said=is_audible(said.tobytes()), heard=audible)
        if audible:
            self._outcome.heard_ms += FRAME_MS
            self._transfers.heard(self._script.now_ms)
        return actions

    def _learn(self, text: str) -> bool:
        """Take a message about the call; True when it was the last."""
        try:
            message: dict[str, Any] = json.loads(text)
            if message.pop("type") != "state":
                return False
            name, at_ms = str(message.pop("state")), float(message.pop("at_ms"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _NoPhone from error
        self._outcome.states.append((name, at_ms))
        self._script.state(name)
        self._transfers.state(name, at_ms, str(message.get("outcome", "accepted")))
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
                await self._send(pcm)
            case Words(text, ms):
                await self._send(json.dumps({"type": "say", "text": text, "ms": ms}))
            case Press(key):
                await self._send(json.dumps({"type": "dtmf", "digit": key}))
            case HangUp(why):
                self._timeline(self._script.now_ms, "hanging_up", {"why": why})
                await self._send('{"type":"hangup"}')
            case Remark(name):
                self._timeline(self._script.now_ms, name, {})

    async def _send(self, message: str | bytes) -> None:
        # When the socket is lost, what has arrived before is still to be read; its end comes after that.
        with suppress(ConnectionError, aiohttp.ClientConnectionError):
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)
