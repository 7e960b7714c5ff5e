"""Turns of the caller, and what a parrot makes of them. Time is the audio that was appended."""

import base64

import pytest

from emulator.realtime.replies import GREETING, Reply, ToolCall
from tests.support.realtime import Talk, audio_of, kinds, only, quiet, tone

TURN_GA = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
RESPONSE_GA = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
BETA = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "conversation.item.added": "conversation.item.created",
    "conversation.item.done": None,
    "rate_limits.updated": None,
}


def in_words_of(dialect, names):
    if dialect != "voice-live":
        return names
    return [beta for beta in (BETA.get(name, name) for name in names) if beta is not None]


@pytest.fixture(params=["openai", "azure-openai", "voice-live"])
def talk(request):
    return Talk(request.param)


def test_a_turn_is_committed_and_said_back(talk):
    events = talk.append(quiet(1000) + tone(800) + quiet(1000))
    assert kinds(events) == in_words_of(talk.dialect, TURN_GA + RESPONSE_GA)


def test_times_count_from_the_first_append_with_padding_and_silence(talk):
    events = talk.append(quiet(1000) + tone(800) + quiet(1000))
    started = only(events, "input_audio_buffer.speech_started")
    stopped = only(events, "input_audio_buffer.speech_stopped")
    assert started["audio_start_ms"] == 700
    assert stopped["audio_end_ms"] == 2300
    committed = only(events, "input_audio_buffer.committed")
    assert started["item_id"] == stopped["item_id"] == committed["item_id"]


def test_what_is_said_back_is_what_was_said(talk):
    said = audio_of(talk.append(quiet(1000) + tone(800) + quiet(1000)))
    assert said == quiet(300) + tone(800) + quiet(500)


def test_what_is_said_comes_in_deltas_of_a_tenth_of_a_second(talk):
    events = talk.append(tone(800) + quiet(600))
    deltas = [event for event in events if event["type"].endswith("audio.delta")]
    assert {len(audio_of([delta])) for delta in deltas} == {4800}
    assert len({(delta["response_id"], delta["item_id"]) for delta in deltas}) == 1


def test_rates_of_voice_live_may_differ():
    talk = Talk("voice-live")
    talk.configure(output_audio_format="pcm16_16000hz")
    said = audio_of(talk.append(tone(1000) + quiet(500)))
    assert len(said) == 1500 * 16 * 2


def test_a_response_is_complete_with_its_output_and_usage(talk):
    events = talk.append(tone(800) + quiet(600))
    response = only(events, "response.done")["response"]
    assert response["status"] == "completed"
    (item,) = response["output"]
    assert (item["role"], item["status"]) == ("assistant", "completed")
    assert item["content"] == [
        {
            "type": "audio" if talk.dialect == "voice-live" else "output_audio",
            "transcript": "(1.3 s of speech)",
        }
    ]
    assert response["usage"]["total_tokens"] > 0


