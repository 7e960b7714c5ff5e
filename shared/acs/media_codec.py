"""What is read from the media WebSocket of ACS, and written to it; `media.py` has the messages.

`decode` runs for every 20 ms of every call, and takes about 1 us. Only a message that fails is looked at again, to
say what is wrong with it.
"""

from typing import Final

import msgspec
import pybase64

from shared.acs.media import (
    BYTES_PER_SAMPLE,
    MAX_FRAME_BYTES,
    MAX_PARTICIPANT_CHARS,
    RATES_HZ,
    AudioData,
    AudioMetadata,
    DtmfDigit,
    Envelope,
    Flaw,
    Kinded,
    MediaInvalid,
    Message,
    Payload,
    read_digit,
)

_KINDS: Final = frozenset({"AudioData", "AudioMetadata", "DtmfData"})

_decode_base64: Final = pybase64.b64decode
_read_envelope: Final = msgspec.json.Decoder(Envelope).decode
_DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises; deep nesting is a RecursionError even in members that we skip."""


def decode(message: Payload) -> Message | None:
    """Read one message from ACS; None where it is of a kind, or a key, that we do not know.

    Args:
        message: UTF-8 JSON; it may be a view of a buffer that is reused afterwards.

    Raises:
        MediaInvalid: the message is not what ACS documents.
    """
    envelope: Envelope | None
    try:
        envelope = _read_envelope(message)
    except _DECODE_ERRORS:
        envelope = None
    if envelope is None:
        # Not within `except`: the reader's error may quote the message, and would go along as the context of ours.
        flaw = _flaw_of(message)
        if flaw is None:
            return None
        raise MediaInvalid(flaw)
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
        pcm: bytes | None
        try:
            pcm = _decode_base64(text, None, True)  # strict; by name it takes twice as long
        except ValueError:
            pcm = None
        if pcm is None:
            raise MediaInvalid(Flaw.BAD_BASE64)
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


# PascalCase is what Microsoft's Python and .NET samples send.
AUDIO_BEGIN: Final = b'{"Kind":"AudioData","AudioData":{"Data":"'
AUDIO_END: Final = b'"},"StopAudio":null}'
"""What stands around the base64 of whole samples, of any length (we send up to 100 ms)."""


def encode_audio(pcm: Payload) -> bytes:
    """Return the AudioData message for `pcm`."""
    return AUDIO_BEGIN + pybase64.b64encode(pcm) + AUDIO_END


STOP_AUDIO: Final = b'{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}'
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


def _flaw_of(message: Payload) -> Flaw | None:
    """Say what is wrong with a message that the typed reader refused; None if its kind is unknown anyway."""
    try:
        rough = msgspec.json.decode(message, type=Kinded)
    except msgspec.ValidationError:
        return Flaw.BAD_MESSAGE
    except _DECODE_ERRORS:
        return Flaw.BAD_JSON
    if rough.kind not in _KINDS:
        return None
    if rough.kind == "AudioMetadata":
        return Flaw.BAD_METADATA
    return Flaw.BAD_MESSAGE
