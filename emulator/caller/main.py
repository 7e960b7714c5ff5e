"""`python -m emulator call`: place one call and report how it went. `docs/emulator/calls.md` describes it."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from emulator.caller.actions import Say
from emulator.caller.client import Dialling, EmulatorUnreachable, place_call, until_ready
from emulator.caller.report import ExitCode, Limits, Outcome, as_json, as_text, judge
from emulator.caller.script import Plan
from emulator.caller.steps import Step, read_step
from emulator.caller.voice import NOISE_AFTER_MS, recorded, spoken
from emulator.media.impairment import ImpairmentRefused, read_impairment
from emulator.media.line import DIGITS
from emulator.media.pcm import RATES_HZ
from emulator.numbers import CALLED, CALLER
from emulator.phone import MAX_SAID_CHARS
from emulator.ports import Ports
from emulator.speech import SpeechError
from emulator.wav import WavError, WavWriter

DEFAULT_URL: Final = f"ws://127.0.0.1:{Ports().emulator}/phone"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--to", default=CALLED, help="number or identity to call (default %(default)s)")
    parser.add_argument(
        "--from", dest="from_", default=CALLER, help="the caller's number (default %(default)s)"
    )
    words = parser.add_mutually_exclusive_group()
    words.add_argument("--say", metavar="TEXT", type=_words, help="say this, by an offline speech engine")
    words.add_argument("--wav", metavar="FILE", type=Path, help="say what is in this WAV file (16-bit PCM)")
    words.add_argument(
        "--do",
        metavar="STEP",
        type=_step,
        action="append",
        default=[],
        help="say TEXT, press KEYS, wait SECONDS, wait listening|words|quiet, or hang up; one step after another",
    )
    parser.add_argument(
        "--say-after",
        metavar="MS",
        type=_whole,
        default=500,
        help="from the media's being up to the first word or key (default %(default)s)",
    )
    parser.add_argument(
        "--dtmf", metavar="KEYS", type=_keys, default="", help="keys to press after the words"
    )
    parser.add_argument(
        "--hangup-after",
        metavar="S",
        type=_positive,
        help="hang up this long after the answer (default: 2 s after the agent has gone quiet)",
    )
    parser.add_argument(
        "--max-seconds",
        metavar="S",
        type=_positive,
        default=120.0,
        help="hang up at the latest this long after dialling (default %(default)s)",
    )
    parser.add_argument(
        "--voip",
        metavar="KEY=VALUE",
        type=_pair,
        action="append",
        default=[],
        help="a VoIP header of the call's custom context; may be repeated",
    )
    parser.add_argument(
        "--impair",
        metavar="JSON",
        type=_impairment,
        help='what is to be wrong with the call\'s media socket, such as \'{"jitter": {"maxMs": 80}}\'',
    )
    parser.add_argument(
        "--record", metavar="FILE", type=Path, help="write a WAV: left what was said, right what was heard"
    )
    parser.add_argument(
        "--rate",
        type=int,
        choices=RATES_HZ,
        default=16000,
        help="the phone's sample rate (default %(default)s)",
    )
    parser.add_argument(
        "--json", action="store_true", help="report as JSON on stdout; the live timeline goes to stderr"
    )
    parser.add_argument(
        "--url", default=DEFAULT_URL, help="the emulator's phone socket (default %(default)s)"
    )
    parser.add_argument(
        "--wait",
        metavar="S",
        type=_not_negative,
        default=0.0,
        help="wait up to this long for the emulator, and for an application that has subscribed to its calls",
    )
    gates = parser.add_argument_group("gates", f"exit code {ExitCode.GATE_FAILED:d} when one does not hold")
    gates.add_argument("--max-answer-ms", metavar="MS", type=_positive, help="from dialling to the answer")
    gates.add_argument(
        "--max-first-audio-ms", metavar="MS", type=_positive, help="from the answer to the first agent audio"
    )
    gates.add_argument(
        "--max-gap-ms", metavar="MS", type=_not_negative, help="longest gap in the agent's audio"
    )
    gates.add_argument("--min-heard-ms", metavar="MS", type=_positive, help="agent audio other than silence")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command by itself; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m emulator call", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Place the call that was asked for; return the exit code (`ExitCode`)."""
    if arguments.do and arguments.dtmf:
        return _fail(ExitCode.USAGE, "keys are steps too: --do 'press 1#', without --dtmf")
    timeline_to = sys.stderr if arguments.json else sys.stdout
    try:
        outcome = asyncio.run(_call(arguments, timeline_to))
    except KeyboardInterrupt:
        return _fail(ExitCode.INTERRUPTED, "interrupted; the caller has hung up")
    except EmulatorUnreachable as error:
        return _fail(ExitCode.UNREACHABLE, str(error))
    except (SpeechError, WavError, OSError) as error:
        return _fail(ExitCode.USAGE, str(error))
    limits = Limits(
        arguments.max_answer_ms, arguments.max_first_audio_ms, arguments.max_gap_ms, arguments.min_heard_ms
    )
    gates, code = judge(outcome, limits)
    recording = str(arguments.record) if arguments.record is not None else None
    if arguments.json:
        text = json.dumps(as_json(outcome, gates, code, recording), indent=2)
    else:
        text = "\n" + as_text(outcome, gates, code, recording)
    sys.stdout.write(text + "\n")
    return code


