"""A whole gateway with several pods, callers on it, and what they hear: for the tests of survival.

Storage, the Functions app and the pods are processes of their own. ACS, Event Grid, Web PubSub, Key Vault and the
ingress run on the test's loop, where a test can look at them and break them.
"""

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from emulator.call import Call
from emulator.event_grid.subscriptions import EventSubscription
from emulator.functions_host.command import READY_LINE
from emulator.ingress import Ingress
from emulator.media.line import Line
from emulator.media.pcm import is_audible
from emulator.pods import Pod, PodPool
from emulator.ports import free_ports
from emulator.processes import Process
from emulator.realtime.service import RealtimeService
from emulator.service import Emulator
from shared.adapters.connect import Connections, connect
from shared.config import functions_settings
from shared.core.call import CallRecord
from shared.core.call_state import CallState
from tests.support.azurite import Azurite
from tests.support.gateway import (
    API_SECRET,
    EVENTS_PATH,
    behind_proxies,
    local_settings,
    running_emulator,
    seed,
)
from tests.support.voice import tone

REPOSITORY = Path(__file__).resolve().parents[2]
RATE_HZ = 24_000
FRAMES_PER_S = 50
TALK_S = 59
SPEECH = tone(TALK_S * 1000, RATE_HZ)
"""What callers say: without a pause, so that those who are echoed hear every interruption to the frame."""
START_S = 30.0
WITHIN_S = 30.0
"""For what a test waits for and does not measure."""
GRACE_S = 12.0
LOOK_S = 0.02
RECORDING_MAX_BYTES = 64 * 1024 * 1024


