"""Reading what a realtime service sends; `events.py` has the events.

`decode` runs for every piece of the agent's audio.
"""

from typing import Final

import msgspec
import pybase64

from media_gateway.agents.realtime.events import KINDS, AudioDelta, Event, EventInvalid, Kind, RawDelta
from shared.acs.media import BYTES_PER_SAMPLE

_decode_base64: Final = pybase64.b64decode
_read_audio: Final = msgspec.json.Decoder(RawDelta).decode
_read_event: Final = msgspec.json.Decoder(Event).decode
_AUDIO_TYPES: Final = frozenset(name for name, kind in KINDS.items() if kind is Kind.AUDIO)
_AUDIO_MARK: Final = b'audio.delta"'
_MARK_WITHIN: Final = 256
"""Where a message's type stands, in all services seen; the base64 of 20 ms alone has 1280 characters."""
_DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


def decode(message: bytes) -> AudioDelta | Event:
    """Read one message.

    Raises:
        EventInvalid: it is no event, or its audio is no whole samples.
    """
    try:
        if message.find(_AUDIO_MARK, 0, _MARK_WITHIN) < 0:
            event = _read(message)
            if event.type not in _AUDIO_TYPES:
                return event
        audio = _read_audio(message)
        if audio.type not in _AUDIO_TYPES:
            return _read(message)
        pcm: bytes | None = _decode_base64(audio.delta, None, True)  # strict; by name it takes twice as long
    except _DECODE_ERRORS:
        pcm = None
    if pcm is None or len(pcm) % BYTES_PER_SAMPLE:
        # Not within `except`: the reader's error may quote the message, and would go along as the context of this.
        raise EventInvalid
    return AudioDelta(audio.response_id, audio.item_id, pcm)


def _read(message: bytes) -> Event:
    try:
        return _read_event(message)
    except msgspec.ValidationError:
        pass
    # Members that are null are as good as absent; and what an event that means nothing to us holds is its own business.
    members = msgspec.json.decode(message)
    if not isinstance(members, dict) or not isinstance(members.get("type"), str):
        raise EventInvalid
    if members["type"] not in KINDS:
        return Event(members["type"])
    return msgspec.convert(_without_nulls(members), Event)


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value
