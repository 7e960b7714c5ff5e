"""Calls for the media benchmark: opens media sockets as ACS does, speaks 50 times a second, and times what comes.

Reads a media URL a line, or an object with `url` and `headers` (as `python -m emulator media-urls` prints both), and
answers with one JSON object of figures. One timer serves all calls, each in its own phase of the 20 ms.

First every call is silent until all are up; then it is echoed, which gives latency, CPU and memory; then the agent
talks and is interrupted, again and again, where `--barge-seconds` is not 0 (`bench/frames.py` says how).

    python -m emulator media-urls --calls 50 --profile realtime | python -m bench.load
"""

import argparse
import asyncio
import gc
import json
import random
import sys
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import uvloop
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

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
from bench.processes import Usage, usage_of

TEXT = WSMsgType.TEXT
FRAME_S = 1 / FRAMES_PER_SECOND
PHASES = 20
EARLY_S = 0.0005
"""Timers have whole milliseconds: what is due this soon is sent rather than waited for."""
LATE_S = 0.005

SPREAD_S = 0.01
SETTLE_S = 1.0
WARM_UP_S = 2.0
DRAIN_S = 0.5
ANSWER_S = (2.0, 4.0)
"""How long an agent talks until it is interrupted."""
PAUSE_S = 0.2
TALK_SPREAD_S = 3.0

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


@dataclass(slots=True)
class Spent:
    """CPU of a stretch of time."""

    wall_s: float
    target_s: float
    others_s: float


class Meter:
    """What the process under test, and the others of the load's core with this one, use meanwhile."""

    def __init__(self, target: int | None, others: Sequence[int]) -> None:
        self._target = target
        self._others = others

    def target(self) -> Usage:
        return usage_of(self._target) if self._target is not None else Usage(0.0, 0)

    async def over(self, seconds: float) -> Spent:
        before = time.perf_counter(), self.target().cpu_s, self._others_s()
        await asyncio.sleep(seconds)
        return Spent(
            time.perf_counter() - before[0], self.target().cpu_s - before[1], self._others_s() - before[2]
        )

    def _others_s(self) -> float:
        return time.process_time() + sum(usage_of(pid).cpu_s for pid in self._others)


def percentile_ms(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


async def connect(lines: Sequence[str], figures: Figures, clock: Clock) -> list[Call]:
    """Open all sockets, one after another; each call is silent from its first frame on."""
    calls = []
    for line in lines:
        entry: Mapping[str, object] = json.loads(line) if line.startswith("{") else {"url": line}
        _, call = await ws_connect(
            lambda: Call(figures), entry["url"], extra_headers=entry.get("headers"), max_frame_size=1 << 20
        )
        call.word = LISTEN
        clock.add(call)
        calls.append(call)
        await asyncio.sleep(SPREAD_S)
    return calls


async def measure(
    lines: Sequence[str], meter: Meter, seconds: float, barge_seconds: float
) -> dict[str, float]:
    """Run the calls and return the figures."""
    figures = Figures()
    clock = Clock(figures)
    idle = meter.target()
    clock.run()
    calls = await connect(lines, figures, clock)
    await asyncio.sleep(SETTLE_S)
    for call in calls:
        call.word = ECHO
    await asyncio.sleep(WARM_UP_S)
    figures.is_measuring = True
    figures.messages = 0
    echo = await meter.over(seconds)
    figures.is_measuring = False
    messages, memory = figures.messages, meter.target().rss_bytes
    for call in calls:
        call.rest()
    await asyncio.sleep(DRAIN_S)
    lost = sum(call.echoes_asked - call.echoes for call in calls)
    talk = Spent(1.0, 0.0, 0.0)
    if barge_seconds:
        for call in calls:
            call.talk_in(random.uniform(0, TALK_SPREAD_S))
        await asyncio.sleep(TALK_SPREAD_S)
        del figures.first_words_s[:], figures.stops_s[:]
        talk = await meter.over(barge_seconds)
        for call in calls:
            call.rest()
        await asyncio.sleep(DRAIN_S)
    clock.stop()
    await asyncio.gather(*(call.close() for call in calls))
    return {
        "calls": len(calls),
        "cpu_ms": echo.target_s * 1000 / echo.wall_s / len(calls),
        "core_share": echo.target_s / echo.wall_s,
        "load_core_share": echo.others_s / echo.wall_s,
        "p50_ms": percentile_ms(figures.latencies_s, 0.5),
        "p99_ms": percentile_ms(figures.latencies_s, 0.99),
        "max_ms": percentile_ms(figures.latencies_s, 1.0),
        "frames": figures.frames,
        "frames_a_message": figures.frames / messages if messages else 0.0,
        "lost": lost,
        "out_of_order": figures.out_of_order,
        "lost_calls": figures.lost_calls,
        "kb_a_call": (memory - idle.rss_bytes) / len(calls) / 1000,
        "idle_mb": idle.rss_bytes / 1e6,
        "talk_cpu_ms": talk.target_s * 1000 / talk.wall_s / len(calls),
        "first_words_p50_ms": percentile_ms(figures.first_words_s, 0.5),
        "stop_p50_ms": percentile_ms(figures.stops_s, 0.5),
        "stop_p99_ms": percentile_ms(figures.stops_s, 0.99),
        "stop_max_ms": percentile_ms(figures.stops_s, 1.0),
        "stops": len(figures.stops_s),
        "unasked_stops": figures.unasked_stops,
        "late_p99_ms": percentile_ms(figures.late_s, 0.99),
        "late_max_ms": percentile_ms(figures.late_s, 1.0),
        "late_share": sum(late_s > LATE_S for late_s in figures.late_s) / max(1, len(figures.late_s)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of being echoed")
    parser.add_argument("--barge-seconds", type=float, default=0.0, help="of being talked to")
    parser.add_argument("--target", type=int, metavar="PID", help="the process under test")
    parser.add_argument("--beside", type=int, nargs="*", default=[], metavar="PID", help="others of our core")
    arguments = parser.parse_args()
    lines = [line.strip() for line in sys.stdin if line.strip()]
    # No pause of ours may look like one of the process under test.
    gc.disable()
    meter = Meter(arguments.target, arguments.beside)
    print(json.dumps(uvloop.run(measure(lines, meter, arguments.seconds, arguments.barge_seconds))))


if __name__ == "__main__":
    main()
