"""The caller's end of one call: what they say and what they hear, in 20 ms frames on the real clock."""

from collections.abc import Callable
from typing import Final, Protocol

from emulator.media.pacing import Pacing, Ticker
from emulator.media.pcm import (
    RATES_HZ,
    SAMPLE_BYTES,
    PcmQueue,
    duration_ms,
    frame_bytes,
    is_audible,
    mixed,
    size_of,
)
from emulator.media.playout import PLAYOUT_LIMIT_MS, Gaps, Playout
from emulator.media.prompt import Prompt
from emulator.media.resample import Resampler

SPEECH_LIMIT_MS: Final = 60_000
"""How far a caller's program may run ahead of real time; beyond, the oldest audio is dropped and counted."""

DIGITS: Final = frozenset("0123456789*#ABCD")


class Listener(Protocol):
    """Who hears the caller: the media stream."""

    def caller_frame(self, pcm: bytes | None, now_s: float, late_s: float) -> None:
        """Take 20 ms of the caller at the rate given to `Line.attach`; None when they say nothing."""

    def caller_digit(self, digit: str) -> None:
        """Take a key that the caller pressed."""


class Line:
    """One caller. Callbacks are synchronous and run on the event loop; they must not block.

    It ticks 50 times a second from `start` to `close`, and without `start` while a listener is attached or a prompt
    is played.

    Args:
        rate_hz: the phone's rate, one of 8000, 16000, 24000. Other stream rates are converted.
        on_clear: called when StopAudio has cut off what was being played.
        on_audio: called each tick with the 20 ms that the caller hears now, silence included.
        on_tracks: called each tick with the 20 ms that the caller says and hears, silence included.
        on_first_audio: called once, when the caller first hears something that is not silence.
        ticker: the clock to run by; share one among all lines of a process. One of its own by default.
        playout_limit_ms: how much agent audio may wait to be played.
    """

    def __init__(
        self,
        *,
        rate_hz: int,
        on_clear: Callable[[], None] | None = None,
        on_audio: Callable[[bytes], None] | None = None,
        on_tracks: Callable[[bytes, bytes], None] | None = None,
        on_first_audio: Callable[[], None] | None = None,
        ticker: Ticker | None = None,
        playout_limit_ms: int = PLAYOUT_LIMIT_MS,
    ) -> None:
        if rate_hz not in RATES_HZ:
            raise ValueError(f"rate must be one of {', '.join(map(str, RATES_HZ))}")
        self.rate_hz = rate_hz
        self.pacing = Pacing()
        self.gaps = Gaps()
        self.playout_overflow_ms = 0.0
        self.stopped_ms = 0.0
        """Agent audio that StopAudio dropped before it was heard."""
        self._on_clear = on_clear
        self._on_audio = on_audio
        self._on_tracks = on_tracks
        self._on_first_audio = on_first_audio
        self._ticker = ticker or Ticker()
        self._ticking = self._started = self._closed = False
        self._silence = bytes(frame_bytes(rate_hz))
        self._speech = PcmQueue(size_of(SPEECH_LIMIT_MS, rate_hz), drop_oldest=True)
        self._playout_limit_ms = playout_limit_ms
        self._playout = Playout(rate_hz, self.gaps, limit_ms=playout_limit_ms)
        self._played_ms = 0.0
        self._prompt: Prompt | None = None
        self._prompts_ms = 0.0
        self._is_held = False
        self._hold_music: Prompt | None = None
        self._listener: Listener | None = None
        self._to_listener = _Direction(rate_hz, rate_hz)
        self._to_caller = _Direction(rate_hz, rate_hz)

    def start(self) -> None:
        """Start the line's time."""
        self._started = not self._closed
        self._set_ticking()

    def close(self) -> None:
        """Stop for good, with whatever is still queued. What was counted stays readable."""
        self._closed = True
        self._speech.clear()
        self._playout.stop()
        self._set_ticking()

    def say(self, pcm: bytes) -> None:
        """Queue caller audio at the line's rate, of any length in whole samples; ignored after `close`.

        Raises:
            ValueError: an odd number of bytes.
        """
        if len(pcm) % SAMPLE_BYTES:
            raise ValueError("audio must be whole 16-bit samples")
        if not self._closed:
            self._speech.push(pcm)

    def press(self, digit: str) -> None:
        """Press a key: it reaches whoever listens now, and nobody when nobody does.

        Raises:
            ValueError: not one of 0-9, *, #, A-D.
        """
        if digit not in DIGITS:
            raise ValueError("a digit is one of 0-9, *, #, A-D")
        if self._listener is not None and not self._is_held:
            self._listener.caller_digit(digit)

    def attach(self, listener: Listener, *, rate_hz: int) -> None:
        """Connect a media stream: from the next tick on it hears the caller, at its rate. One at a time."""
        if rate_hz not in RATES_HZ:
            raise ValueError(f"rate must be one of {', '.join(map(str, RATES_HZ))}")
        self._listener = listener
        self._to_listener = _Direction(self.rate_hz, rate_hz)
        if rate_hz != self._playout.rate_hz:
            self._played_ms = self.played_ms
            self._playout = Playout(rate_hz, self.gaps, limit_ms=self._playout_limit_ms)
            self._to_caller = _Direction(rate_hz, self.rate_hz)
        self._set_ticking()

    def detach(self, listener: Listener) -> None:
        """Disconnect that stream if it is the one attached. What it has queued is still played."""
        if self._listener is listener:
            self._listener = None
            self._set_ticking()

    def play(self, pcm: bytes) -> float:
        """Queue agent audio at the attached stream's rate; return how many ms of it found no room.

        Ignored after `close`.
        """
        if self._closed:
            return 0.0
        overflow_ms = self._playout.push(pcm)
        self.playout_overflow_ms += overflow_ms
        return overflow_ms

    def stop_playing(self) -> None:
        """Drop at once what is queued for the caller."""
        self.stopped_ms += self._playout.stop()
        self._to_caller.reset()
        if self._on_clear is not None:
            self._on_clear()

    def begin_prompt(self, prompt: Prompt) -> None:
        """Let the caller hear a prompt too, in place of one that is being played; ignored after `close`."""
        self.end_prompt()
        self._prompt = None if self._closed else prompt
        self._set_ticking()

    def end_prompt(self) -> None:
        """Cut off the prompt that is being played, if there is one."""
        self._prompts_ms, self._prompt = self.prompts_ms, None
        self._set_ticking()

    def hold(self, music: Prompt | None) -> None:
        """Let the caller hear this alone, or nothing, and nobody hear the caller, until `unhold`.

        What else is played to them meanwhile passes them by.
        """
        self._is_held, self._hold_music = True, music
        self._set_ticking()

    def unhold(self) -> None:
        """Take the caller back."""
        self._is_held, self._hold_music = False, None
        self._set_ticking()

    @property
    def is_held(self) -> bool:
        """Whether the caller is on hold."""
        return self._is_held

    @property
    def prompts_ms(self) -> float:
        """How much of prompts, silent or not, has been played to the caller."""
        if self._prompt is None:
            return self._prompts_ms
        return self._prompts_ms + duration_ms(self._prompt.played_bytes, self.rate_hz)

    @property
    def played_ms(self) -> float:
        """How much agent audio, silent or not, has been played to the caller."""
        return self._played_ms + duration_ms(self._playout.played_bytes, self._playout.rate_hz)

    @property
    def speech_overflow_ms(self) -> float:
        """How much caller audio was dropped because it came too far ahead of real time."""
        return duration_ms(self._speech.dropped_bytes, self.rate_hz)

    def summary(self) -> dict[str, object]:
        """Return what was measured, as it appears in reports."""
        return {
            "agent_audio_ms": round(self.played_ms, 1),
            "prompt_audio_ms": round(self.prompts_ms, 1),
            "gaps": self.gaps.summary(),
            "playout_overflow_ms": round(self.playout_overflow_ms, 1),
            "stopped_ms": round(self.stopped_ms, 1),
            "speech_overflow_ms": round(self.speech_overflow_ms, 1),
            "pacing": self.pacing.summary(),
        }

    def _set_ticking(self) -> None:
        plays = self._prompt is not None or self._hold_music is not None
        wanted = not self._closed and (self._started or self._listener is not None or plays)
        if wanted and not self._ticking:
            self._ticker.add(self._tick)
        elif self._ticking and not wanted:
            self._ticker.remove(self._tick)
        self._ticking = wanted

    def _tick(self, now_s: float, late_s: float) -> None:
        self.pacing.add(now_s, late_s)
        said = self._padded(self._speech.take(len(self._silence)))
        if self._listener is not None:
            told = None if self._is_held else said
            self._listener.caller_frame(self._to_listener.frame(told), now_s, late_s)
        heard = self._with_prompt(self._to_caller.frame(self._playout.frame()))
        if self._is_held:
            heard = None if self._hold_music is None else self._hold_music.frame()
        if heard is not None and self._on_first_audio is not None and is_audible(heard):
            on_first_audio, self._on_first_audio = self._on_first_audio, None
            on_first_audio()
        if self._on_audio is not None:
            self._on_audio(heard or self._silence)
        if self._on_tracks is not None:
            self._on_tracks(said or self._silence, heard or self._silence)

    def _with_prompt(self, agent: bytes | None) -> bytes | None:
        prompt = None if self._prompt is None else self._prompt.frame()
        if agent is None or prompt is None:
            return agent if prompt is None else prompt
        return mixed(agent, prompt)

    def _padded(self, pcm: bytes) -> bytes | None:
        if not pcm:
            return None
        return pcm + bytes(len(self._silence) - len(pcm))


class _Direction:
    """Converts one direction's rate, and does nothing where the rates are equal.

    After the last audio one frame of silence goes through the filter too, so that its tail comes out.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._resampler = Resampler(from_hz, to_hz) if from_hz != to_hz else None
        self._silence = bytes(frame_bytes(from_hz))
        self._tail = False

    def frame(self, pcm: bytes | None) -> bytes | None:
        if self._resampler is None or (pcm is None and not self._tail):
            return pcm
        self._tail = pcm is not None
        return self._resampler.frame(pcm or self._silence)

    def reset(self) -> None:
        self._tail = False
        if self._resampler is not None:
            self._resampler.reset()
