"""What ACS is to recognise of a caller, and what it has recognised.

Limits are those that the service documents; it refuses what is beyond, or waits less long. What is said, by either
side, and what is pressed is in no `repr`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TONES: Mapping[str, str] = {
    "0": "zero",
    "1": "one",
    "2": "two",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
    "8": "eight",
    "9": "nine",
    "*": "asterisk",
    "#": "pound",
    "A": "a",
    "B": "b",
    "C": "c",
    "D": "d",
}
"""Call Automation's name of each key, in requests and callbacks alike."""

_KEYS: Mapping[str, str] = {tone: key for key, tone in TONES.items()}


@dataclass(frozen=True, slots=True)
class FilePrompt:
    """A WAV file for ACS to fetch, without credentials: PCM, mono, 16 bits, 16 kHz."""

    url: str = field(repr=False)
    cache_id: str | None = None


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """At most 4,000 characters for Azure AI to speak, by the voice of that name, as `en-US-JennyNeural`."""

    text: str = field(repr=False)
    voice: str
    locale: str | None = None
    """None where the voice tells."""
    custom_voice: str | None = None
    """Endpoint that the voice was deployed to."""
    cache_id: str | None = None
    """Where ACS may keep what it has rendered, by the application's own name."""


@dataclass(frozen=True, slots=True)
class SsmlPrompt:
    """Words with markup, for Azure AI to speak."""

    ssml: str = field(repr=False)
    custom_voice: str | None = None
    cache_id: str | None = None


Prompt = FilePrompt | TextPrompt | SsmlPrompt


@dataclass(frozen=True, slots=True)
class Digits:
    """Keys; needs no Azure AI."""

    most: int
    """From 1; with so many it is over."""
    stop: str = ""
    """Keys that end it early."""
    pause_s: int = 2
    """From 1 to 60, to the next key."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Words, as text."""

    end_silence_s: float | None = None
    """Then the caller has said all; None is the service's half second."""


@dataclass(frozen=True, slots=True)
class SpeechOrDigits:
    """Whichever comes first."""

    speech: Speech
    digits: Digits


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several, by any of its phrases or by its key."""

    label: str
    phrases: tuple[str, ...]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """One of these."""

    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Recognition:
    """One thing to recognise.

    `language` and `speech_model`, the endpoint that a custom model was deployed to, are for words alone.
    """

    wanted: Digits | Speech | SpeechOrDigits | Choices
    prompts: tuple[Prompt, ...] = ()
    """Heard one after another, first."""
    barge_in: bool = True
    """Whether keys or words that count end the prompts."""
    silence_s: int = 5
    """After the prompts, and before the first key or word; from 0 to 300, where words count to 20."""
    language: str | None = None
    """As `de-DE`; None is the service's `en-US`."""
    speech_model: str | None = None


@dataclass(frozen=True, slots=True)
class Recognised:
    """What was recognised: one of the three."""

    digits: str | None = field(default=None, repr=False)
    """As on the keys (`12#`). Whether a key that ended it is among them is not documented."""
    speech: str | None = field(default=None, repr=False)
    choice: str | None = field(default=None, repr=False)
    """Its label."""


def recognised(data: Mapping[str, Any]) -> Recognised | None:
    """Read `data` of RecognizeCompleted; None where nothing can be read.

    Its code may be 400 all the same, with sub-code 8532: the digits so far, after which none came in time.
    """
    match data:
        case {"recognitionType": "dtmf", "dtmfResult": {"tones": [*tones]}}:
            keys = [_KEYS.get(tone) if isinstance(tone, str) else None for tone in tones]
            known = [key for key in keys if key is not None]
            return Recognised(digits="".join(known)) if len(known) == len(keys) else None
        case {"recognitionType": "speech", "speechResult": {"speech": str(speech)}}:
            return Recognised(speech=speech)
        case {"recognitionType": "choices", "choiceResult": {"label": str(label)}}:
            return Recognised(choice=label)
        case _:
            return None
