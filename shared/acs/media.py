"""The media WebSocket of ACS: text messages of one JSON object each.

From ACS come AudioMetadata (first), AudioData (50 a second) and DtmfData; names are spelled exactly as in
`Envelope`. To ACS go AudioData and StopAudio. Kinds that we do not know are ignored: preview versions of the
service send more. Audio is signed 16-bit little-endian mono PCM, both ways at the rate of AudioMetadata.

`media_codec.py` reads and writes them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct, field

Payload: TypeAlias = bytes | bytearray | memoryview

BYTES_PER_SAMPLE: Final = 2
FRAMES_PER_SECOND: Final = 50
MAX_FRAME_BYTES: Final = 48_000
"""Longest audio of one message that is believed: one second at 24 kHz. ACS sends 20 ms."""
MAX_PARTICIPANT_CHARS: Final = 256
"""Longest raw id of a speaker; real ones have about 90 characters."""
RATES_HZ: Final = frozenset({16_000, 24_000})


class Flaw(StrEnum):
    """What is wrong with a message, or with a stream of them; safe to log and to send as a close reason."""

    BAD_JSON = "bad_json"
    BAD_MESSAGE = "bad_message"
    BAD_BASE64 = "bad_base64"
    BAD_METADATA = "bad_metadata"
    ODD_SIZE = "odd_size"
    TOO_LARGE = "too_large"
    NOT_TEXT = "not_text"
    BAD_FRAMING = "bad_framing"
    FORMAT_MISMATCH = "format_mismatch"
    NO_METADATA = "no_metadata"


class MediaInvalid(Exception):
    """The other side broke the media protocol. Its text holds nothing of the message."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw


class AudioData(Struct, frozen=True, gc=False):
    """20 ms of audio, or a tick of silence without bytes."""

    data: bytes | None = None
    participant: str | None = None
    """Raw id of the speaker (personal data); None or empty on a mixed stream."""
    silent: bool | None = None


class AudioMetadata(Struct, frozen=True, gc=False):
    """The format of both directions; the first message of a socket."""

    rate_hz: int = field(name="sampleRate")
    encoding: str = "PCM"
    channels: int = 1
    frame_bytes: int | None = field(default=None, name="length")

    @property
    def silence(self) -> bytes:
        """A frame of silence, for ticks that come without bytes."""
        return bytes(self.frame_bytes or self.rate_hz // FRAMES_PER_SECOND * BYTES_PER_SAMPLE)


class DtmfDigit(Struct, frozen=True, gc=False):
    """A key that the caller pressed: one of `0123456789*#ABCD`."""

    digit: str


Message = AudioData | AudioMetadata | DtmfDigit


class RawAudio(Struct, frozen=True, gc=False):
    """AudioData as it comes: msgspec would decode the base64 too, at four times the cost."""

    data: str | None = None
    participant: str | None = field(default=None, name="participantRawID")
    silent: bool | None = None


class RawDtmf(Struct, frozen=True, gc=False):
    """DtmfData as it comes."""

    data: str


class Envelope(Struct, frozen=True, gc=False):
    """A message from ACS as it comes."""

    kind: str
    audio: RawAudio | None = field(default=None, name="audioData")
    metadata: AudioMetadata | None = field(default=None, name="audioMetadata")
    dtmf: RawDtmf | None = field(default=None, name="dtmfData")


class Kinded(Struct, frozen=True):
    """Of a message that is no `Envelope`: of which kind it means to be."""

    kind: str


_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS: Mapping[str, str] = {
    **{digit: digit for digit in "0123456789*#"},
    **{word: str(value) for value, word in enumerate(_WORDS)},
    **{letter: letter.upper() for letter in "abcd"},
    # Callbacks spell these two as words; the spelling on this socket is not documented.
    "asterisk": "*",
    "star": "*",
    "pound": "#",
    "hash": "#",
}


def read_digit(spelling: str) -> str | None:
    """Return the one character for a key, however it is spelled; None for a spelling that we do not know."""
    return _DIGITS.get(spelling.strip().lower())
