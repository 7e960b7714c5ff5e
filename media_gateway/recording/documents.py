"""`transcript.json` and `call.json`: what a recording says in words. Their shapes are published as JSON Schema.

Both hold what the operator asked to keep, personal data included; none of it is ever logged. Times in milliseconds
count from the first sample of the recording.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median_low
from typing import Any, TypeAlias

import msgspec

from media_gateway.recording.merge import Gathered
from media_gateway.recording.parts import PartName
from media_gateway.recording.turns import Turn

Document: TypeAlias = dict[str, Any]

VERSION = 1
"""Of both documents; raised when a member changes its meaning or goes."""
TRANSCRIPT_NAME = "transcript.json"
TRANSCRIPT_SCHEMA = Path(__file__).with_name("transcript.schema.json")
CALL_SCHEMA = Path(__file__).with_name("call.schema.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The recording that was made of a call's parts. Ranges are milliseconds of the recording: from, and to."""

    rate_hz: int
    begins_ms: int
    """Where the recording begins on the call's line."""
    duration_ms: int
    lost: Sequence[tuple[int, int]]
    parts: Sequence[PartName]
    turns: Sequence[Turn]


def transcript_document(gathered: Gathered, made: Made) -> Document:
    """Return what was said, in the order in which it began."""
    entries = []
    for entry in sorted(gathered.entries.values(), key=lambda entry: (entry.start_ms, entry.number)):
        shown = msgspec.to_builtins(entry)
        del shown["number"]
        shown["start_ms"] = max(0, entry.start_ms - made.begins_ms)
        shown["end_ms"] = max(0, entry.end_ms - made.begins_ms)
        entries.append(shown)
    return {
        "version": VERSION,
        "call_id": gathered.call.call_id,
        "account": gathered.call.account,
        "profile": gathered.call.profile,
        "began": _recording_began(gathered, made),
        "duration_ms": made.duration_ms,
        "paused": _ranges(_pauses(gathered, made)),
        "entries": entries,
    }


def call_document(gathered: Gathered, made: Made) -> Document:
    """Return what is known of the call beside its words."""
    call, times = gathered.call, gathered.call.times
    counts = Counter({name: value for name, value in call.counts.items() if value})
    for of_owner in gathered.counts.values():
        counts.update(of_owner)
    return {
        "version": VERSION,
        "call_id": call.call_id,
        "account": call.account,
        "profile": call.profile,
        "caller": call.caller,
        "called": call.called,
        "correlation_id": call.correlation_id,
        "server_call_id": call.server_call_id,
        "call_connection_id": call.call_connection_id,
        "times": {name: None if at is None else _instant(at) for name, at in times.items()},
        "outcome": {"state": call.state, "cause": call.cause, "detail": call.detail},
        "variables": {"in": dict(call.variables_in), "out": dict(call.variables_out)},
        "timeline": _timeline(gathered, made),
        "latencies": _latencies(gathered, made.turns),
        "interruptions": sum(entry.interrupted for entry in gathered.entries.values()),
        "gaps": [
            {
                "track": gap.track,
                "start_ms": max(0, gap.start_ms - made.begins_ms),
                "length_ms": gap.length_ms,
            }
            for gap in sorted(gathered.missing, key=lambda gap: gap.start_ms)
        ],
        "recording": {
            "format": call.format.value,
            "rate_hz": made.rate_hz,
            "began": _recording_began(gathered, made),
            "duration_ms": made.duration_ms,
            "lost_ms": sum(end - begin for begin, end in made.lost),
            "lost": _ranges(made.lost),
            "paused": _ranges(_pauses(gathered, made)),
            "parts": [str(part) for part in made.parts],
        },
        "counts": dict(counts),
    }


def _timeline(gathered: Gathered, made: Made) -> list[Document]:
    created = gathered.call.times["created"] or 0
    stages = [
        {
            "at_ms": round((stage.at - created) * 1000) - made.begins_ms,
            "event": stage.event,
            "detail": "refused" if stage.refused else "",
            "state": stage.state,
        }
        for stage in gathered.call.history
    ]
    happened = [
        {"at_ms": note.at_ms - made.begins_ms, "event": note.event, "detail": note.detail, "state": None}
        for note in gathered.happened
    ]
    return sorted([*stages, *happened], key=lambda each: each["at_ms"])


def _latencies(gathered: Gathered, turns: Sequence[Turn]) -> Document:
    times = gathered.call.times
    answered, heard = times.get("answered"), times.get("first_agent_audio")
    waits = [turn.wait_ms for turn in turns]
    return {
        "first_agent_audio_ms": None
        if answered is None or heard is None
        else max(0, round((heard - answered) * 1000)),
        "turn_p50_ms": median_low(waits) if waits else None,
        "turn_max_ms": max(waits, default=None),
        "turns": [turn._asdict() for turn in turns],
    }


def _pauses(gathered: Gathered, made: Made) -> list[tuple[int, int]]:
    return [
        (max(0, begin - made.begins_ms), made.duration_ms if end is None else max(0, end - made.begins_ms))
        for begin, end in sorted(gathered.pauses.items())
    ]


def _ranges(ranges: Sequence[tuple[int, int]]) -> list[Document]:
    return [{"start_ms": begin, "length_ms": end - begin} for begin, end in ranges]


def _recording_began(gathered: Gathered, made: Made) -> str:
    return _instant((gathered.call.times["created"] or 0) + made.begins_ms / 1000)


def _instant(at: float) -> str:
    """Return Unix seconds as ISO 8601, UTC, to a millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