def test_a_transcript_comes_where_the_session_asks_for_one(talk):
    name = "conversation.item.input_audio_transcription.completed"
    assert name not in kinds(talk.append(tone(800) + quiet(600)))
    if talk.dialect == "voice-live":
        talk.configure(input_audio_transcription={"model": "azure-speech"})
    else:
        talk.configure(audio={"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}})
    events = talk.append(tone(800) + quiet(600))
    assert only(events, name)["transcript"] == "(1.4 s of speech)"


def test_a_test_can_say_what_was_understood():
    talk = Talk(transcripts=("What is my balance?",))
    first, second = (talk.append(tone(800) + quiet(600)) for _ in range(2))
    assert only(first, "response.output_audio_transcript.done")["transcript"] == "What is my balance?"
    assert only(second, "response.output_audio_transcript.done")["transcript"] == "(1.4 s of speech)"


def test_a_client_that_asks_for_the_first_word_gets_a_greeting(talk):
    events = talk.send("response.create")
    assert kinds(events) == in_words_of(talk.dialect, RESPONSE_GA)
    assert len(audio_of(events)) == 540 * 48
    (item,) = only(events, "response.done")["response"]["output"]
    assert item["content"][0]["transcript"] == GREETING


@pytest.mark.parametrize(("threshold", "heard"), [(0.3, True), (0.9, False)])
def test_a_lower_threshold_takes_softer_speech(talk, threshold, heard):
    talk.detect(threshold=threshold)
    events = talk.append(tone(400, peak=400))
    assert ("input_audio_buffer.speech_started" in kinds(events)) is heard


def test_the_silence_after_a_turn_can_be_longer(talk):
    talk.detect(silence_duration_ms=900)
    assert kinds(talk.append(tone(400) + quiet(880))) == ["input_audio_buffer.speech_started"]
    assert kinds(talk.append(quiet(20)))[0] == "input_audio_buffer.speech_stopped"


def test_a_click_is_no_turn(talk):
    assert talk.append(quiet(500) + tone(20) + quiet(1000)) == []


def test_turns_do_not_depend_on_how_the_audio_is_cut(talk):
    audio = base64.b64encode(quiet(1000) + tone(790) + quiet(1000)).decode()
    events = talk.send("input_audio_buffer.append", audio=audio)
    assert only(events, "input_audio_buffer.speech_started")["audio_start_ms"] == 700
    assert audio_of(events) == quiet(300) + tone(790) + quiet(510)


def test_a_turn_needs_no_answer_where_the_session_says_so(talk):
    talk.detect(create_response=False)
    assert kinds(talk.append(tone(400) + quiet(600))) == in_words_of(talk.dialect, TURN_GA)
    assert len(audio_of(talk.send("response.create"))) == 900 * 48


def test_without_turn_detection_the_client_commits(talk):
    if talk.dialect == "voice-live":
        talk.configure(turn_detection=None)
    else:
        talk.configure(audio={"input": {"turn_detection": None}})
    assert talk.append(tone(400) + quiet(1000)) == []
    assert kinds(talk.send("input_audio_buffer.commit")) == in_words_of(talk.dialect, TURN_GA[2:])
    assert len(audio_of(talk.send("response.create"))) == 1400 * 48


def test_there_must_be_something_to_commit(talk):
    talk.append(quiet(80))
    (event,) = talk.send("input_audio_buffer.commit")
    assert event["error"]["code"] == "input_audio_buffer_commit_empty"


def test_what_is_cleared_is_not_committed(talk):
    talk.append(quiet(200))
    assert kinds(talk.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert talk.send("input_audio_buffer.commit")[0]["type"] == "error"


def test_an_update_in_the_middle_of_a_turn_does_not_break_it(talk):
    began = talk.append(tone(400))
    talk.configure(instructions="Be brief.")
    ended = talk.append(tone(400) + quiet(600))
    assert kinds(began) == ["input_audio_buffer.speech_started"]
    assert audio_of(ended) == tone(400) * 2 + quiet(500)


def test_a_test_decides_what_is_answered(talk):
    questions = []

    def answer(question):
        questions.append(question)
        return Reply(quiet(200), "One moment.", (ToolCall("transfer_call", '{"reason":"sales"}'),))

    talk = Talk(talk.dialect, answer=answer)
    events = talk.send(
        "response.create", response={"instructions": "Greet.", "metadata": {"topic": "greeting"}}
    )
    call = only(events, "response.function_call_arguments.done")
    assert (call["name"], call["arguments"]) == ("transfer_call", '{"reason":"sales"}')
    response = only(events, "response.done")["response"]
    assert [item["type"] for item in response["output"]] == ["message", "function_call"]
    assert response["metadata"] == {"topic": "greeting"}
    assert questions[0].instructions == "Greet."

    talk.send(
        "conversation.item.create",
        item={"type": "function_call_output", "call_id": call["call_id"], "output": "done"},
    )
    talk.send("response.create")
    assert questions[1].tool_outputs == ("done",)


class TestSlowResponses:
    """With a speed, a response goes on while the caller is heard."""

    @pytest.fixture
    def talk(self, talk):
        return Talk(talk.dialect, speed=2.0)

    def test_it_is_sent_at_so_much_for_each_ms_of_the_caller(self, talk):
        assert audio_of(talk.send("response.create")) == b""
        assert len(audio_of(talk.append(quiet(100)))) == 200 * 48
        events = talk.append(quiet(200))
        assert len(audio_of(events)) == 340 * 48
        assert "response.done" in kinds(events)

    def test_it_is_cancelled_by_the_callers_voice(self, talk):
        talk.send("response.create")
        talk.append(quiet(80))
        events = talk.append(tone(60))
        assert kinds(events)[:2] == in_words_of(
            talk.dialect, ["response.output_audio.delta", "input_audio_buffer.speech_started"]
        )
        response = only(events, "response.done")["response"]
        assert response["status"] == "cancelled"
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert response["output"][0]["status"] == "incomplete"

    def test_it_goes_on_where_the_session_says_so(self, talk):
        talk.detect(interrupt_response=False, create_response=False)
        talk.send("response.create")
        assert "input_audio_buffer.speech_started" in kinds(talk.append(tone(60)))
        assert only(talk.append(tone(400)), "response.done")["response"]["status"] == "completed"

    def test_another_cannot_be_asked_for_meanwhile(self, talk):
        talk.send("response.create")
        (event,) = talk.send("response.create", event_id="mine")
        assert event["error"]["code"] == "conversation_already_has_active_response"
        assert event["error"]["event_id"] == "mine"

    def test_it_can_be_cancelled_by_the_client_once(self, talk):
        talk.send("response.create")
        events = talk.send("response.cancel")
        assert only(events, "response.done")["response"]["status_details"]["reason"] == "client_cancelled"
        assert talk.send("response.cancel")[0]["error"]["code"] == "response_cancel_not_active"

    def test_only_the_response_that_is_named_is_cancelled(self, talk):
        talk.send("response.create")
        (event,) = talk.send("response.cancel", response_id="resp_another")
        assert event["error"]["code"] == "response_cancel_not_active"