async def _call(arguments: argparse.Namespace, timeline_to: TextIO) -> Outcome:
    # Before dialling, so that synthesis is no part of what is measured.
    speech = await asyncio.to_thread(_speech, arguments.say, arguments.wav, arguments.rate)
    plan = Plan(
        rate_hz=arguments.rate,
        speech=speech,
        digits=arguments.dtmf,
        steps=tuple(await asyncio.to_thread(_with_sound, arguments.do, arguments.rate)),
        say_after_ms=arguments.say_after,
        hangup_after_s=arguments.hangup_after,
        max_s=arguments.max_seconds,
    )
    context = {f"voip.{key}": value for key, value in arguments.voip}

    def show(at_ms: float, name: str, details: Mapping[str, Any]) -> None:
        shown = "  ".join(f"{key}={value}" for key, value in details.items())
        timeline_to.write(f"{at_ms / 1000:9.3f}  {name:<16} {shown}".rstrip() + "\n")
        timeline_to.flush()

    recorder = _Recorder(arguments.record, arguments.rate) if arguments.record is not None else None
    try:
        if arguments.wait:
            await until_ready(arguments.url, arguments.wait)
        return await place_call(
            Dialling(arguments.url, arguments.to, arguments.from_, context, arguments.impair),
            plan,
            timeline=show,
            record=recorder.write if recorder is not None else None,
        )
    finally:
        if recorder is not None:
            recorder.close()


class _Recorder:
    """Writes the call as it goes. The file is made with the first audio: no call, no file, none overwritten.

    It writes once a second for some tens of microseconds; nothing else waits in this process.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        if not path.parent.is_dir():
            raise FileNotFoundError(f"no directory {path.parent} to record into")
        self._path = path
        self._rate_hz = rate_hz
        self._writer: WavWriter | None = None

    def write(self, tracks: bytes) -> None:
        if self._writer is None:
            self._writer = WavWriter(self._path, self._rate_hz, channels=2)
        self._writer.write(tracks)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _speech(text: str | None, wav: Path | None, rate_hz: int) -> Say | None:
    if text is not None:
        return _spoken(text, rate_hz)
    return Say(recorded(wav, rate_hz)) if wav is not None else None


def _with_sound(steps: Sequence[Step], rate_hz: int) -> list[Step]:
    return [
        _spoken(step.text, rate_hz) if isinstance(step, Say) and step.text is not None else step
        for step in steps
    ]


def _spoken(text: str, rate_hz: int) -> Say:
    return Say(spoken(text, rate_hz), text, NOISE_AFTER_MS)


def _fail(code: ExitCode, text: str) -> int:
    sys.stderr.write(f"call: {text}\n")
    return code


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _not_negative(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return value


def _words(text: str) -> str:
    if len(text) > MAX_SAID_CHARS:
        raise argparse.ArgumentTypeError(f"must not have more than {MAX_SAID_CHARS} characters")
    return text


def _step(text: str) -> Step:
    try:
        step = read_step(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if isinstance(step, Say) and step.text is not None:
        _words(step.text)
    return step


def _keys(text: str) -> str:
    keys = text.upper()
    if not set(keys) <= DIGITS:
        raise argparse.ArgumentTypeError("keys are 0-9, *, #, A-D")
    return keys


def _impairment(text: str) -> str:
    try:
        read_impairment(text.encode())
    except ImpairmentRefused as refusal:
        raise argparse.ArgumentTypeError(str(refusal)) from None
    return text


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError("must be KEY=VALUE")
    return key, value
