"""espeak-ng through the library that the package espeakng-loader carries. GPL-3.0, hence an optional extra."""

import ctypes
import threading
from functools import cache
from typing import Final

from emulator.speech.engine import SpeechError, Synthesise

WORDS_PER_MINUTE: Final = 165
VOICE: Final = b"en-us"

# Of espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS: Final = 2
_BUFFER_MS: Final = 200
_PARAMETER_RATE: Final = 1
_POSITION_CHARACTER: Final = 1
_CHARACTERS_UTF8: Final = 1
_OK: Final = 0

_CALLBACK: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_LOCK: Final = threading.Lock()


@cache
def load_espeak() -> Synthesise:
    """Load espeak-ng, once per process.

    Raises:
        ImportError: the package is not installed.
        SpeechError: it does not start.
    """
    import espeakng_loader  # late: an optional extra

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    with _LOCK:
        data = espeakng_loader.get_data_path().encode()
        rate_hz = library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, data, 0)
        if rate_hz <= 0 or library.espeak_SetVoiceByName(VOICE) != _OK:
            raise SpeechError("espeak-ng does not start")
        library.espeak_SetParameter(_PARAMETER_RATE, WORDS_PER_MINUTE, 0)

    def synthesise(text: str) -> tuple[bytes, int]:
        pieces: list[bytes] = []

        def take(samples: int | None, count: int, _events: int | None) -> int:
            if samples is not None and count > 0:
                pieces.append(ctypes.string_at(samples, count * ctypes.sizeof(ctypes.c_int16)))
            return 0

        encoded = text.encode()
        callback = _CALLBACK(take)  # kept here as long as the library may call it
        with _LOCK:
            library.espeak_SetSynthCallback(callback)
            failed = library.espeak_Synth(
                encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _CHARACTERS_UTF8, None, None
            )
        if failed:
            raise SpeechError("espeak-ng returned no audio")
        return b"".join(pieces), rate_hz

    return synthesise
