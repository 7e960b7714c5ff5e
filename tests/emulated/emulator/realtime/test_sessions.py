"""What a client may ask of a session, and what is an error: without a socket."""

import pytest

from tests.support.realtime import Talk, kinds, only, quiet, tone

DIALECTS = ("openai", "azure-openai", "voice-live")
GA = ("openai", "azure-openai")


@pytest.fixture(params=DIALECTS)
def talk(request):
    return Talk(request.param)


def error_of(events):
    assert kinds(events) == ["error"]
    return events[0]["error"]


def test_a_session_begins_with_its_creation(talk):
    (created,) = talk.opening
    assert created["type"] == "session.created"
    assert created["session"]["model"] == "gpt-realtime"


def test_every_event_has_an_id_of_its_own(talk):
    events = talk.opening + talk.send("response.create") + talk.append(tone(400) + quiet(600))
    ids = [event["event_id"] for event in events]
    assert len(ids) > 20
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("dialect", GA)
def test_an_update_shows_the_whole_session_with_what_was_changed(dialect):
    talk = Talk(dialect)
    talk.configure(instructions="Be brief.")
    updated = only(talk.configure(audio={"output": {"voice": "cedar"}}), "session.updated")["session"]
    assert updated["instructions"] == "Be brief."
    assert updated["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "cedar",
        "speed": 1.0,
    }
    assert updated["audio"]["input"]["turn_detection"]["type"] == "server_vad"


def test_voice_live_takes_the_flat_shape():
    talk = Talk("voice-live")
    updated = only(
        talk.configure(
            input_audio_sampling_rate=16000,
            output_audio_format="pcm16_16000hz",
            turn_detection={"type": "azure_semantic_vad", "silence_duration_ms": 400},
            input_audio_noise_reduction={"type": "azure_deep_noise_suppression"},
            input_audio_transcription={"model": "azure-speech", "language": "en-US"},
        ),
        "session.updated",
    )["session"]
    assert updated["input_audio_sampling_rate"] == 16000
    assert updated["turn_detection"]["type"] == "azure_semantic_vad"
    assert updated["turn_detection"]["prefix_padding_ms"] == 300
    assert updated["modalities"] == ["text", "audio"]


