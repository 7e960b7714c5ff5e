"""`python -m emulator call` as the caller of an application that asks questions."""

import asyncio

import pytest
from azure.communication.callautomation import FileSource, PhoneNumberIdentifier, RecognizeInputType

from emulator.caller.main import main

CALLER = PhoneNumberIdentifier("+14255550100")


@pytest.fixture
def dial(acs_emulator):
    """Run the command in a thread, as it brings its own event loop: `code = await dial("--do", "wait 1")`."""

    async def command(*arguments):
        url = acs_emulator.base_url.replace("http", "ws") + "/phone"
        async with asyncio.timeout(20):
            return await asyncio.to_thread(main, ["--url", url, "--max-seconds", "10", *arguments])

    return command


@pytest.fixture
async def answer(acs_emulator, aio_client, application, happened):
    """Answer the call that is dialled meanwhile; the returned `ask` has something recognised of its caller."""

    async def answered():
        async with asyncio.timeout(5):
            while not (calls := list(acs_emulator.calls)):
                await asyncio.sleep(0.005)
        connection = await aio_client.answer(
            calls[0], application, cognitive_services_endpoint="https://ai.example.com/"
        )
        await happened(calls[0], "connected")

        async def ask(kind, **options):
            await aio_client.on_call(
                connection.call_connection_id, "start_recognizing_media", kind, CALLER, **options
            )

        return ask

    return answered


async def test_caller_keys_and_says_what_they_are_asked_for(dial, answer, application, files, capsys):
    steps = ("wait listening", "press 12#", "wait listening", "say I lost my card.", "wait 0.2", "hang up")
    calling = asyncio.create_task(dial(*(word for step in steps for word in ("--do", step))))
    ask = await answer()

    await ask(
        RecognizeInputType.DTMF,
        play_prompt=FileSource(url=files.url("beep.wav")),
        dtmf_max_tones_to_collect=8,
        dtmf_stop_tones=["pound"],
        operation_context="number",
    )
    await application.event("RecognizeCompleted")
    await ask(RecognizeInputType.SPEECH, end_silence_timeout=0, operation_context="reason")
    await application.until(lambda: application.event_types().count("RecognizeCompleted") == 2)
    code = await calling

    completed = [each["data"] for each in application.events() if each["type"].endswith("RecognizeCompleted")]
    number, reason = sorted(completed, key=lambda each: each["operationContext"])
    assert number["dtmfResult"]["tones"] == ["one", "two"]
    assert reason["speechResult"]["speech"] == "I lost my card."
    assert code == 0
    assert "recognize_listening" in capsys.readouterr().out


async def test_what_a_plain_caller_says_is_recognised_too(acs_emulator, dial, answer, application):
    calling = asyncio.create_task(dial("--say", "Good morning.", "--say-after", "0"))
    ask = await answer()

    await ask(RecognizeInputType.SPEECH, end_silence_timeout=0)

    completed = (await application.event("RecognizeCompleted"))["data"]
    assert completed["speechResult"]["speech"] == "Good morning."
    [call] = acs_emulator.calls
    await acs_emulator.calls.caller_hangs_up(call)
    await calling


async def test_steps_go_without_other_keys(dial, capsys):
    assert await dial("--do", "wait 1", "--dtmf", "1") == 2
    assert "press" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [("--do", "dance"), ("--say", "a" * 4001), ("--do", f"say {'a' * 4001}")]
)
async def test_options_that_cannot_be_are_refused(dial, capsys, arguments):
    with pytest.raises(SystemExit) as refused:
        await dial(*arguments)
    assert refused.value.code == 2
