"""How a call went: figures, gates, exit code."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

from emulator.caller.transfers import TransferSeen


class ExitCode(IntEnum):
    """What the command returns; scripts may rely on it."""

    OK = 0
    CALL_LOST = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_ANSWERED = 4
    NOTHING_HEARD = 5
    GATE_FAILED = 6
    INTERRUPTED = 130


@dataclass(frozen=True)
class Limits:
    """Bounds that a call must keep; None is no bound."""

    max_answer_ms: float | None = None
    max_first_audio_ms: float | None = None
    max_gap_ms: float | None = None
    min_heard_ms: float | None = None


@dataclass(frozen=True)
class Gate:
    """One limit and what was measured; a value that was never seen does not hold."""

    name: str
    limit: float
    value: float | None
    held: bool


@dataclass
class Outcome:
    """What the caller's program saw of one call.

    Attributes:
        end: why it ended, as the emulator says; None when the socket was lost before.
        message: what else the emulator had to say about it.
        states: (name, ms since the call was placed) in order.
        heard_ms: audio of the agent, or played by ACS, that was not silence, in whole frames of 20 ms.
        measured: the emulator's own report of the line: gaps, pacing, overflows.
        transfers: tries to send the caller on that were settled.
    """

    end: str | None = None
    message: str = ""
    states: list[tuple[str, float]] = field(default_factory=list)
    heard_ms: int = 0
    measured: dict[str, Any] = field(default_factory=dict)
    transfers: list[TransferSeen] = field(default_factory=list)

    def at_ms(self, state: str) -> float | None:
        """Return when the call first got into a state."""
        return next((at_ms for name, at_ms in self.states if name == state), None)

    @property
    def answer_ms(self) -> float | None:
        """From dialling to the answer."""
        return self.at_ms("answered")

    @property
    def first_audio_ms(self) -> float | None:
        """From the answer to the first agent audio, other than silence, at the caller's ear."""
        answered_ms, audio_ms = self.answer_ms, self.at_ms("first_audio")
        return None if answered_ms is None or audio_ms is None else round(audio_ms - answered_ms, 1)


def judge(outcome: Outcome, limits: Limits) -> tuple[list[Gate], ExitCode]:
    """Hold a call against its limits; the exit code names the first thing that went wrong."""
    gap_ms = outcome.measured.get("gaps", {}).get("max_ms")
    highest = (
        ("max-answer-ms", limits.max_answer_ms, outcome.answer_ms),
        ("max-first-audio-ms", limits.max_first_audio_ms, outcome.first_audio_ms),
        ("max-gap-ms", limits.max_gap_ms, gap_ms),
    )
    gates = [
        Gate(name, limit, value, held=value is not None and value <= limit)
        for name, limit, value in highest
        if limit is not None
    ]
    if limits.min_heard_ms is not None:
        enough = outcome.heard_ms >= limits.min_heard_ms
        gates.append(Gate("min-heard-ms", limits.min_heard_ms, outcome.heard_ms, held=enough))
    if outcome.end is None:
        code = ExitCode.CALL_LOST
    elif outcome.answer_ms is None:
        code = ExitCode.NOT_ANSWERED
    elif outcome.heard_ms == 0:
        code = ExitCode.NOTHING_HEARD
    elif not all(gate.held for gate in gates):
        code = ExitCode.GATE_FAILED
    else:
        code = ExitCode.OK
    return gates, code


def as_json(outcome: Outcome, gates: list[Gate], code: ExitCode, recording: str | None) -> dict[str, Any]:
    """Return the machine form of the report."""
    return {
        "outcome": outcome.end or "lost",
        "message": outcome.message,
        "answered": outcome.answer_ms is not None,
        "time_to_answer_ms": outcome.answer_ms,
        "time_to_first_audio_ms": outcome.first_audio_ms,
        "heard_ms": outcome.heard_ms,
        **outcome.measured,
        "transfers": [asdict(transfer) for transfer in outcome.transfers],
        "timeline": [{"state": name, "at_ms": at_ms} for name, at_ms in outcome.states],
        "recording": recording,
        "gates": [asdict(gate) for gate in gates],
        "exit_code": int(code),
    }


def as_text(outcome: Outcome, gates: list[Gate], code: ExitCode, recording: str | None) -> str:
    """Return the report for people."""
    rows = [
        ("outcome", f"{outcome.end or 'lost'}{f': {outcome.message}' if outcome.message else ''}"),
        ("time to answer", _ms(outcome.answer_ms)),
        ("time to first audio", f"{_ms(outcome.first_audio_ms)} after the answer"),
        ("heard", f"{outcome.heard_ms} ms of audio other than silence"),
    ]
    if prompts_ms := outcome.measured.get("prompt_audio_ms"):
        rows.append(("played by ACS", f"{prompts_ms:g} ms"))
    rows += [("transfer", _transfer(transfer)) for transfer in outcome.transfers]
    if gaps := outcome.measured.get("gaps"):
        figures = f"mean {gaps['mean_ms']}, p95 {gaps['p95_ms']}, max {gaps['max_ms']} ms"
        rows.append(("gaps in it", f"{gaps['count']} ({figures})"))
    if pacing := outcome.measured.get("pacing"):
        figures = f"mean {pacing['mean_late_ms']}, max {pacing['max_late_ms']} ms late"
        late = f"{pacing['late_frames']} of {pacing['frames']} frames over 5 ms late"
        rows.append(("emulator's pacing", f"{late} ({figures}), drift {pacing['drift_ms']} ms"))
    rows += [
        (name.replace("_", " ").removesuffix(" ms"), f"{outcome.measured[name]} ms dropped")
        for name in ("playout_overflow_ms", "speech_overflow_ms")
        if outcome.measured.get(name)
    ]
    rows += [
        (name.replace("_", " "), _counts(outcome.measured[name]))
        for name in ("bad_messages", "unknown_kinds", "ignored_messages", "frames_dropped")
        if outcome.measured.get(name)
    ]
    if impairment := outcome.measured.get("impairment"):
        done = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in impairment.items())
        rows.append(("done on purpose", done))
    if recording is not None:
        rows.append(("recording", f"{recording} (left: caller, right: agent)"))
    rows += [
        ("gate", f"{gate.name} {gate.limit:g}: {'held' if gate.held else 'FAILED'} ({_ms(gate.value)})")
        for gate in gates
    ]
    rows.append(("result", code.name.lower().replace("_", " ")))
    return "\n".join(f"{name:<20} {text}" for name, text in rows)


def _transfer(transfer: TransferSeen) -> str:
    took_ms = round(transfer.settled_at_ms - transfer.asked_at_ms, 1)
    silence = f"nothing heard for {_ms(transfer.silent_ms)}{'' if transfer.heard_again else ', to the end'}"
    return f"{transfer.outcome.replace('_', ' ')} after {_ms(took_ms)}; {silence}"


def _counts(counted: int | Mapping[str, int]) -> str:
    if isinstance(counted, int):
        return str(counted)
    # Names are the gateway's: quoted, since anything may be in them.
    return ", ".join(f"{count} x {json.dumps(name)}" for name, count in counted.items())


def _ms(value: float | None) -> str:
    return "never" if value is None else f"{value:g} ms"
