"""What Call Automation refuses before it does anything, and what this emulator does not do."""

import json

import pytest
from azure.communication.callautomation import (
    PhoneNumberIdentifier,
    TranscriptionOptions,
)
from azure.core.exceptions import HttpResponseError

from emulator.call_automation import operations
from tests.support.acs_signing import send
from tests.support.shapes import assert_same_shape, example

CONNECTION_ID = "401f3500-62bd-46a9-8c09-9e1b06caca01"
CALLER = PhoneNumberIdentifier("+14255550100")

BAD_ANSWERS = [
    ("not json", b"{", None),
    ("no object", b"[]", None),
    ("no context", {"callbackUri": "https://gw.example.com/"}, "incomingCallContext"),
    ("no callback", {"incomingCallContext": "x"}, "callbackUri"),
    ("null callback", {"incomingCallContext": "x", "callbackUri": None}, "callbackUri"),
    (
        "no transport type",
        {"mediaStreamingOptions": {"audioChannelType": "mixed"}},
        "mediaStreamingOptions.transportType",
    ),
    (
        "no channel type",
        {"mediaStreamingOptions": {"transportType": "websocket"}},
        "mediaStreamingOptions.audioChannelType",
    ),
    (
        "channel type",
        {"mediaStreamingOptions": {"transportType": "websocket", "audioChannelType": "Mixed"}},
        "mediaStreamingOptions.audioChannelType",
    ),
    (
        "audio format",
        {
            "mediaStreamingOptions": {
                "transportType": "websocket",
                "audioChannelType": "mixed",
                "audioFormat": "pcm8KMono",
            }
        },
        "mediaStreamingOptions.audioFormat",
    ),
    (
        "no locale",
        {"transcriptionOptions": {"transportType": "websocket"}},
        "transcriptionOptions.locale",
    ),
    ("answered by nobody", {"answeredBy": {}}, "answeredBy.id"),
]


@pytest.mark.parametrize(
    ("body", "target"), [case[1:] for case in BAD_ANSWERS], ids=[case[0] for case in BAD_ANSWERS]
)
async def test_invalid_answer_is_refused_naming_the_member(acs_emulator, http, body, target):
    if isinstance(body, dict):
        complete = {"incomingCallContext": "x", "callbackUri": "https://gw.example.com/"}
        body = json.dumps(body if target in complete else {**complete, **body}).encode()

    status, sent = await send(http, acs_emulator, "POST", "/callConnections:answer", body)

    assert status == 400
    assert_same_shape(sent, example("error"))
    assert (sent["error"]["code"], sent["error"]["target"]) == ("8523", target)


async def test_optional_members_may_be_null(acs_emulator, http, place_call, application):
    call = await place_call()
    options = dict.fromkeys(
        ["transportUrl", "contentType", "startMediaStreaming", "enableBidirectional", "audioFormat"]
    )
    request = {
        "incomingCallContext": call.incoming_call_context,
        "callbackUri": application.callback_url,
        "operationContext": None,
        "transcriptionOptions": None,
        "answeredBy": None,
        "callIntelligenceOptions": {"cognitiveServicesEndpoint": None},
        "mediaStreamingOptions": {"transportType": "websocket", "audioChannelType": "mixed", **options},
    }

    status, _ = await send(
        http, acs_emulator, "POST", "/callConnections:answer", json.dumps(request).encode()
    )

    assert status == 200


async def test_reason_of_a_rejection_may_be_null(acs_emulator, http, place_call):
    call = await place_call()
    request = {"incomingCallContext": call.incoming_call_context, "callRejectReason": None}

    status, _ = await send(
        http, acs_emulator, "POST", "/callConnections:reject", json.dumps(request).encode()
    )

    assert status == 204
    assert call.happenings[-2].detail == {"reason": "none"}


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"phoneNumber": {"value": "+14255550177"}, "communicationUser": {"id": "8:acs:r_u"}},
        {"kind": "communicationUser", "rawId": "4:+14255550177"},
    ],
)
async def test_redirect_target_must_name_one_participant(acs_emulator, http, target):
    body = json.dumps({"incomingCallContext": "x", "target": target}).encode()

    status, sent = await send(http, acs_emulator, "POST", "/callConnections:redirect", body)

    assert (status, sent["error"]["target"]) == (400, "target")


@pytest.mark.parametrize("query", ["", "?api-version=", "?api-version=latest"])
async def test_api_version_is_required(acs_emulator, http, query):
    status, sent = await send(http, acs_emulator, "GET", f"/callConnections/{CONNECTION_ID}", query=query)

    assert (status, sent["error"]["target"]) == (400, "api-version")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nonsense"),
        ("PUT", "/callConnections:answer"),
        ("GET", f"/callConnections/{CONNECTION_ID}:play"),
        ("POST", f"/callConnections/{CONNECTION_ID}:dance"),
    ],
)
async def test_unknown_operation_is_not_found(acs_emulator, http, method, path):
    status, sent = await send(http, acs_emulator, method, path)

    assert status == 404
    assert_same_shape(sent, example("error"))


@pytest.mark.parametrize("operation", operations.NOT_EMULATED, ids=lambda operation: operation.name)
async def test_operation_that_is_not_emulated_says_so(acs_emulator, http, operation):
    path = operation.path.removeprefix("/calling").format(
        callConnectionId=CONNECTION_ID, participantRawId="4%3A%2B14255550100", recordingId="rec-1"
    )

    status, sent = await send(http, acs_emulator, operation.method, path, b"{}")

    assert (status, sent["error"]["code"]) == (501, "NotImplemented")
    assert_same_shape(sent, example("error"))


def test_every_published_operation_is_known():
    emulated = [value for value in vars(operations).values() if isinstance(value, operations.Operation)]
    known = {(each.method, each.path, each.repeatable) for each in [*emulated, *operations.NOT_EMULATED]}

    assert known == {(each["method"], each["path"], each["repeatable"]) for each in example("operations")}


@pytest.mark.parametrize(
    ("method", "arguments", "options"),
    [
        ("add_participant", [PhoneNumberIdentifier("+14255550177")], {}),
        ("remove_participant", [CALLER], {}),
        ("start_transcription", [], {}),
    ],
)
async def test_sdk_sees_what_is_not_emulated(client, method, arguments, options):
    with pytest.raises(HttpResponseError) as refused:
        await client.on_call(CONNECTION_ID, method, *arguments, **options)

    assert (refused.value.status_code, refused.value.error.code) == (501, "NotImplemented")


async def test_sdk_sees_that_calls_are_not_created(client):
    with pytest.raises(HttpResponseError) as refused:
        await client(
            "create_call",
            CALLER,
            "https://gw.example.com/",
            source_caller_id_number=PhoneNumberIdentifier("+18005550199"),
        )

    assert refused.value.status_code == 501


async def test_transcription_that_is_to_start_at_once_is_refused(client, place_call, application):
    call = await place_call()
    options = TranscriptionOptions(
        transport_url="wss://gw.example.com/",
        transport_type="websocket",
        locale="en-US",
        start_transcription=True,
    )

    with pytest.raises(HttpResponseError) as refused:
        await client.answer(call, application, transcription=options)

    assert refused.value.status_code == 501
