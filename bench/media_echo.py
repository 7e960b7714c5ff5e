"""Echo calls at 24 kHz through one media gateway process: CPU, added latency, memory.

The load comes from this process, by the emulator's own media streams: 50 frames a second for each call, on the
real clock. A frame carries its number in its first samples; the echo has no delay, so the time from sending a
frame to having it back is what the gateway and twice the loopback network add.

    python -m bench.media_echo [--calls 50 150] [--seconds 20]
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.media_gateway_alone import KEY, call_id_of
from emulator.media.pacing import Ticker
from emulator.media.pcm import frame_bytes
from emulator.media.stream import MediaStream, StreamOptions
from shared.security.tokens import Audience, mint

ROOT = Path(__file__).resolve().parent.parent
RATE_HZ = 24_000
WARM_UP_S = 2.0
SPREAD_S = 0.01
"""Between the starts of two calls."""
MARK_BYTES = 4
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Probe:
    """Takes the place of a caller's line: sends numbered frames, and times each until it is back."""

    def __init__(self, ticker: Ticker, latencies_s: list[float]) -> None:
        self.sent = 0
        self.back = 0
        self.is_measuring = False
        self._ticker = ticker
        self._latencies_s = latencies_s
        self._sent_at: dict[int, float] = {}
        self._stream: MediaStream | None = None
        self._speech = os.urandom(frame_bytes(RATE_HZ) - MARK_BYTES)

    def attach(self, stream: MediaStream, *, rate_hz: int) -> None:
        assert rate_hz == RATE_HZ
        self._stream = stream
        self._ticker.add(self._tick)

    def detach(self, _stream: MediaStream) -> None:
        self._ticker.remove(self._tick)

    def play(self, pcm: bytes) -> float:
        now = time.perf_counter()
        for start in range(0, len(pcm), frame_bytes(RATE_HZ)):
            number = int.from_bytes(pcm[start : start + MARK_BYTES], "little")
            sent_at = self._sent_at.pop(number)
            self.back += 1
            if self.is_measuring:
                self._latencies_s.append(now - sent_at)
        return 0.0

    def stop_playing(self) -> None:
        raise AssertionError("an echo is never interrupted")

    def _tick(self, now_s: float, late_s: float) -> None:
        self.sent += 1
        frame = self.sent.to_bytes(MARK_BYTES, "little") + self._speech
        self._sent_at[self.sent] = time.perf_counter()
        self._stream.caller_frame(frame, now_s, late_s)


@dataclass
class Usage:
    """CPU seconds, in all and in the kernel, and resident memory of a process."""

    cpu_s: float
    kernel_s: float
    rss_bytes: int
    at: float = field(default_factory=time.perf_counter)


def usage_of(pid: int) -> Usage:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    user_s, kernel_s = int(fields[11]) / CLOCK_TICKS, int(fields[12]) / CLOCK_TICKS
    return Usage(user_s + kernel_s, kernel_s, pages * os.sysconf("SC_PAGE_SIZE"))


@contextlib.asynccontextmanager
async def gateway(calls: int) -> AsyncIterator[tuple[int, int]]:
    """Start the gateway process and yield its pid and port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.media_gateway_alone", "--calls", str(calls),
        cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        while "port" not in (line := json.loads(await process.stderr.readline())):
            pass
        reading = asyncio.create_task(process.stderr.read())
        yield process.pid, line["port"]
        process.send_signal(signal.SIGTERM)
        await reading
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await process.wait()
    assert process.returncode == 0


async def place_call(port: int, number: int, probe: Probe) -> MediaStream:
    call_id = call_id_of(number)
    token = mint(Audience.MEDIA, call_id=call_id, account_id="bench", jti=call_id, signing=KEY)
    options = StreamOptions(
        url=f"ws://127.0.0.1:{port}/media/{call_id}?token={token}",
        rate_hz=RATE_HZ,
        unmixed=False,
        bidirectional=True,
        dtmf=True,
        subscription_id=call_id,
        participant_raw_id="4:+14255550100",
    )
    stream = MediaStream(
        options,
        probe,
        headers={"x-ms-call-connection-id": call_id},
        on_end=lambda end: sys.exit(f"the gateway closed a call: {end}"),
    )
    await stream.open()
    return stream


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def measure(calls: int, seconds: float) -> dict[str, float]:
    """Run `calls` echo calls for `seconds`, and return the figures."""
    ticker, latencies_s = Ticker(), []
    async with gateway(calls) as (pid, port):
        await asyncio.sleep(0.5)
        idle = usage_of(pid)
        probes = [Probe(ticker, latencies_s) for _ in range(calls)]
        streams = []
        for number, probe in enumerate(probes):
            streams.append(await place_call(port, number, probe))
            await asyncio.sleep(SPREAD_S)
        await asyncio.sleep(WARM_UP_S)
        for probe in probes:
            probe.is_measuring = True
        before, load_before = usage_of(pid), usage_of(os.getpid())
        await asyncio.sleep(seconds)
        after, load_after = usage_of(pid), usage_of(os.getpid())
        missing = sum(probe.sent - probe.back for probe in probes)
        wall_s = after.at - before.at
        late = [stream.stats.pacing for stream in streams]
        await asyncio.gather(*(stream.close() for stream in streams))
        await asyncio.sleep(0.5)
    frames = len(latencies_s)
    cpu_s = after.cpu_s - before.cpu_s
    return {
        "calls": calls,
        "cpu_ms_per_call_second": cpu_s / wall_s / calls * 1000,
        "cpu_us_per_frame_in_and_out": cpu_s / frames * 1e6,
        "of_it_in_the_kernel_percent": (after.kernel_s - before.kernel_s) / cpu_s * 100,
        "process_cpu_percent": cpu_s / wall_s * 100,
        "latency_p50_ms": percentile(latencies_s, 0.50) * 1000,
        "latency_p99_ms": percentile(latencies_s, 0.99) * 1000,
        "latency_max_ms": max(latencies_s) * 1000,
        "memory_kib_per_call": (after.rss_bytes - idle.rss_bytes) / calls / 1024,
        "memory_mib": after.rss_bytes / 2**20,
        "frames": frames,
        "frames_not_back": missing,
        "load_cpu_percent": (load_after.cpu_s - load_before.cpu_s) / wall_s * 100,
        "load_late_frames_percent": sum(p.late_frames for p in late) / sum(p.frames for p in late) * 100,
        "load_max_late_ms": max(p.max_late_ms for p in late),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, nargs="+", default=[50, 150])
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    for calls in arguments.calls:
        figures = uvloop.run(measure(calls, arguments.seconds))
        print(f"{calls} echo calls at 24 kHz, {arguments.seconds:.0f} s")
        for name, value in figures.items():
            print(f"  {name:<30} {value:10.2f}" if isinstance(value, float) else f"  {name:<30} {value:10}")


if __name__ == "__main__":
    main()