class Caller:
    """Somebody on the phone, who notes for each 20 ms since dialling whether anything was heard."""

    def __init__(self, *, talks: bool) -> None:
        self._heard = bytearray()
        self._line = Line(rate_hz=RATE_HZ, on_audio=lambda pcm: self._heard.append(is_audible(pcm)))
        self._talks = talks
        self.call: Call = None

    async def dial(self, emulator: Emulator, number: str, own_number: str) -> None:
        """Place the call; what the caller says begins with the answer."""
        self.call = await emulator.calls.place(to=number, from_=own_number, line=self._line)
        self.call.watch(self._on_happening)
        self._line.start()

    def _on_happening(self, happening) -> None:
        if happening.name == "answered" and self._talks:
            self._line.say(SPEECH)
        elif happening.name == "ended":
            self._line.close()

    @property
    def now_s(self) -> float:
        """How much of the call the caller has heard, from dialling on."""
        return len(self._heard) / FRAMES_PER_S

    @property
    def has_ended(self) -> bool:
        """Whether the call is over."""
        return self.call.end is not None

    def times(self, name: str) -> list[float]:
        """When something happened to the call, each time; seconds since dialling."""
        return [happening.at for happening in self.call.happenings if happening.name == name]

    @property
    def first_heard_s(self) -> float:
        """When the caller first heard something."""
        return self._heard.index(True) / FRAMES_PER_S

    def waited_s(self, since_s: float | None = None, until_s: float | None = None) -> float:
        """The longest stretch in which nothing was heard; from the answer to the end, unless told otherwise."""
        first = self.times("answered")[0] if since_s is None else since_s
        last = self.now_s if until_s is None else until_s
        heard = np.frombuffer(bytes(self._heard), bool)[
            round(first * FRAMES_PER_S) : round(last * FRAMES_PER_S)
        ]
        edges = np.concatenate(([-1], np.flatnonzero(heard), [len(heard)]))
        return float(np.diff(edges).max() - 1) / FRAMES_PER_S

    def silent_until_s(self, since_s: float) -> float:
        """When the caller heard something for the first time after that."""
        return self._heard.index(True, round(since_s * FRAMES_PER_S)) / FRAMES_PER_S

    def heard_s(self, since_s: float = 0.0) -> float:
        """How much was heard that was not silence."""
        return sum(self._heard[round(since_s * FRAMES_PER_S) :]) / FRAMES_PER_S

    def press(self, digit: str) -> None:
        """Press a key."""
        self._line.press(digit)

    async def until(self, condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
        """Wait until something holds of the call."""
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(LOOK_S)

    async def until_hears(self, for_s: float = 0.1, within_s: float = WITHIN_S) -> None:
        """Wait until so much more has been heard."""
        since_s = self.now_s
        await self.until(lambda: self.heard_s(since_s) >= for_s, within_s)

    async def until_ended(self, within_s: float = WITHIN_S) -> None:
        """Wait until the call is over."""
        async with asyncio.timeout(within_s):
            await self.call.ended.wait()

    def close(self) -> None:
        """Put the phone away."""
        self._line.close()


@dataclass(frozen=True)
class Scale:
    """How much of it: calls, and seconds."""

    killed: int = 20
    frozen: int = 6
    drained: int = 6
    rolling: int = 10
    outage_s: float = 4.0


@dataclass
class Survivors:
    """The running gateway."""

    emulator: Emulator
    ingress: Ingress
    pods: PodPool
    connections: Connections
    """To storage past the emulator's faults."""
    lines: list[tuple[str, str]] = field(default_factory=list)
    """What the processes wrote, by name."""
    callers: list[Caller] = field(default_factory=list)
    scale: Scale = field(default_factory=Scale)
    together: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(1))
    """Where those wait for one another to whom something happens at once."""
    agents: Mapping[str, RealtimeService] = field(default_factory=dict)
    """Services of agents, by what is wrong with them."""
    _numbers: Iterable[int] = field(default_factory=lambda: itertools.count(14255550200))
    _call_ids: dict[str, str] = field(default_factory=dict)

    async def dial(self, number: str, *, talks: bool = True) -> Caller:
        """Let somebody call a number, and return at once."""
        caller = Caller(talks=talks)
        self.callers.append(caller)
        await caller.dial(self.emulator, number, f"+{next(self._numbers)}")
        return caller

    async def talk(self, number: str, count: int) -> list[Caller]:
        """Let so many call a number once all pods take calls, and return when each hears an answer."""
        await asyncio.gather(
            *(
                self.ingress.ready(each.url, WITHIN_S)
                for each in self.ingress.backends
                if not each.is_draining
            )
        )
        callers = [await self.dial(number) for _ in range(count)]
        await asyncio.gather(*(caller.until_hears() for caller in callers))
        return callers

    async def hang_up(self, callers: Iterable[Caller]) -> None:
        """Let callers end their calls."""
        await asyncio.gather(*(self.emulator.calls.caller_hangs_up(caller.call) for caller in callers))

    async def record(self, caller: Caller) -> CallRecord:
        """The row of a call, once there is one."""
        correlation_id = caller.call.correlation_id
        table = self.connections.tables.get_table_client("calls")
        async with asyncio.timeout(WITHIN_S):
            while correlation_id not in self._call_ids:
                async for entity in table.query_entities(
                    "correlation_id eq @c", parameters={"c": correlation_id}
                ):
                    self._call_ids[correlation_id] = entity["RowKey"]
        record = await self.connections.calls.get(self._call_ids[correlation_id])
        assert record is not None
        return record

    async def until_record(
        self, caller: Caller, condition: Callable[[CallRecord], bool], within_s: float = WITHIN_S
    ) -> CallRecord:
        """The row of a call, once something holds of it."""
        async with asyncio.timeout(within_s):
            while not condition(record := await self.record(caller)):
                await asyncio.sleep(0.05)
        return record

    async def final(self, caller: Caller) -> CallRecord:
        """The row of a call, once it is final."""
        return await self.until_record(caller, lambda record: record.state.is_final)

    async def pod_of(self, caller: Caller) -> Pod:
        """The pod that holds a call."""
        record = await self.until_record(caller, lambda record: record.state is CallState.STREAMING)
        return next(pod for pod in self.pods.pods if pod.instance == record.owner)

    async def recording(self, record: CallRecord) -> np.ndarray:
        """The finished recording of a call: samples by two tracks, the caller's and the agent's."""
        date = np.datetime64(int(record.times.created), "s").astype("datetime64[D]")
        name = f"{record.account_id}/{date}/{record.call_id}/recording.wav"
        async with asyncio.timeout(WITHIN_S):
            while (
                data := await self.connections.recordings.read(name, max_bytes=RECORDING_MAX_BYTES)
            ) is None:
                await asyncio.sleep(0.1)
        return np.frombuffer(data[44:], "<i2").reshape(-1, 2)

    def log_of(self, name: str, text: str) -> list[str]:
        """The lines of a process that hold a text."""
        return [line for process, line in self.lines if process == name and text in line]


