"""The media WebSocket's messages: JSON text, one object each.

From ACS: AudioMetadata, AudioData, DtmfData, exactly cased. To ACS: AudioData and StopAudio. Four published
clients spell the latter differently (`AudioData`, `audioData`, mixed), so ACS must read property names and kinds
in any case, and so does this. It goes by `kind`: one of those clients puts a `stopAudio` member into its audio
messages.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
import pybase64

from emulator.media.pcm import SAMPLE_BYTES, frame_bytes

_BEFORE_STAMP: Final = b'{"kind":"AudioData","audioData":{"timestamp":"'
_AFTER_DATA: Final = b'","silent":false}}'
_AFTER_SILENCE: Final = b'","silent":true}}'


class FrameEncoder:
    """Encodes the caller's 20 ms frames as AudioData messages.

    Args:
        rate_hz: of the stream.
        participant_raw_id: who is speaking, on an unmixed stream; None on a mixed one, which does not say.
    """

    def __init__(self, rate_hz: int, participant_raw_id: str | None) -> None:
        who = b""
        if participant_raw_id is not None:
            who = b'"participantRawID":' + msgspec.json.encode(participant_raw_id) + b","
        self._before_data = b'Z",' + who + b'"data":"'
        self._silence = self._before_data + pybase64.b64encode(bytes(frame_bytes(rate_hz))) + _AFTER_SILENCE

    def encode(self, pcm: bytes | None) -> bytes:
        """Return the message for one frame, stamped with the present time; None is silence, sent as zeros."""
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")[: -len("+00:00")].encode()
        if pcm is None:
            return b"".join((_BEFORE_STAMP, stamp, self._silence))
        return b"".join((_BEFORE_STAMP, stamp, self._before_data, pybase64.b64encode(pcm), _AFTER_DATA))


def encode_metadata(subscription_id: str, rate_hz: int) -> bytes:
    """Return the AudioMetadata message, the first on every connection."""
    return msgspec.json.encode(
        {
            "kind": "AudioMetadata",
            "audioMetadata": {
                "subscriptionId": subscription_id,
                "encoding": "PCM",
                "sampleRate": rate_hz,
                "channels": 1,
                "length": frame_bytes(rate_hz),
            },
        }
    )


def encode_digit(digit: str) -> bytes:
    """Return the DtmfData message for one key."""
    return msgspec.json.encode({"kind": "DtmfData", "dtmfData": {"data": digit}})


@dataclass(frozen=True, slots=True)
class AgentAudio:
    """Audio for the caller, any whole number of samples."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class StopAudio:
    """Barge-in: drop what is queued."""


@dataclass(frozen=True, slots=True)
class UnknownKind:
    """A message of a kind that ACS does not know."""

    kind: str


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A message that cannot be read. `reason` is one of a fixed few."""

    reason: str


Message = AgentAudio | StopAudio | UnknownKind | BadMessage


def decode(raw: bytes) -> Message:
    """Read one text message from the gateway. Never raises: what is wrong is said in the result."""
    try:
        usual = _decode_usual(raw)
    except _UNREADABLE:
        return _decode_any_case(raw)
    audio = usual.audio_data
    if usual.kind == "AudioData" and audio is not None and audio.data is not None:
        return _audio(audio.data)
    return _decode_any_case(raw)


class _UsualAudio(msgspec.Struct, rename="pascal"):
    data: bytes | None = None


class _Usual(msgspec.Struct, rename="pascal"):
    """The official Python and .NET spelling, decoded without a detour: it is nearly every message."""

    kind: str = ""
    audio_data: _UsualAudio | None = None


_decode_usual: Final = msgspec.json.Decoder(_Usual).decode

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises at wrong JSON, wrong types, wrong UTF-8 and nesting without end."""


def _decode_any_case(raw: bytes) -> Message:
    try:
        message = msgspec.json.decode(raw)
    except _UNREADABLE:
        return BadMessage("not JSON")
    if not isinstance(message, dict):
        return BadMessage("not an object")
    kind = _member(message, "kind")
    if not isinstance(kind, str) or not kind:
        return BadMessage("no kind")
    match kind.lower():
        case "stopaudio":
            return StopAudio()
        case "audiodata":
            audio = _member(message, "audiodata")
            data = _member(audio, "data") if isinstance(audio, dict) else None
            if not isinstance(data, str):
                return BadMessage("no data")
            try:
                return _audio(pybase64.b64decode(data, validate=True))
            except ValueError:
                return BadMessage("not base64")
        case _:
            return UnknownKind(kind)


def _audio(pcm: bytes) -> Message:
    return BadMessage("odd size") if len(pcm) % SAMPLE_BYTES else AgentAudio(pcm)


def _member(members: dict[str, object], name: str) -> object:
    for key, value in members.items():
        if key.lower() == name:
            return value
    return None
