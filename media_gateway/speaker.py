"""The agent's voice in one call: from the agent's sink through the playout ledger to ACS."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import pybase64

from media_gateway.outlet import Outlet
from media_gateway.recording.recorder import Recorder
from media_gateway.ticker import Ticker, monotonic_us
from shared.acs.media_codec import AUDIO_BEGIN, AUDIO_END, STOP_AUDIO, encode_audio
from shared.core.playout import Heard, PlayoutLedger

_encode: Final = pybase64.b64encode
_clock_ns: Final = time.monotonic_ns
LOOK_S = 0.1
"""How often a wait for the end of what is said looks whether there is still somebody to hear it."""


class Speaker:
    """Sends what is due, at once where it may, else when the ticker says so.

    While ACS does not read (`Outlet.is_writable`), nothing is sent and the audio waits in the ledger.

    Args:
        out: Of the call's media socket.
        ledger: The call's playout ledger; nobody else uses it.
        ticker: The process's ticker.
        clock: Unix seconds, for `first_audio_at`.
    """

    def __init__(
        self,
        out: Outlet,
        ledger: PlayoutLedger,
        ticker: Ticker,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._out = out
        self._ledger = ledger
        self._ticker = ticker
        self.recorder: Recorder | None = None
        """Keeps what is heard; None while nothing is kept."""
        self.on_invalid: Callable[[ValueError], None] = _ignore
        """Is told of half a sample, which is not said."""
        self._clock = clock
        self._paced = False
        self.first_audio_at: float | None = None
        """Unix seconds at which the agent's first words went to ACS."""
        self._announced = ""
        """The item that is protected: not the agent's."""
        self._messages = 0
        self._bytes = 0
        self._cuts = 0

    def counts(self) -> dict[str, int]:
        """Return what was sent, and what was not and why, by name; losses in samples."""
        losses = self._ledger.losses
        return {
            "audio_messages": self._messages,
            "audio_bytes": self._bytes,
            "interruptions": self._cuts,
            "cut_samples": losses.cut_samples,
            "late_samples": losses.late_samples,
            "overflow_samples": losses.overflow_samples,
            "overflowed_items": losses.overflowed_items,
        }

    def say(self, item_id: str, pcm: bytes, *, protected: bool = False) -> None:
        """Queue audio and send what is due; what is protected is heard whole.

        This runs for every piece of the agent's audio.
        """
        out, now_us = self._out, _clock_ns() // 1000
        if not self._paced and out.is_writable:
            plays_at_us = self._ledger.pass_on(item_id, pcm, now_us)
            if plays_at_us is not None:
                # As `_send`, without the step; the first piece of an item never comes this way.
                send = out.send
                send(AUDIO_BEGIN + _encode(pcm) + AUDIO_END)
                self._messages += 1
                self._bytes += len(pcm)
                if self.recorder is not None:
                    self.recorder.agent(item_id, plays_at_us, pcm)
                return
        if protected:
            self._announced = item_id
        try:
            self._ledger.append(item_id, pcm, protected=protected)
        except ValueError as error:
            self.on_invalid(error)
        if not self._paced:
            self.pump(now_us)

    def pump(self, now_us: int) -> None:
        """Send what is due, and be called again by the ticker while audio waits."""
        if self._out.is_writable:
            for piece in self._ledger.due(now_us):
                self._send(*piece)
        self._pace(self._ledger.is_pending and self._out.is_writable)

    def attach(self, out: Outlet) -> None:
        """Go on with another socket. What ACS had of the one before counts as heard."""
        self._out = out
        self.resume()

    def resume(self) -> None:
        """Go on: ACS reads again."""
        self.pump(monotonic_us())

    def clear(self) -> tuple[Heard, ...]:
        """Stop at once; return the cut items and what was heard of each. What is protected plays on."""
        now_us = monotonic_us()
        stops = self._ledger.remaining_us(now_us) > 0 and not self._ledger.is_protected(now_us)
        if stops:
            self._out.send(STOP_AUDIO)
            self._cuts += 1
        cut = self._cut(now_us, is_heard=not stops)
        self._pace(self._ledger.is_pending and self._out.is_writable)
        return cut

    def remaining_s(self) -> float:
        """Return how long it takes until the caller has heard everything."""
        return self._ledger.remaining_us(monotonic_us()) / 1_000_000

    async def heard_out(self, limit_s: float, *, unless: Callable[[], bool] = lambda: False) -> None:
        """Wait until the caller has heard everything, at most `limit_s`, or until `unless` holds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s
        # The playout may take longer than it looks now: ACS may stop reading for a while.
        while True:
            left_s = min(self.remaining_s(), deadline - loop.time())
            if left_s <= 0 or unless():
                return
            await asyncio.sleep(min(left_s, LOOK_S))

    def close(self) -> None:
        """Say nothing more."""
        self._pace(False)
        self._cut(monotonic_us(), is_heard=False)

    def _cut(self, now_us: int, *, is_heard: bool) -> tuple[Heard, ...]:
        """Forget what was not heard. `is_heard`: what was sent is heard all the same."""
        cut = self._ledger.clear(now_us)
        if self.recorder is not None:
            if not is_heard:
                self.recorder.cut(now_us)
            for item in cut:
                if item.heard_ms < item.said_ms:
                    self.recorder.interrupted(item.item_id, item.heard_ms, item.said_ms)
        return cut

    def _send(self, item_id: str, plays_at_us: int, pcm: bytes | bytearray) -> None:
        self._out.send(encode_audio(pcm))
        self._messages += 1
        self._bytes += len(pcm)
        if self.recorder is not None:
            self.recorder.agent(item_id, plays_at_us, pcm)
        if self.first_audio_at is None and item_id != self._announced:
            self.first_audio_at = self._clock()

    def _pace(self, wanted: bool) -> None:
        if wanted == self._paced:
            return
        self._paced = wanted
        if wanted:
            self._ticker.add(self.pump)
        else:
            self._ticker.remove(self.pump)


def _ignore(error: ValueError) -> None:
    """Let a sound go that cannot be said."""
