"""Keys that the application is told of one by one, as the caller presses them."""

import pytest
from azure.communication.callautomation import PhoneNumberIdentifier, RecognizeInputType
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tests.support.shapes import assert_same_shape, example

CALLER = PhoneNumberIdentifier("+14255550100")
START, STOP = "start_continuous_dtmf_recognition", "stop_continuous_dtmf_recognition"
TONE = "ContinuousDtmfRecognitionToneReceived"


def tones(application):
    """(number, name) of each, in the order of their numbers: none between events is promised."""
    events = [each["data"] for each in application.events() if each["type"].endswith(TONE)]
    return sorted((each["sequenceId"], each["tone"]) for each in events)


async def test_every_key_is_told_with_its_number(client, call, connection_id, application):
    await client.on_call(connection_id, START, CALLER, operation_context="dtmf")

    for key in "1#A":
        call.press(key)

    await application.until(lambda: len(tones(application)) == 3)
    assert tones(application) == [(1, "one"), (2, "pound"), (3, "a")]
    published = example("callback_data_continuous_dtmf_tone_received")["data"]
    extra = frozenset({"version", "publicEventType"})
    assert_same_shape((await application.event(TONE))["data"], published, extra=extra)


async def test_keys_are_told_until_it_is_stopped(client, call, connection_id, application):
    await client.on_call(connection_id, START, CALLER)
    call.press("1")
    await application.event(TONE)

    await client.on_call(connection_id, STOP, CALLER, operation_context="enough")
    call.press("2")

    stopped = (await application.event("ContinuousDtmfRecognitionStopped"))["data"]
    assert (stopped["operationContext"], stopped["resultInformation"]["code"]) == ("enough", 200)
    assert tones(application) == [(1, "one")]


async def test_it_stops_with_the_call(acs_emulator, aio_client, call, connection_id, application):
    await aio_client.on_call(connection_id, START, CALLER, operation_context="dtmf")

    await acs_emulator.calls.caller_hangs_up(call)

    stopped = (await application.event("ContinuousDtmfRecognitionStopped"))["data"]
    assert stopped["operationContext"] == "dtmf"


async def test_words_are_not_told(aio_client, call, connection_id, application):
    await aio_client.on_call(connection_id, START, CALLER)

    call.say_text("one")
    call.press("2")

    await application.event(TONE)
    assert tones(application) == [(1, "two")]


async def test_keys_are_told_beside_a_recognition_that_collects_them(
    aio_client, call, connection_id, application, happened
):
    await aio_client.on_call(connection_id, START, CALLER)
    await aio_client.on_call(
        connection_id,
        "start_recognizing_media",
        RecognizeInputType.DTMF,
        CALLER,
        dtmf_max_tones_to_collect=1,
    )
    await happened(call, "recognize_listening")

    call.press("5")

    assert (await application.event("RecognizeCompleted"))["data"]["dtmfResult"] == {"tones": ["five"]}
    await application.event(TONE)
    assert tones(application) == [(1, "five")]


async def test_it_can_be_started_anew(aio_client, call, connection_id, application):
    for key in "12":
        await aio_client.on_call(connection_id, START, CALLER)
        call.press(key)
        await aio_client.on_call(connection_id, STOP, CALLER)

    await application.until(lambda: len(tones(application)) == 2)
    assert tones(application) == [(1, "one"), (1, "two")]


async def test_it_is_neither_started_twice_nor_stopped_twice(client, connection_id, application):
    await client.on_call(connection_id, START, CALLER)
    with pytest.raises(HttpResponseError) as started_twice:
        await client.on_call(connection_id, START, CALLER)
    await client.on_call(connection_id, STOP, CALLER)
    with pytest.raises(HttpResponseError) as stopped_twice:
        await client.on_call(connection_id, STOP, CALLER)

    assert (started_twice.value.status_code, started_twice.value.error.code) == (400, "8500")
    assert (stopped_twice.value.status_code, stopped_twice.value.error.code) == (400, "8585")


@pytest.mark.parametrize("operation", [START, STOP])
async def test_only_the_callers_keys_can_be_told(client, connection_id, operation):
    with pytest.raises(ResourceNotFoundError) as refused:
        await client.on_call(connection_id, operation, PhoneNumberIdentifier("+14255550188"))

    assert refused.value.error.code == "8522"