def said_s(recording: np.ndarray) -> float:
    """How long the caller speaks in a recording."""
    frame = RATE_HZ // FRAMES_PER_S
    frames = recording[: len(recording) // frame * frame, 0].reshape(-1, frame)
    return int((np.abs(frames).max(axis=1) > 256).sum()) / FRAMES_PER_S


@contextlib.asynccontextmanager
async def surviving(
    azurite: Azurite,
    folder: Path,
    gateway_file: Mapping[str, Any],
    *,
    pods: int = 2,
    scale: Scale = Scale(),
    agents: Mapping[str, RealtimeService] | None = None,
    emulated: Mapping[str, Any] | None = None,
    **settings: str,
) -> AsyncIterator[Survivors]:
    """Start a gateway that answers by `gateway_file`; `settings` override the usual ones of all its processes."""
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(dict(gateway_file)))
    numbers = tuple(route["to"] for route in gateway_file["routes"])
    real_time: dict[str, Any] = {"time_scale": 1.0, "connect_seconds": 0.1, "phone_numbers": numbers}
    async with contextlib.AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(
            running_emulator(**behind_proxies(azurite), **real_time | dict(emulated or {}))
        )
        ingress = Ingress()
        await ingress.start()
        stack.push_async_callback(ingress.stop)
        port = free_ports().functions
        env = local_settings(emulator, emulator.storage_connection_string) | {
            "CALLBACK_BASE_URL": f"http://127.0.0.1:{port}",
            "MEDIA_BASE_URL": f"ws://127.0.0.1:{ingress.port}",
            "PYTHONUNBUFFERED": "1",
            **settings,
        }
        past_faults = functions_settings(env | {"STORAGE_CONNECTION_STRING": azurite.connection_string})
        connections = await stack.enter_async_context(connect(past_faults.common))
        api_id = await seed(connections, file)
        lines: list[tuple[str, str]] = []
        pool = PodPool(
            ingress,
            environment=os.environ | env,
            folder=REPOSITORY,
            volumes=folder / "volumes",
            on_line=lambda name, line: lines.append((name, line)),
        )
        survivors = Survivors(emulator, ingress, pool, connections, lines, scale=scale, agents=agents or {})
        functions = _functions(port, os.environ | env, lines)
        try:
            await asyncio.gather(_until_serving(functions, lines), pool.start(pods))
            await emulator.event_grid.subscribe(
                EventSubscription(
                    name="calls",
                    endpoint=f"http://127.0.0.1:{port}{EVENTS_PATH}",
                    headers={"asapp-api-id": api_id, "asapp-api-secret": API_SECRET},
                )
            )
            yield survivors
        finally:
            emulator.faults.clear()
            await survivors.hang_up(caller for caller in survivors.callers if not caller.has_ended)
            await pool.close(GRACE_S)
            # Before the Functions app: it sends callbacks.
            await emulator.stop()
            await functions.stop(GRACE_S)
            for caller in survivors.callers:
                caller.close()


def _functions(port: int, environment: Mapping[str, str], lines: list[tuple[str, str]]) -> Process:
    command = (sys.executable, "-m", "emulator", "functions", "--root", str(REPOSITORY), "--port", str(port))
    return Process(
        "functions",
        command,
        environment=environment,
        folder=REPOSITORY,
        on_line=lambda line: lines.append(("functions", line)),
    )


async def _until_serving(functions: Process, lines: list[tuple[str, str]]) -> None:
    await functions.start()
    async with asyncio.timeout(START_S):
        while not any(name == "functions" and line.startswith(READY_LINE) for name, line in lines):
            assert functions.exit_code is None, "\n".join(functions.tail)
            await asyncio.sleep(LOOK_S)
