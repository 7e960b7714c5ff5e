"""`python -m emulator call` against a phone socket: what it prints and how it exits."""

import argparse
import asyncio
import json
import signal
import sys
import wave
from array import array

import pytest

from emulator.caller.main import add_arguments, main
from emulator.media.pcm import is_audible
from emulator.wav import write_wav
from tests.support.voice import ramp, sounds


@pytest.fixture
def call(exchange):
    """Run the command in a thread, as it brings its own event loop: `code = await call("--json")`."""

    async def command(*arguments: str) -> int:
        async with asyncio.timeout(20):
            return await asyncio.to_thread(main, ["--url", exchange.url, *arguments])

    return command


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.wav"
    write_wav(path, [ramp(1, 6400)], 16000)
    return str(path)


async def test_a_call_with_an_echo_succeeds_and_is_reported(call, words, capsys):
    code = await call("--wav", words, "--say-after", "40", "--hangup-after", "1")
    output = capsys.readouterr().out
    assert code == 0
    for part in ("ringing", "answered", "saying", "said", "first_audio", "hanging_up", "ended"):
        assert part in output
    assert "outcome              caller_hung_up" in output
    assert "result               ok" in output


async def test_the_machine_form_is_alone_on_stdout(call, words, capsys):
    code = await call("--json", "--wav", words, "--say-after", "40", "--hangup-after", "1")
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert code == report["exit_code"] == 0
    assert 360 <= report["heard_ms"] <= 800
    assert report["gaps"]["max_ms"] <= 300
    assert report["pacing"]["frames"] > 40
    assert [each["state"] for each in report["timeline"]][:2] == ["ringing", "answered"]
    assert "saying" in output.err


async def test_the_recording_has_both_sides_on_one_time_line(call, words, tmp_path):
    path = tmp_path / "call.wav"
    await call("--wav", words, "--record", str(path), "--say-after", "40", "--hangup-after", "1")
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 16000)
        samples = array("h", file.readframes(file.getnframes()))
    said, heard = samples[0::2].tobytes(), samples[1::2].tobytes()
    assert sounds(said) == sounds(heard) == ramp(1, 6400)
    spoken_at, heard_at = (len(track) - len(track.lstrip(b"\0")) for track in (said, heard))
    assert 0 <= heard_at - spoken_at <= 3200


async def test_synthesised_speech_is_said_and_heard_again(call, tmp_path, capsys):
    path = tmp_path / "call.wav"
    code = await call(
        "--say", "Yes.", "--say-after", "0", "--record", str(path), "--hangup-after", "2", "--json"
    )
    assert code == 0
    assert json.loads(capsys.readouterr().out)["heard_ms"] > 100
    with wave.open(str(path)) as file:
        assert is_audible(file.readframes(file.getnframes()))


async def test_keys_reach_the_agent_and_its_hanging_up_ends_the_command(call, exchange, words, capsys):
    code = await call("--json", "--wav", words, "--dtmf", "19", "--say-after", "0")
    assert exchange.agents[0].digits == ["1", "9"]
    assert json.loads(capsys.readouterr().out)["outcome"] == "gateway_hung_up"
    assert code == 0


@pytest.mark.parametrize("manner", ["reject", "ring"])
async def test_not_answered_is_exit_code_4(call, exchange, manner):
    exchange.manner = manner
    assert await call() == 4


async def test_an_unknown_number_is_exit_code_4_and_named(call, capsys):
    assert await call("--to", "+18005550111") == 4
    assert "unknown_number: this number or identity does not belong" in capsys.readouterr().out


async def test_nothing_heard_is_exit_code_5(call):
    assert await call("--hangup-after", "0.2") == 5


async def test_a_gate_that_fails_is_exit_code_6(call, words, capsys):
    arguments = ("--wav", words, "--say-after", "0", "--hangup-after", "0.8")
    assert await call(*arguments, "--min-heard-ms", "100", "--max-answer-ms", "10000") == 0
    capsys.readouterr()
    assert await call(*arguments, "--min-heard-ms", "5000", "--json") == 6
    gates = json.loads(capsys.readouterr().out)["gates"]
    assert [(gate["name"], gate["held"]) for gate in gates] == [("min-heard-ms", False)]


async def test_context_is_handed_over(call, exchange):
    await call("--voip", "customer=42", "--hangup-after", "0.1")
    assert exchange.call.custom_context.voip_headers == {"customer": "42"}


async def test_no_emulator_is_one_plain_line_and_exit_code_3(capsys, tmp_path):
    record = tmp_path / "kept.wav"
    record.write_bytes(b"older")
    code = await asyncio.to_thread(main, ["--url", "ws://127.0.0.1:1/phone", "--record", str(record)])
    assert code == 3
    assert (
        capsys.readouterr().err
        == "call: no emulator at ws://127.0.0.1:1/phone; start it with: python -m emulator up\n"
    )
    assert record.read_bytes() == b"older"


async def test_something_else_on_the_port_is_exit_code_3(exchange, capsys):
    assert await asyncio.to_thread(main, ["--url", exchange.url.replace("phone", "other")]) == 3
    assert "not the emulator's phone (HTTP 404)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--wav", "missing.wav"), "missing.wav"),
        (("--wav", __file__), "not a PCM WAV"),
        (("--record", "missing/dir/a.wav"), "no directory"),
    ],
)
async def test_files_that_cannot_be_used_are_exit_code_2(call, capsys, arguments, message):
    assert await call(*arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--say", "a", "--wav", "b"],
        ["--dtmf", "12x"],
        ["--hangup-after", "0"],
        ["--say-after", "-1"],
        ["--max-gap-ms", "-1"],
        ["--voip", "nothing"],
        ["--rate", "44100"],
    ],
)
def test_wrong_options_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2


def test_keys_may_be_written_small():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args(["--dtmf", "1a#"]).dtmf == "1A#"


async def test_ctrl_c_hangs_up(exchange, until):
    program = (
        f"import sys; from emulator.caller.main import main; sys.exit(main(['--url', {exchange.url!r}]))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        await process.stdout.readuntil(b"media_connected")
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
        await exchange.call.ended.wait()
    assert process.returncode == 130
    assert errors.decode() == "call: interrupted; the caller has hung up\n"
