"""`python -m emulator call` against a phone socket: what it prints and how it exits."""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import wave
from array import array

import pytest
from aiohttp import web

from emulator.caller.main import add_arguments, main
from emulator.media.impairment import Impairment, Jitter
from emulator.media.network import ImpairmentStats
from emulator.media.pcm import is_audible
from emulator.media.stream import StreamStats
from emulator.outside import Manner, OutsideParty
from emulator.wav import WavWriter
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
    with WavWriter(path, 16000, channels=1) as writer:
        writer.write(ramp(1, 6400))
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


async def test_a_transfer_is_reported_with_the_silence_that_it_made(call, exchange, words, capsys):
    exchange.calls.outside.put("+14255550177", OutsideParty(after_ms=300, wav=words))
    code = await call("--json", "--wav", words, "--dtmf", "5", "--say-after", "0")
    output = capsys.readouterr()
    [transfer] = json.loads(output.out)["transfers"]
    assert (code, transfer["outcome"], transfer["heard_again"]) == (0, "accepted", True)
    assert 290 <= transfer["settled_at_ms"] - transfer["asked_at_ms"] <= transfer["silent_ms"] + 20
    assert "agent quiet" in output.err


async def test_a_transfer_that_fails_is_reported_and_the_call_goes_on(call, exchange, words, capsys):
    exchange.calls.outside.put("+14255550177", OutsideParty(does=Manner.BUSY, after_ms=1))
    await call("--wav", words, "--dtmf", "58", "--say-after", "0", "--hangup-after", "2")
    output = capsys.readouterr().out
    assert "transfer_failed  outcome=busy" in output
    assert "transfer             busy after" in output
    assert "result               ok" in output


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


@pytest.fixture
async def serve():
    """Start a small server: `url = await serve({"/phone": handler})`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(handlers) -> str:
            application = web.Application()
            application.add_routes([web.get(path, handler) for path, handler in handlers.items()])
            runner = web.AppRunner(application)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return f"ws://127.0.0.1:{runner.addresses[0][1]}/phone"

        yield start


def websocket(*messages, drop=False):
    """A handler that sends these and closes, or drops the connection."""

    async def handle(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for message in messages:
            await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_str(message))
        if drop:
            request.transport.close()
        await socket.close()
        return socket

    return handle


@pytest.mark.parametrize(
    "messages", [(), ("welcome",), ("[]",), ('{"hello": 1}',), ('{"type": "state"}',), (b"\1\2\3",)]
)
async def test_a_websocket_server_that_is_no_phone_is_one_plain_line_and_exit_code_3(serve, capsys, messages):
    url = await serve({"/phone": websocket(*messages)})
    assert await asyncio.to_thread(main, ["--url", url]) == 3
    assert capsys.readouterr().err == f"call: what listens at {url} is not the emulator's phone\n"


async def test_a_phone_that_is_lost_with_frames_under_way_is_exit_code_1(serve, words, capsys):
    states = [
        json.dumps({"type": "state", "state": name, "at_ms": 1.0}) for name in ("answered", "media_connected")
    ]
    url = await serve({"/phone": websocket(*states, *[bytes(1280)] * 200, drop=True)})
    assert await asyncio.to_thread(main, ["--url", url, "--wav", words, "--say-after", "0", "--json"]) == 1
    assert (
        json.loads(capsys.readouterr().out)["message"] == "the emulator closed the phone socket in mid-call"
    )


async def test_waiting_ends_when_an_application_has_subscribed(serve, capsys):
    answers = [[], [{"provisioningState": "AwaitingManualAction"}], [{"provisioningState": "Succeeded"}]]

    async def subscriptions(request):
        return web.json_response({"value": answers.pop(0)})

    url = await serve({"/eventgrid/subscriptions": subscriptions})
    assert await asyncio.to_thread(main, ["--url", url, "--wait", "10"]) == 3
    assert "(HTTP 404)" in capsys.readouterr().err
    assert answers == []


async def test_waiting_ends_at_its_time(serve, capsys):
    async def subscriptions(request):
        return web.json_response({"value": []})

    url = await serve({"/eventgrid/subscriptions": subscriptions})
    assert await asyncio.to_thread(main, ["--url", url, "--wait", "0.3"]) == 3
    assert (
        capsys.readouterr().err == f"call: no application has subscribed to the calls of {url} within 0.3 s\n"
    )
    assert await asyncio.to_thread(main, ["--url", "ws://127.0.0.1:1/phone", "--wait", "0.3"]) == 3
    assert capsys.readouterr().err == "call: no emulator at ws://127.0.0.1:1/phone within 0.3 s\n"


async def test_what_the_gateway_sent_wrongly_is_reported_to_the_caller(call, exchange, words, capsys):
    stats = StreamStats(unknown_kinds={"Mark": 2}, frames_dropped=1)
    exchange.on_answer = lambda call: call.streams.extend([stats, StreamStats(bad_messages={"odd size": 3})])
    await call("--json", "--wav", words, "--say-after", "0", "--hangup-after", "0.3")
    report = json.loads(capsys.readouterr().out)
    assert (report["bad_messages"], report["unknown_kinds"], report["frames_dropped"]) == (
        {"odd size": 3}, {"Mark": 2}, 1,
    )  # fmt: skip
    assert "ignored_messages" not in report


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--say", "caf\udce9"), "not valid UTF-8"),
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
        ["--wait", "-1"],
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


async def test_ctrl_c_hangs_up(exchange):
    # A shell without job control, as in CI, starts what ends in `&` with SIGINT ignored, and so would this be.
    program = (
        "import signal, sys; from emulator.caller.main import main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"sys.exit(main(['--url', {exchange.url!r}]))"
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


async def test_a_call_may_be_impaired_and_the_report_says_what_was_done(call, exchange, capsys):
    done = ImpairmentStats(frames_lost=3, loss_bursts=2, frames_delayed=4, delay_sum_ms=10, delay_max_ms=5)
    exchange.on_answer = lambda placed: placed.streams.append(StreamStats(impairment=done))
    await call("--impair", '{"jitter": {"maxMs": 5}}', "--hangup-after", "0.1")
    assert exchange.call.network.impairment == Impairment(jitter=Jitter(max_ms=5))
    output = capsys.readouterr().out
    assert "impaired         what=jitter" in output
    figures = "frames lost 3, loss bursts 2, frames delayed 4, mean delay ms 2.5, max delay ms 5"
    assert f"done on purpose      {figures}" in output


async def test_an_impairment_that_cannot_be_is_a_wrong_option(call, capsys):
    with pytest.raises(SystemExit) as exited:
        await call("--impair", '{"loss": {"enter": 7}}')
    assert exited.value.code == 2
    assert "enter must be from 0 to 1" in capsys.readouterr().err
