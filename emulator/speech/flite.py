"""CMU flite through its shared libraries."""

import ctypes
import threading
from functools import cache
from typing import Final

from emulator.speech.engine import SpeechError, Synthesise

VOICES: Final = ("rms", "slt", "kal16")
"""In order of preference; Debian's package has all, others may have fewer."""

_LIBRARIES: Final = ("libflite.so.1", "libflite_usenglish.so.1", "libflite_cmulex.so.1")
_LOCK: Final = threading.Lock()


class _Wave(ctypes.Structure):
    """`cst_wave` of flite's headers."""

    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_int16)),
    )


@cache
def load_flite() -> Synthesise:
    """Load flite and its best voice, once per process.

    Raises:
        OSError: flite, or every voice of it, is not installed.
    """
    with _LOCK:
        # The voice needs symbols of the others, and does not name them as its dependencies everywhere.
        flite, *_ = [ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL) for name in _LIBRARIES]
        flite.flite_text_to_wave.restype = ctypes.POINTER(_Wave)
        flite.flite_text_to_wave.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
        flite.delete_wave.argtypes = [ctypes.POINTER(_Wave)]
        flite.flite_init()
        voice = _load_voice()

    def synthesise(text: str) -> tuple[bytes, int]:
        with _LOCK:
            wave = flite.flite_text_to_wave(text.encode(), voice)
            if not wave:
                raise SpeechError("flite returned no audio")
            try:
                made = wave.contents
                size = made.num_samples * ctypes.sizeof(ctypes.c_int16)
                return ctypes.string_at(made.samples, size), made.sample_rate
            finally:
                flite.delete_wave(wave)

    return synthesise


def _load_voice() -> int:
    missing: OSError | None = None
    for name in VOICES:
        try:
            library = ctypes.CDLL(f"libflite_cmu_us_{name}.so.1", mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            missing = error
            continue
        register = getattr(library, f"register_cmu_us_{name}")
        register.restype = ctypes.c_void_p
        register.argtypes = [ctypes.c_char_p]
        return int(register(None))
    raise missing or OSError("flite has no voice")
