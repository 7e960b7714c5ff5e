"""The echo: says back what it hears, some audio time later. For line checks and load tests."""

from collections import deque

from media_gateway.agents.contract import AgentSink, CallInfo
from shared.core.call_state import Cause
from shared.core.playout import BYTES_PER_SAMPLE
from shared.core.profiles import EchoAgent


class Echo:
    """Echoes after `settings.delay_ms` of audio: the caller's frames are the clock, so no timer is needed."""

    def __init__(self, settings: EchoAgent) -> None:
        self._delay_ms = settings.delay_ms
        self._delay_bytes = 0
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._cuts = 0
        self._item_id = "echo"
        self._sink: AgentSink | None = None

    async def open(self, call: CallInfo, sink: AgentSink) -> None:
        """Begin to echo."""
        self._delay_bytes = self._delay_ms * call.rate_hz // 1000 * BYTES_PER_SAMPLE
        self._sink = sink

    def send_audio(self, pcm: bytes) -> None:
        """Take a frame, and say the one that is old enough."""
        if self._sink is None:
            return
        self._held.append(pcm)
        self._held_bytes += len(pcm)
        while (due := self._held_bytes - self._delay_bytes) > 0:
            frame = self._held.popleft()
            if len(frame) > due:
                # What was said before it listened comes in one piece.
                self._held.appendleft(frame[due:])
                frame = frame[:due]
            self._held_bytes -= len(frame)
            self._sink.audio(self._item_id, frame)

    def send_dtmf(self, digit: str) -> None:
        """Keys have no echo."""

    def heard(self, item_id: str, heard_ms: int) -> None:  # noqa: ARG002 - nothing to correct in an echo
        """Go on in a new item: the one that was cut takes no more audio."""
        self._cuts += 1
        self._item_id = f"echo-{self._cuts}"

    def transfer_failed(self, reason: str) -> None:
        """An echo asks for no transfer."""

    async def close(self, reason: Cause) -> None:  # noqa: ARG002 - an echo has nothing to close
        """Forget what was held."""
        self._sink = None
        self._held.clear()