NARROW = {"type": "audio/pcm", "rate": 16000}
WRONG_GA = [
    ({"type": None}, "invalid_value", "session.type"),
    ({"type": "transcription"}, "invalid_value", "session.type"),
    ({"modalities": ["audio"]}, "unknown_parameter", "session.modalities"),
    ({"input_audio_format": "pcm16"}, "unknown_parameter", "session.input_audio_format"),
    ({"temperature": 0.8}, "unknown_parameter", "session.temperature"),
    ({"output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
    ({"audio": {"input": {"format": NARROW}}}, "invalid_value", "session.audio.input.format.rate"),
    ({"audio": {"output": {"speed": 3}}}, "invalid_value", "session.audio.output.speed"),
    ({"tools": [{"name": "transfer_call"}]}, "missing_required_parameter", "session.tools[0].type"),
    ({"model": "another"}, "invalid_value", "session.model"),
]
WRONG_FLAT = [
    ({"type": "realtime", "output_modalities": ["audio"]}, "unknown_parameter", "session.type"),
    ({"audio": {"output": {"voice": "marin"}}}, "unknown_parameter", "session.audio"),
    ({"input_audio_sampling_rate": 44100}, "invalid_value", "session.input_audio_sampling_rate"),
    ({"output_audio_format": "mp3"}, "invalid_value", "session.output_audio_format"),
    ({"turn_detection": {"type": "semantic_vad"}}, "invalid_value", "session.turn_detection.type"),
    (
        {"turn_detection": {"type": "server_vad", "threshold": 2}},
        "invalid_value",
        "session.turn_detection.threshold",
    ),
]
WRONG_SESSIONS = [
    *((dialect, *wrong) for dialect in GA for wrong in WRONG_GA),
    *(("voice-live", *wrong) for wrong in WRONG_FLAT),
]


@pytest.mark.parametrize(("dialect", "session", "code", "param"), WRONG_SESSIONS)
def test_an_ill_shaped_session_is_an_error_and_changes_nothing(dialect, session, code, param):
    talk = Talk(dialect)
    before = talk.core.state.document
    named = {} if dialect == "voice-live" else {"type": "realtime"}
    error = error_of(talk.send("session.update", event_id="mine", session={**named, **session}))
    assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")
    assert error["type"] == "invalid_request_error"
    assert talk.core.state.document == before


def test_a_ga_session_must_name_its_type():
    error = error_of(Talk().send("session.update", session={"instructions": "Be brief."}))
    assert (error["code"], error["param"]) == ("missing_required_parameter", "session.type")


def test_the_voice_stands_once_it_has_been_heard(talk):
    voice = {"voice": "sage"} if talk.dialect == "voice-live" else {"audio": {"output": {"voice": "sage"}}}
    other = {"voice": "echo"} if talk.dialect == "voice-live" else {"audio": {"output": {"voice": "echo"}}}
    assert kinds(talk.configure(**voice)) == ["session.updated"]
    talk.send("response.create")
    assert kinds(talk.configure(**voice)) == ["session.updated"]
    assert error_of(talk.configure(**other))["code"] == "cannot_update_voice"


@pytest.mark.parametrize("audio", ["not base64!", "AAA", "AAAA", 5, {}, None])
def test_audio_that_is_no_base64_or_no_whole_samples_is_an_error(talk, audio):
    error = error_of(talk.send("input_audio_buffer.append", event_id="mine", audio=audio))
    assert (error["param"], error["event_id"]) == ("audio", "mine")
    assert talk.core.hearing.appended_ms == 0


def test_base64_may_be_escaped_as_some_encoders_do(talk):
    message = rb'{"type":"input_audio_buffer.append","audio":"\/\u002B8AAA=="}'
    assert Talk.read(talk.core.receive(message)) == []
    assert talk.core.hearing.take() == b"\xff\xef\x00\x00"


def test_an_append_is_not_acknowledged(talk):
    assert talk.append(quiet(200)) == []
    assert talk.core.hearing.appended_ms == 200


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[" * 5000, "invalid_json"),
        (b'{"type":"foo",', "invalid_json"),
        (b"[]", "invalid_value"),
        (b"{}", "missing_required_parameter"),
        (b'{"type":"output_audio_buffer.clear"}', "invalid_value"),
        (b'{"type":7}', "invalid_value"),
        (b'{"type":"response.create","foo":1}', "unknown_parameter"),
    ],
)
def test_what_is_no_event_is_an_error_and_the_session_goes_on(talk, message, code):
    assert error_of(Talk.read(talk.core.receive(message)))["code"] == code
    assert kinds(talk.configure(instructions="Be brief.")) == ["session.updated"]


def test_a_text_of_the_client_is_announced_with_the_item_before_it(talk):
    item = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "The caller pressed 1."}],
    }
    first = talk.send("conversation.item.create", item={**item, "id": "first"})
    second = talk.send("conversation.item.create", item={**item, "id": "second"})
    between = talk.send("conversation.item.create", item={**item, "id": "between"}, previous_item_id="first")
    leading = talk.send("conversation.item.create", item={**item, "id": "leading"}, previous_item_id="root")
    names = {
        "voice-live": ["conversation.item.created"],
        "openai": ["conversation.item.added", "conversation.item.done"],
    }
    assert kinds(first) == names.get(talk.dialect, names["openai"])
    assert [events[0]["previous_item_id"] for events in (first, second, between, leading)] == [
        None,
        "first",
        "first",
        None,
    ]
    assert [item["id"] for item in talk.core.conversation.items] == ["leading", "first", "between", "second"]


