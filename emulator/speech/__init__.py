"""Offline speech for emulated callers: flite where it is installed, else espeak-ng."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.speech.engine import SpeechError, Synthesise
from emulator.speech.espeak import load_espeak
from emulator.speech.flite import load_flite
from emulator.wav import resample

__all__ = ["INSTALL_HINT", "Engine", "SpeechError", "find_engine"]

INSTALL_HINT: Final = (
    "no speech engine found: install flite (Debian, Ubuntu: apt-get install libflite1; Fedora: dnf install flite) "
    "or espeak-ng (pip install 'acs-voice-gateway[speech]'), or pass --wav instead of --say"
)


@dataclass(frozen=True)
class Engine:
    """A speech engine that works on this machine."""

    name: str
    _synthesise: Synthesise

    def speak(self, text: str, rate_hz: int) -> bytes:
        """Return the words as mono 16-bit PCM. Blocks for some milliseconds: call it in a thread.

        Safe from several threads: each engine runs one text at a time, for its library's state is global.

        Raises:
            SpeechError: the engine failed, or the text has nothing to say.
        """
        if not any(map(str.isalnum, text)):
            raise SpeechError("the text has nothing that can be spoken")
        if not _is_unicode(text):
            raise SpeechError("the text is not valid UTF-8")
        pcm, native_hz = self._synthesise(text)
        return resample(pcm, native_hz, rate_hz)


def _is_unicode(text: str) -> bool:
    """Bytes of a command line that could not be decoded are surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


_LOADERS: Final[tuple[tuple[str, Callable[[], Synthesise]], ...]] = (
    # flite first: its licence is permissive and its voices are easier on recognisers.
    ("flite", load_flite),
    ("espeak-ng", load_espeak),
)


def find_engine() -> Engine:
    """Return the first engine that loads. Blocks: call it in a thread.

    Raises:
        SpeechError: there is none; the text says what to install.
    """
    for name, load in _LOADERS:
        try:
            return Engine(name, load())
        except (OSError, ImportError, AttributeError, SpeechError):
            # Not installed, or a library of another make that lacks a symbol: the next one may do.
            continue
    raise SpeechError(INSTALL_HINT)
