"""Short calls of every kind, planned from a seed, and the callers who make them."""

import asyncio
import contextlib
import json
import random
import wave
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from emulator.call import Call
from emulator.media.impairment import Drop, Impairment
from emulator.media.line import Line
from emulator.media.pacing import Ticker
from emulator.realtime.replies import Question, Reply, ToolCall
from emulator.realtime.service import RealtimeService
from emulator.service import Emulator
from tests.support.realtime import running_realtime_service, tone

RATE_HZ = 24_000
TARGET = "+14255550177"
ANSWER_S = 32.0
"""No call rings longer."""
PATIENCE_S = 30.0
"""For the gateway to do what a caller waits for; who has media then hangs up, and who has none is a fault."""
PRESS_EVERY_S = 3.0
"""A caller who is not heard presses again: media may have been lost with the key."""


class Kind(StrEnum):
    """What happens in a call, by the profile that answers."""

    ECHO = "echo"
    """The caller talks and hangs up."""
    RECORDED = "recorded"
    """The same, announced and recorded."""
    MENU = "menu"
    """A script plays prompts, on keys too, and ends the call."""
    NOTES = "notes"
    """An agent sets variables and ends the call."""
    DESK = "desk"
    """An agent sets variables and transfers the caller; it is recorded."""


NUMBERS: Mapping[Kind, str] = {kind: f"+1800555020{index}" for index, kind in enumerate(Kind)}
RECORDED = frozenset({Kind.RECORDED, Kind.DESK})
"""No more, for the storage emulator holds all in memory: 350 KB a call, deleted parts too for a while."""
VARIABLES = {"ticket": "4711", "mood": "calm"}
ENDED_BY_GATEWAY = frozenset({Kind.MENU, Kind.NOTES, Kind.DESK})


@dataclass(frozen=True)
class Plan:
    """One call: of which kind, how long its caller talks, and what befalls it."""

    number: int
    kind: Kind
    talks_s: float
    cut_after_ms: float | None
    """When its first media socket is cut."""
    gives_up_after_s: float | None
    """When a caller hangs up who does not wait for the answer."""

    @property
    def caller(self) -> str:
        """Each has a number of their own, so that what befalls a call depends on no other."""
        return f"+1425{self.number:07d}"


def plans(count: int, seed: int) -> list[Plan]:
    """So many calls, the same for the same seed."""
    dice = random.Random(seed)
    return [
        Plan(
            number=number,
            kind=dice.choice(list(Kind)),
            talks_s=dice.uniform(0.5, 2.5),
            cut_after_ms=dice.uniform(200, 1500) if dice.random() < 0.08 else None,
            gives_up_after_s=dice.uniform(0, 0.4) if dice.random() < 0.03 else None,
        )
        for number in range(count)
    ]


@dataclass(frozen=True)
class Told:
    """What a caller has to tell."""

    plan: Plan
    call: Call
    answers: int
    answered_after_s: float | None
    """None: nobody answered."""
    lost_patience: bool
    """The gateway did not do what the caller waited for, and the call had media."""
    was_left: bool
    """The gateway did not do it, and there were no media either."""

    @property
    def met_a_dying_pod(self) -> bool:
        """Whether its first media socket was being opened to a pod just as that was killed: ACS tries that once."""
        return any(happening.name == "media_failed" for happening in self.call.happenings)

    @property
    def lost_callbacks(self) -> frozenset[str]:
        """Names of what ACS could not tell at the first try, or not at all."""
        return frozenset(
            str(happening.detail["event"])
            for happening in self.call.happenings
            if happening.name == "callback_failed"
        )


async def make_call(emulator: Emulator, plan: Plan, ticker: Ticker) -> Told:
    """Live through one call; it is over at the end."""
    line = Line(rate_hz=RATE_HZ, ticker=ticker)
    impairment = plan.cut_after_ms and Impairment(drop=Drop(after_ms=plan.cut_after_ms))
    call = await emulator.calls.place(
        to=NUMBERS[plan.kind], from_=plan.caller, line=line, impairment=impairment or None
    )
    caller = _Caller(call, line)
    try:
        if plan.gives_up_after_s is not None:
            await caller.until("ended", within_s=plan.gives_up_after_s)
        elif await caller.until("media_connected", "ended", within_s=ANSWER_S):
            await caller.talk(plan)
        has_media = line._listener is not None
        is_served = caller.happened("ended", "transfer_accepted") or (
            plan.kind not in ENDED_BY_GATEWAY and caller.happened("media_connected")
        )
        is_left_alone = plan.gives_up_after_s is None and not is_served
    finally:
        await emulator.calls.caller_hangs_up(call)
        line.close()
    answers = [happening.at for happening in call.happenings if happening.name == "answered"]
    return Told(
        plan,
        call,
        len(answers),
        answers[0] if answers else None,
        lost_patience=is_left_alone and has_media,
        was_left=is_left_alone and not has_media,
    )


