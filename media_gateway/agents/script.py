"""The script: plays WAV files, at the start and on keys, and ends the call when a key says so."""

from collections.abc import Mapping

from media_gateway.agents.contract import AgentSink, CallInfo
from media_gateway.sounds import Sounds
from shared.core.call_state import Cause
from shared.core.profiles import ScriptAgent


class Script:
    """Follows `settings`; `sounds` has the files that it names."""

    def __init__(self, settings: ScriptAgent, sounds: Sounds) -> None:
        self._settings = settings
        self._files = sounds
        self._sounds: Mapping[str, bytes] = {}
        self._played = 0
        self._sink: AgentSink | None = None

    async def open(self, call: CallInfo, sink: AgentSink) -> None:
        """Get the files, and say the greeting if there is one, and the caller has not been greeted.

        Raises:
            SoundUnusable: a file cannot be had or does not fit.
        """
        settings = self._settings
        names = (settings.greeting, *(step.play for step in settings.on_digit.values()))
        self._sounds = await self._files.load({name for name in names if name is not None}, call.rate_hz)
        self._sink = sink
        if self._settings.greeting is not None and not call.is_resumed:
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

    def transfer_failed(self, reason: str) -> None:
        """A script asks for no transfer."""

    async def close(self, reason: Cause) -> None:  # noqa: ARG002 - a script ends the same for any reason
        """Say no more."""
        self._sink = None

    def _play(self, sink: AgentSink, name: str) -> None:
        self._played += 1
        sink.audio(f"sound-{self._played}", self._sounds[name])
