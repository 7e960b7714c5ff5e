"""The script: plays WAV files, at the start and on keys, and ends the call when a key says so."""

import asyncio
from pathlib import Path

from media_gateway.agents.contract import AgentSink, CallInfo
from media_gateway.agents.wav import read_wav
from shared.core.call_state import Cause
from shared.core.profiles import ScriptAgent


class Script:
    """Follows `settings`; file names in it are relative to `base_dir`."""

    def __init__(self, settings: ScriptAgent, base_dir: Path) -> None:
        self._settings = settings
        self._base_dir = base_dir
        self._sounds: dict[str, bytes] = {}
        self._played = 0
        self._sink: AgentSink | None = None

    async def open(self, call: CallInfo, sink: AgentSink) -> None:
        """Read the files, and say the greeting if there is one.

        Raises:
            SoundUnusable: a file is not there or does not fit.
        """
        self._sounds = await asyncio.to_thread(self._read_sounds, call.rate_hz)
        self._sink = sink
        if self._settings.greeting is not None:
            self._play(sink, self._settings.greeting)

    def send_audio(self, pcm: bytes) -> None:
        """A script does not listen."""

    def send_dtmf(self, digit: str) -> None:
        """Do what the key is for: a key interrupts what is being said if it has something to say itself."""
        step = self._settings.on_digit.get(digit)
        if step is None or self._sink is None:
            return
        if step.play is not None:
            self._sink.clear()
            self._play(self._sink, step.play)
        if step.end:
            self._sink.end()

    def heard(self, item_id: str, heard_ms: int) -> None:
        """A script does not mind being interrupted."""

    async def close(self, reason: Cause) -> None:  # noqa: ARG002 - a script ends the same for any reason
        """Say no more."""
        self._sink = None

    def _play(self, sink: AgentSink, name: str) -> None:
        self._played += 1
        sink.audio(f"sound-{self._played}", self._sounds[name])

    def _read_sounds(self, rate_hz: int) -> dict[str, bytes]:
        steps = self._settings.on_digit.values()
        names = {self._settings.greeting, *(step.play for step in steps)} - {None}
        return {name: read_wav(self._base_dir / name, rate_hz) for name in names if name is not None}