def test_what_was_said_before_a_reconnect_can_be_told_again(talk):
    words = "text" if talk.dialect == "voice-live" else "output_text"
    item = {"type": "message", "role": "assistant", "content": [{"type": words, "text": "Good morning."}]}
    assert kinds(talk.send("conversation.item.create", item=item))[0].startswith("conversation.item.")


def test_an_assistants_words_have_the_name_of_the_protocols_generation(talk):
    words = "output_text" if talk.dialect == "voice-live" else "text"
    item = {"type": "message", "role": "assistant", "content": [{"type": words, "text": "Good morning."}]}
    assert error_of(talk.send("conversation.item.create", item=item))["code"] == "invalid_value"


@pytest.mark.parametrize(("role", "part"), [("assistant", "input_text"), ("user", None), ("system", None)])
def test_what_goes_in_is_of_callers_and_what_comes_out_of_assistants(talk, role, part):
    part = part or ("text" if talk.dialect == "voice-live" else "output_text")
    item = {"type": "message", "role": role, "content": [{"type": part, "text": "Good morning."}]}
    error = error_of(talk.send("conversation.item.create", item=item))
    assert (error["code"], error["param"]) == ("invalid_value", "item.content[0].type")
    assert talk.core.conversation.items == []


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"previous_item_id": "nowhere"}, "invalid_value", "previous_item_id"),
        (
            {"item": {"type": "message", "role": "user", "content": [], "id": "x" * 33}},
            "invalid_value",
            "item.id",
        ),
        (
            {"item": {"type": "function_call_output", "call_id": "call_unknown", "output": "{}"}},
            "invalid_tool_call_id",
            "item.call_id",
        ),
    ],
)
def test_an_item_that_fits_nowhere_is_an_error(talk, change, code, param):
    event = {"item": {"type": "message", "role": "user", "content": []}, **change}
    error = error_of(talk.send("conversation.item.create", event_id="mine", **event))
    assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")
    assert talk.core.conversation.items == []


def test_what_was_said_is_truncated_to_what_was_heard(talk):
    item_id = only(talk.send("response.create"), "response.output_item.done")["item"]["id"]
    (event,) = talk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=120)
    assert event["type"] == "conversation.item.truncated"
    assert (event["item_id"], event["content_index"], event["audio_end_ms"]) == (item_id, 0, 120)
    item = talk.send("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert item["content"][0]["transcript"] is None


def test_no_more_can_be_left_of_an_item_than_there_is(talk):
    item_id = only(talk.send("response.create"), "response.output_item.done")["item"]["id"]
    events = talk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=541)
    assert error_of(events)["message"] == "Audio content of 540ms is already shorter than 541ms"


@pytest.mark.parametrize("purpose", ["truncate", "delete", "retrieve"])
def test_an_item_that_is_not_there_is_an_error(talk, purpose):
    members = {"content_index": 0, "audio_end_ms": 1} if purpose == "truncate" else {}
    error = error_of(talk.send(f"conversation.item.{purpose}", item_id="nowhere", **members))
    assert error["code"] == f"item_{purpose}_invalid_item_id"


def test_a_deleted_item_is_gone(talk):
    item = {"type": "message", "role": "user", "content": [], "id": "mine"}
    talk.send("conversation.item.create", item=item)
    assert talk.send("conversation.item.delete", item_id="mine")[0]["type"] == "conversation.item.deleted"
    assert talk.core.conversation.items == []


def test_a_conversation_keeps_a_thousand_items_and_counts_what_it_forgets(talk):
    item = {"type": "message", "role": "user", "content": []}
    for _ in range(1003):
        talk.send("conversation.item.create", item=item)
    assert len(talk.core.conversation.items) == 1000
    assert talk.core.conversation.forgotten == 3


def test_what_is_kept_of_the_caller_is_a_minute_and_what_is_lost_is_counted():
    talk = Talk(behaviour="silent")
    for _ in range(61):
        talk.append(quiet(1000))
    assert talk.core.hearing.kept_ms == 60_000
    assert talk.core.hearing.kept.dropped_bytes == 48_000
    assert talk.core.hearing.appended_ms == 61_000