class _Caller:
    def __init__(self, call: Call, line: Line) -> None:
        self._call = call
        self._line = line
        self._changed = asyncio.Event()
        call.watch(lambda _: self._changed.set())

    def happened(self, *names: str) -> bool:
        """Whether one of these has happened."""
        return any(happening.name in names for happening in self._call.happenings)

    async def until(self, *names: str, within_s: float) -> bool:
        """Wait until one of these has happened; whether it has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.happened(*names):
                    self._changed.clear()
                    await self._changed.wait()
        return self.happened(*names)

    async def talk(self, plan: Plan) -> None:
        """Do what a caller does who has been answered."""
        self._line.say(tone(400, RATE_HZ))
        await self.until("ended", within_s=plan.talks_s)
        if plan.kind not in ENDED_BY_GATEWAY:
            return
        for _ in range(round(PATIENCE_S / PRESS_EVERY_S)):
            for key in "1#":
                self._line.press(key)
                await self.until("ended", within_s=0.2)
            if await self.until("ended", "transfer_accepted", within_s=PRESS_EVERY_S):
                break
        if self._call.end is None:
            await self.until("ended", within_s=0.5)


@contextlib.asynccontextmanager
async def running_agents() -> AsyncIterator[Mapping[Kind, RealtimeService]]:
    """Run the voice services of the agents that use tools."""
    async with (
        running_realtime_service(answer=_answering("end_call", "{}")) as notes,
        running_realtime_service(
            answer=_answering("transfer_call", json.dumps({"destination": "desk"}))
        ) as desk,
    ):
        yield {Kind.NOTES: notes, Kind.DESK: desk}


def _answering(leave: str, arguments: str):
    """An agent that says a word to whatever it is told, sets variables and leaves."""
    tools = (
        ToolCall("set_variables", json.dumps({"variables": VARIABLES})),
        ToolCall(leave, arguments),
    )

    def answer(question: Question) -> Reply:
        return Reply() if question.tool_outputs else Reply(tone(300, question.output_hz), "Good.", tools)

    return answer


def write_gateway_file(folder: Path, agents: Mapping[Kind, RealtimeService]) -> Path:
    """Write the gateway file whose numbers these callers dial, with its sounds."""
    for name, ms in (("greeting.wav", 500), ("hours.wav", 400), ("bye.wav", 300)):
        with wave.open(str(folder / name), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(RATE_HZ)
            sound.writeframes(tone(ms, RATE_HZ))
    menu = {"1": {"play": "hours.wav"}, "#": {"play": "bye.wav", "end": True}}
    talking = {"kind": "realtime", "dialect": "openai", "model": "gpt-realtime"}
    notes, desk = ({"endpoint": agents[kind].url("openai")} for kind in (Kind.NOTES, Kind.DESK))
    profiles = {
        Kind.ECHO: {"kind": "echo", "delay_ms": 200},
        Kind.RECORDED: {
            "kind": "echo",
            "delay_ms": 200,
            "recording": {"format": "flac", "announcement": "hours.wav"},
        },
        Kind.MENU: {"kind": "script", "greeting": "greeting.wav", "on_digit": menu},
        Kind.NOTES: talking | notes,
        Kind.DESK: talking
        | desk
        | {"recording": {"format": "flac"}, "transfer_targets": {"desk": TARGET}, "transfer_timeout_s": 10},
    }
    document = {
        "version": 1,
        "profiles": {str(kind): profile for kind, profile in profiles.items()},
        "routes": [
            {"account": "demo", "to": number, "profile": str(kind)} for kind, number in NUMBERS.items()
        ],
    }
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(document))
    return path
