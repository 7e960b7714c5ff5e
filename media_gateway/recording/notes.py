"""What a part says about its call beside the audio, so that a killed process loses no more of one than of the other.

Lists hold what is new since the part before; everything else is the state at the end of the part, so of several parts
the last counts. Times are milliseconds of the call's line, or Unix seconds where the name ends in `_at`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import msgspec
from msgspec import Struct

from media_gateway.recording.transcript import Entry
from shared.core.call import CallRecord
from shared.core.profiles import Analysis, RecordingFormat


class Happened(Struct, frozen=True, omit_defaults=True):
    """An entry of the timeline."""

    at_ms: int
    event: str
    detail: str = ""


class Missing(Struct, frozen=True):
    """Silence of one track where something should have been."""

    track: str
    start_ms: int
    length_ms: int


class Stage(Struct, frozen=True, omit_defaults=True):
    """An event of the call's row."""

    at: float
    event: str
    state: str
    refused: bool = False


class CallFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the owner of a call knows about it."""

    call_id: str
    account: str
    profile: str
    format: RecordingFormat
    caller: str
    called: str
    correlation_id: str
    server_call_id: str
    call_connection_id: str | None = None
    times: Mapping[str, float | None]
    """As in `CallTimes`; `created` is where the call's line begins."""
    state: str
    cause: str | None = None
    detail: str = ""
    history: tuple[Stage, ...] = ()
    variables_in: Mapping[str, str] = {}
    variables_out: Mapping[str, str] = {}
    counts: Mapping[str, int] = {}
    analysis: Analysis | None = None


class Notes(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The notes of one part."""

    call: CallFacts
    entries: Sequence[Entry] = []
    happened: Sequence[Happened] = []
    missing: Sequence[Missing] = []
    pauses: Sequence[tuple[int, int | None]] = []
    """All so far of this owner: from, and to before; None while it lasts."""
    counts: Mapping[str, int] = {}


def call_facts(
    record: CallRecord,
    *,
    detail: str = "",
    counts: Mapping[str, int] | None = None,
) -> CallFacts:
    """Return what is kept of a call's record.

    Args:
        record: The call, as its owner has it.
        detail: Of why it ended; a name of ours.
        counts: What was received and sent, by name.

    Raises:
        ValueError: nothing is to be kept of the call.
    """
    recording = record.profile.recording
    if recording is None:
        raise ValueError("the call's profile keeps no recording")
    return CallFacts(
        call_id=record.call_id,
        account=record.account_id,
        profile=record.profile.name,
        format=recording.format,
        caller=record.caller,
        called=record.called,
        correlation_id=record.correlation_id,
        server_call_id=record.server_call_id,
        call_connection_id=record.call_connection_id,
        times=asdict(record.times),
        state=record.state.value,
        cause=record.cause and record.cause.value,
        detail=detail,
        history=tuple(
            Stage(entry.at, entry.event.value, entry.state.value, entry.refused) for entry in record.history
        ),
        variables_in=record.variables,
        variables_out=record.output,
        counts=counts or {},
        analysis=recording.analysis,
    )


def encode_notes(notes: Notes) -> bytes:
    """Return notes as JSON."""
    return msgspec.json.encode(notes)


def decode_notes(data: bytes) -> Notes:
    """Return the notes of a part.

    Raises:
        msgspec.DecodeError: they are not as they were written.
    """
    return msgspec.json.decode(data, type=Notes)
