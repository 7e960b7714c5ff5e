"""The media WebSocket of ACS: text messages of one JSON object each.

From ACS come AudioMetadata (first), AudioData (50 a second) and DtmfData; names are spelled exactly as in
`_Envelope`. To ACS go AudioData and StopAudio. Kinds that we do not know are ignored: preview versions of the
service send more. Audio is signed 16-bit little-endian mono PCM, both ways at the rate of AudioMetadata.

`decode` runs for every 20 ms of every call, and takes about 1 us. Only a message that fails is looked at again, to
say what is wrong with it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

import msgspec
import pybase64
from msgspec import Struct, field

Payload: TypeAlias = bytes | bytearray | memoryview

BYTES_PER_SAMPLE = 2
FRAMES_PER_SECOND = 50
MAX_FRAME_BYTES = 48_000
"""Longest audio of one message that is believed: one second at 24 kHz. ACS sends 20 ms."""
MAX_PARTICIPANT_CHARS = 256
"""Longest raw id of a speaker; real ones have about 90 characters."""
RATES_HZ = frozenset({16_000, 24_000})


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


class _AudioData(Struct, frozen=True, gc=False):
    """As it comes: msgspec would decode the base64 too, at four times the cost."""

    data: str | None = None
    participant: str | None = field(default=None, name="participantRawID")
    silent: bool | None = None


class _DtmfData(Struct, frozen=True, gc=False):
    data: str


class _Envelope(Struct, frozen=True, gc=False):
    kind: str
    audio: _AudioData | None = field(default=None, name="audioData")
    metadata: AudioMetadata | None = field(default=None, name="audioMetadata")
    dtmf: _DtmfData | None = field(default=None, name="dtmfData")


_KINDS = frozenset({"AudioData", "AudioMetadata", "DtmfData"})

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

_decode_base64 = pybase64.b64decode
_read_envelope = msgspec.json.Decoder(_Envelope).decode
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises; deep nesting is a RecursionError even in members that we skip."""


def decode(message: Payload) -> Message | None:
    """Read one message from ACS; None where it is of a kind, or a key, that we do not know.

    Args:
        message: UTF-8 JSON; it may be a view of a buffer that is reused afterwards.

    Raises:
        MediaInvalid: the message is not what ACS documents.
    """
    try:
        envelope = _read_envelope(message)
    except _DECODE_ERRORS:
        flaw = _flaw_of(message)
        if flaw is None:
            return None
        raise MediaInvalid(flaw) from None
    kind = envelope.kind
    if kind == "AudioData":
        audio = envelope.audio
        if audio is None:
            raise MediaInvalid(Flaw.BAD_MESSAGE)
        participant, text = audio.participant, audio.data
        if participant and len(participant) > MAX_PARTICIPANT_CHARS:
            raise MediaInvalid(Flaw.BAD_MESSAGE)
        if not text:
            return AudioData(None if text is None else b"", participant, audio.silent)
        try:
            pcm = _decode_base64(text, None, True)  # strict; by name it takes twice as long
        except ValueError:
            raise MediaInvalid(Flaw.BAD_BASE64) from None
        size = len(pcm)
        if size % BYTES_PER_SAMPLE:
            raise MediaInvalid(Flaw.ODD_SIZE)
        if size > MAX_FRAME_BYTES:
            raise MediaInvalid(Flaw.TOO_LARGE)
        return AudioData(pcm, participant, audio.silent)
    if kind == "DtmfData":
        if envelope.dtmf is None:
            raise MediaInvalid(Flaw.BAD_MESSAGE)
        digit = read_digit(envelope.dtmf.data)
        return None if digit is None else DtmfDigit(digit)
    if kind == "AudioMetadata":
        return _checked(envelope.metadata)
    return None


def read_digit(spelling: str) -> str | None:
    """Return the one character for a key, however it is spelled; None for a spelling that we do not know."""
    return _DIGITS.get(spelling.strip().lower())


# PascalCase is what Microsoft's Python and .NET samples send.
AUDIO_BEGIN, AUDIO_END = b'{"Kind":"AudioData","AudioData":{"Data":"', b'"},"StopAudio":null}'
"""What stands around the base64 of whole samples, of any length (we send up to 100 ms)."""


def encode_audio(pcm: Payload) -> bytes:
    """Return the AudioData message for `pcm`."""
    return AUDIO_BEGIN + pybase64.b64encode(pcm) + AUDIO_END


STOP_AUDIO = b'{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}'
"""Tells ACS to stop playing, and to drop all that it has queued."""


def _checked(metadata: AudioMetadata | None) -> AudioMetadata:
    if metadata is None:
        raise MediaInvalid(Flaw.BAD_MESSAGE)
    size = metadata.frame_bytes
    if (
        metadata.rate_hz not in RATES_HZ
        or metadata.channels != 1
        or metadata.encoding.upper() != "PCM"
        or (size is not None and not (0 < size <= MAX_FRAME_BYTES and size % BYTES_PER_SAMPLE == 0))
    ):
        raise MediaInvalid(Flaw.BAD_METADATA)
    return metadata


class _Rough(Struct, frozen=True):
    kind: str


def _flaw_of(message: Payload) -> Flaw | None:
    """Say what is wrong with a message that the typed reader refused; None if its kind is unknown anyway."""
    try:
        rough = msgspec.json.decode(message, type=_Rough)
    except msgspec.ValidationError:
        return Flaw.BAD_MESSAGE
    except _DECODE_ERRORS:
        return Flaw.BAD_JSON
    if rough.kind not in _KINDS:
        return None
    if rough.kind == "AudioMetadata":
        return Flaw.BAD_METADATA
    return Flaw.BAD_MESSAGE
