# ruff: noqa: INP001 - a script, no package
"""Makes the default prompts in shared/prompts anew: `PYTHONPATH=. .venv/bin/python tools/prompts.py`.

By flite alone (Debian, Ubuntu: `apt-get install libflite1`). Its licence, and that of its CMU ARCTIC voice, allow any
use of what they say. espeak-ng is GPL-3.0 and puts recorded consonants of its own into the speech, so what it says
stays out of the package.
"""

import io
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from emulator.speech.flite import load_flite
from emulator.wav import resample

FOLDER = Path(__file__).resolve().parents[1] / "shared" / "prompts"
TEXTS = {
    "comfort": "One moment, please.",
    "apology": "I am sorry, we have a technical problem. Please call again later.",
    "goodbye": "Thank you for calling. Goodbye.",
    "reprompt": "Are you still there?",
}
RATE_HZ = 16_000
EDGE_MS = 50
"""Of near silence before and after the words."""
FADE_MS = 10
"""Of it, at the very ends, so that none begins or ends with a click."""
LEVEL_DBFS = -20.0
"""Of the words, root mean square."""
PEAK_DBFS = -1.0
"""At most: before anything is clipped it is quieter instead."""
WINDOW_MS = 10
QUIET = 0.03
"""Windows below this part of the loudest are not words."""


def spoken(text: str) -> npt.NDArray[np.float64]:
    """Return the words as samples, from shortly before to shortly after them, at the level they all have."""
    pcm, native_hz = load_flite()(text)
    samples = np.frombuffer(resample(pcm, native_hz, RATE_HZ), "<i2") / 32768
    size = WINDOW_MS * RATE_HZ // 1000
    windows = samples[: len(samples) // size * size].reshape(-1, size)
    loudness = np.sqrt((windows**2).mean(axis=1))
    words = loudness > QUIET * loudness.max()
    first, last = np.flatnonzero(words)[[0, -1]]
    edge = np.zeros(EDGE_MS * RATE_HZ // 1000)
    padded = np.concatenate((edge, samples[: len(windows) * size], edge))
    cut = padded[first * size : (last + 1) * size + 2 * len(edge)]
    level = 10 ** (LEVEL_DBFS / 20) / np.sqrt((windows[words] ** 2).mean())
    fade = np.linspace(0, 1, FADE_MS * RATE_HZ // 1000)
    cut = cut * min(level, 10 ** (PEAK_DBFS / 20) / np.abs(cut).max())
    cut[: len(fade)] *= fade
    cut[-len(fade) :] *= fade[::-1]
    return np.asarray(cut)


def main() -> None:
    """Write one file for each text."""
    for name, text in TEXTS.items():
        samples = np.rint(spoken(text) * 32767).astype("<i2")
        content = io.BytesIO()
        with wave.open(content, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(samples.itemsize)
            sound.setframerate(RATE_HZ)
            sound.writeframes(samples.tobytes())
        (FOLDER / f"{name}.wav").write_bytes(content.getvalue())


if __name__ == "__main__":
    main()
