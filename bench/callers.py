"""The callers of the media benchmark: media sockets as ACS opens them, and what each sees come back."""

import asyncio
import json
import random
import time
from array import array
from dataclasses import dataclass, field

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from bench.frames import (
    BARGE,
    ECHO,
    FRAME_BYTES,
    FRAME_CHARS,
    FRAMES_PER_SECOND,
    LISTEN,
    RATE_HZ,
    SPEECH,
    TALK,
    WORD,
    frame_text,
    number_of,
)

TEXT = WSMsgType.TEXT
FRAME_S = 1 / FRAMES_PER_SECOND
PHASES = 20
EARLY_S = 0.0005
"""Timers have whole milliseconds: what is due this soon is sent rather than waited for."""
ANSWER_S = (2.0, 4.0)
"""How long an agent talks until it is interrupted."""
PAUSE_S = 0.2

METADATA = json.dumps(
    {
        "kind": "AudioMetadata",
        "audioMetadata": {
            "subscriptionId": "bench",
            "encoding": "PCM",
            "sampleRate": RATE_HZ,
            "channels": 1,
            "length": FRAME_BYTES,
        },
    }
).encode()
BEFORE_FRAME = b'{"kind":"AudioData","audioData":{"timestamp":"2026-11-24T20:00:00.000Z","data":"'
AFTER_FRAME = b'","silent":false}}'
STOP_AUDIO = b'{"Kind":"StopAudio"'
DATA = b'"Data":"'


@dataclass(slots=True)
class Figures:
    """What all calls together have seen."""

    latencies_s: array = field(default_factory=lambda: array("d"))
    first_words_s: array = field(default_factory=lambda: array("d"))
    stops_s: array = field(default_factory=lambda: array("d"))
    late_s: array = field(default_factory=lambda: array("d"))
    is_measuring: bool = False
    messages: int = 0
    frames: int = 0
    out_of_order: int = 0
    unasked_stops: int = 0
    lost_calls: int = 0


class Call(WSListener):
    """One caller."""

    def __init__(self, figures: Figures) -> None:
        super().__init__()
        self.word = ECHO
        """What the next frames ask for; a command is asked for once, and then there is silence."""
        self.echoes_asked = 0
        self.echoes = 0
        self.is_over = False
        self._figures = figures
        self._transport: WSTransport | None = None
        self._number = 0
        self._echoed = 0
        """Number of the latest frame that came back."""
        self._sent_at = array("d", [0.0])
        self._talk_at = self._barge_at = 0.0
        self._next: asyncio.TimerHandle | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.send(TEXT, METADATA)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        self._transport = None
        if not self.is_over:
            self._figures.lost_calls += 1

    def speak(self) -> None:
        """Send one frame."""
        if self._transport is None:
            return
        self._number += 1
        word = self.word
        message = BEFORE_FRAME + frame_text(self._number, word) + AFTER_FRAME
        now_s = time.perf_counter()
        self._sent_at.append(now_s)
        if word == ECHO:
            self.echoes_asked += 1
        elif word == TALK:
            self._talk_at, self.word = now_s, LISTEN
        elif word == BARGE:
            self._barge_at, self.word = now_s, LISTEN
        self._transport.send(TEXT, message)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        now_s = time.perf_counter()
        if frame.msg_type is not TEXT:
            if frame.msg_type is WSMsgType.CLOSE:
                transport.send_close(WSCloseCode.OK)
                transport.disconnect()
            return
        message = frame.get_payload_as_bytes()
        start = message.find(DATA)
        if start >= 0:
            self._figures.messages += 1
            start += len(DATA)
            for at in range(start, message.index(b'"', start), FRAME_CHARS):
                self._hear(message[at : at + WORD.stop], now_s)
        elif message.startswith(STOP_AUDIO):
            if self._barge_at:
                self._figures.stops_s.append(now_s - self._barge_at)
                self._barge_at = 0.0
            else:
                self._figures.unasked_stops += 1

    def talk_in(self, seconds: float) -> None:
        """From then on let the agent talk and be interrupted, again and again, until `rest`."""
        self._next = asyncio.get_running_loop().call_later(seconds, self._let_talk)

    def rest(self) -> None:
        """Be silent."""
        self.word = LISTEN
        if self._next is not None:
            self._next.cancel()

    async def close(self) -> None:
        self.is_over = True
        self.rest()
        if self._transport is not None:
            transport = self._transport
            transport.send_close(WSCloseCode.OK)
            await asyncio.wait((asyncio.ensure_future(transport.wait_disconnected()),), timeout=2.0)
            transport.disconnect(graceful=False)

    def _let_talk(self) -> None:
        self.word = TALK
        self._next = asyncio.get_running_loop().call_later(random.uniform(*ANSWER_S), self._interrupt)

    def _interrupt(self) -> None:
        self.word = BARGE
        self.talk_in(PAUSE_S)

    def _hear(self, head: bytes, now_s: float) -> None:
        word = head[WORD]
        if word == ECHO:
            figures, number = self._figures, number_of(head)
            self.echoes += 1
            if number <= self._echoed:
                figures.out_of_order += 1
            self._echoed = number
            if figures.is_measuring:
                figures.latencies_s.append(now_s - self._sent_at[number])
                figures.frames += 1
        elif word == SPEECH and self._talk_at:
            self._figures.first_words_s.append(now_s - self._talk_at)
            self._talk_at = 0.0


class Clock:
    """Lets every call speak each 20 ms, a twentieth of them each millisecond."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._phases: tuple[list[Call], ...] = tuple([] for _ in range(PHASES))
        self._start_s = time.perf_counter()
        self._step = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: Call) -> None:
        min(self._phases, key=len).append(call)

    def run(self) -> None:
        now_s = time.perf_counter()
        while (due_s := self._start_s + self._step * FRAME_S / PHASES) <= now_s + EARLY_S:
            for call in self._phases[self._step % PHASES]:
                if self._figures.is_measuring:
                    self._figures.late_s.append(max(0.0, time.perf_counter() - due_s))
                call.speak()
            self._step += 1
        self._timer = asyncio.get_running_loop().call_later(due_s - time.perf_counter(), self.run)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
