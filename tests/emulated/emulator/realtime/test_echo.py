"""The echo: every append comes straight back."""

import base64
import json

import pytest

from tests.support.realtime import Talk, audio_of, kinds, only, quiet, tone


@pytest.fixture(params=["openai", "azure-openai", "voice-live"])
def talk(request):
    return Talk(request.param, "echo")


def first_delta(events):
    return next(event for event in events if event["type"].endswith("audio.delta"))


def test_an_append_comes_back_as_it_is(talk):
    pcm = tone(1000)
    assert audio_of(talk.append(pcm)) == pcm


def test_all_of_it_is_one_response_that_does_not_end(talk):
    events = talk.append(tone(400) + quiet(1000)) + talk.append(tone(100))
    created = only(events, "response.created")["response"]["id"]
    deltas = [event for event in events if event["type"].endswith("audio.delta")]
    assert len(deltas) == 75
    assert {delta["response_id"] for delta in deltas} == {created}
    assert len({delta["item_id"] for delta in deltas}) == 1
    assert len({delta["event_id"] for delta in deltas}) == 75
    assert "response.done" not in kinds(events)


def test_a_response_that_the_client_asks_for_is_that_one(talk):
    created = only(talk.send("response.create"), "response.created")["response"]["id"]
    assert first_delta(talk.append(tone(40)))["response_id"] == created
    (event,) = talk.send("response.create")
    assert event["error"]["code"] == "conversation_already_has_active_response"


def test_a_delta_has_the_members_of_any_other(talk):
    echoed = first_delta(talk.append(tone(40)))
    spoken = first_delta(Talk(talk.dialect).send("response.create"))
    assert set(echoed) == set(spoken)
    assert echoed["type"] == spoken["type"]


def test_it_can_be_truncated_to_what_was_echoed(talk):
    item_id = first_delta(talk.append(tone(400)))["item_id"]
    (longer,) = talk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=401)
    assert longer["type"] == "error"
    (event,) = talk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=400)
    assert event["type"] == "conversation.item.truncated"


def test_a_response_that_was_cancelled_is_followed_by_another(talk):
    first = only(talk.append(tone(40)), "response.created")
    assert only(talk.send("response.cancel"), "response.done")["response"]["status"] == "cancelled"
    second = only(talk.append(tone(40)), "response.created")
    assert first["response"]["id"] != second["response"]["id"]


@pytest.mark.parametrize(
    ("input_hz", "output", "output_hz"), [(8000, "pcm16", 24000), (16000, "pcm16_16000hz", 16000)]
)
def test_it_keeps_to_the_rates_of_voice_live(input_hz, output, output_hz):
    talk = Talk("voice-live", "echo")
    talk.configure(input_audio_sampling_rate=input_hz, output_audio_format=output)
    said = b""
    for _ in range(10):
        audio = base64.b64encode(tone(30, input_hz)).decode()
        said += audio_of(talk.send("input_audio_buffer.append", audio=audio))
    assert len(said) == 300 * output_hz // 1000 * 2


def test_rates_may_change_on_the_way():
    talk = Talk("voice-live", "echo")
    before = talk.append(tone(100))
    talk.configure(output_audio_format="pcm16_8000hz")
    after = talk.append(tone(100))
    assert len(audio_of(after)) == 100 * 8 * 2
    ids = [event["event_id"] for event in before + after]
    assert len(set(ids)) == len(ids)


def test_what_is_no_base64_is_not_echoed(talk):
    assert kinds(talk.send("input_audio_buffer.append", audio="&&&&")) == ["error"]


def test_escapes_are_echoed_as_they_came(talk):
    message = rb'{"type":"input_audio_buffer.append","audio":"\/\u002B8AAA=="}'
    events = Talk.read(talk.core.receive(message))
    assert audio_of(events) == base64.b64decode(json.loads(message)["audio"])
