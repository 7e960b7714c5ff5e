"""What the emulator recognises of keys and words, in virtual time."""

import pytest

from emulator.call_automation.recognizer import CONFIDENCE, MAX_TONES, MAX_WORDS_CHARS, Recognizer
from emulator.wire.callback_events import ChoiceResult, DtmfResult, SpeechResult
from emulator.wire.identifiers import from_raw_id
from emulator.wire.recognize import (
    MAX_SILENCE_BEFORE_SPEECH_SECONDS,
    Choice,
    DtmfOptions,
    RecognizeInputType,
    RecognizeOptions,
    RecognizeRequest,
    SpeechOptions,
)
from emulator.wire.requests import TONES, DtmfTone

YES = Choice(label="Confirm", phrases=("yes", "yes please", "Confirm"), tone=DtmfTone.ONE)
NO = Choice(label="Cancel", phrases=("no", "Cancel"), tone=DtmfTone.TWO)


class Caller:
    """Presses and says things to a recogniser, at times of the test's choice."""

    def __init__(self, kind, *, completes_late=False, prompt=False, **options):
        request = RecognizeRequest(
            recognize_input_type=kind,
            recognize_options=RecognizeOptions(target_participant=from_raw_id("4:+14255550100"), **options),
        )
        self.recognizer = Recognizer(request, completes_late=completes_late)
        self.now = 0.0
        if not prompt:
            self.recognizer.prompt_over(self.now)

    def presses(self, keys, *, every=0.1):
        for key in keys:
            self.waits(every)
            self.recognizer.key(TONES[key], self.now)
        return self

    def says(self, text, *, lasting=0.0):
        self.recognizer.words(text, lasting, self.now)
        return self

    def waits(self, seconds):
        """Wait, and let the recogniser run out of patience on the way."""
        until = self.now + seconds
        due_at = self.recognizer.due_at
        if due_at is not None and due_at <= until:
            self.recognizer.time_out(due_at)
        self.now = until
        return self

    @property
    def ended(self):
        """Code, subcode and what was recognised; None while it goes on."""
        ended = self.recognizer.ended
        return ended and (ended.result.code, ended.result.sub_code, ended.recognized)


def keys(digits):
    return DtmfResult(tuple(TONES[digit] for digit in digits))


def dtmf(*, prompt=False, completes_late=False, interrupt_prompt=True, silence=5, **options):
    return Caller(
        RecognizeInputType.DTMF,
        prompt=prompt,
        completes_late=completes_late,
        interrupt_prompt=interrupt_prompt,
        initial_silence_timeout_in_seconds=silence,
        dtmf_options=DtmfOptions(**options),
    )


def speech(kind=RecognizeInputType.SPEECH, **options):
    return Caller(kind, speech_options=SpeechOptions(end_silence_timeout_in_ms=1000), **options)


def choices(**options):
    return Caller(RecognizeInputType.CHOICES, choices=(YES, NO), **options)


def test_as_many_keys_as_were_asked_for_complete_it():
    caller = dtmf(max_tones_to_collect=4).presses("123")
    assert caller.ended is None
    assert caller.presses("#").ended == (200, 8531, keys("123#"))


def test_stop_tone_completes_it_and_is_not_among_the_keys():
    caller = dtmf(max_tones_to_collect=4, stop_tones=(DtmfTone.POUND,))
    assert caller.presses("12#").ended == (200, 8514, keys("12"))


def test_silence_after_the_prompt_fails_it():
    caller = dtmf(silence=5).waits(4.9)
    assert caller.ended is None
    assert caller.waits(0.1).ended == (400, 8510, None)


def test_silence_may_be_allowed_for_no_time_at_all():
    assert dtmf(silence=0).waits(0).ended == (400, 8510, None)


def test_next_key_may_take_only_so_long():
    caller = dtmf(max_tones_to_collect=4, inter_tone_timeout_in_seconds=3).presses("12", every=2.5)
    assert caller.waits(2.5).ended is None
    assert caller.waits(0.5).ended == (400, 8532, None)


def test_keys_so_far_can_be_told_when_the_next_one_is_late():
    caller = dtmf(max_tones_to_collect=4, completes_late=True).presses("12")
    assert caller.waits(2).ended == (400, 8532, keys("12"))


def test_key_that_comes_before_the_last_moment_is_waited_on():
    caller = dtmf(max_tones_to_collect=2).presses("1")
    caller.recognizer.time_out(caller.now)
    assert caller.presses("2").ended == (200, 8531, keys("12"))


def test_number_of_keys_is_limited_where_none_is_asked_for():
    assert dtmf().presses("5" * MAX_TONES).ended == (200, 8531, keys("5" * MAX_TONES))


def test_words_are_no_keys():
    caller = dtmf(max_tones_to_collect=1).says("five")
    assert caller.waits(5).ended == (400, 8510, None)


def test_nothing_is_heard_after_the_end():
    caller = dtmf(max_tones_to_collect=1).presses("1")
    assert caller.presses("2").waits(60).ended == (200, 8531, keys("1"))


def test_prompt_may_be_interrupted_by_a_key():
    caller = dtmf(prompt=True, max_tones_to_collect=2).presses("1")
    assert not caller.recognizer.is_prompting
    assert caller.presses("2").ended == (200, 8531, keys("12"))


def test_keys_during_a_prompt_that_must_not_be_interrupted_are_lost():
    caller = dtmf(prompt=True, interrupt_prompt=False, max_tones_to_collect=2).presses("1")
    assert caller.recognizer.is_prompting
    caller.recognizer.prompt_over(caller.now)
    assert caller.presses("23").ended == (200, 8531, keys("23"))


def test_speech_is_told_when_the_caller_has_been_silent_for_long_enough():
    caller = speech().says("I lost my card.", lasting=2.0).waits(2.9)
    assert caller.ended is None
    assert caller.waits(0.1).ended == (200, 8569, SpeechResult("I lost my card.", CONFIDENCE))


def test_words_that_follow_soon_belong_to_it():
    caller = speech().says("I lost", lasting=0.5).waits(1.4).says("my card.", lasting=0.5)
    assert caller.waits(1.4).ended is None
    assert caller.waits(0.1).ended == (200, 8569, SpeechResult("I lost my card.", CONFIDENCE))


def test_caller_who_interrupts_themselves_is_heard_out():
    caller = speech().says("One long sentence", lasting=5.0).says("and a word", lasting=0.1)
    assert caller.waits(5.9).ended is None
    assert caller.waits(0.1).ended[2].speech == "One long sentence and a word"


def test_mumbling_is_not_understood():
    assert speech().says("").waits(1).ended == (400, 8563, None)


def test_keys_are_no_speech():
    assert speech().presses("1").waits(5).ended == (400, 8510, None)


def test_words_beyond_the_limit_are_not_heard():
    caller = speech().says("a" * MAX_WORDS_CHARS).says("b")
    assert caller.waits(1).ended[2].speech == "a" * MAX_WORDS_CHARS


def test_silence_before_speech_is_limited_more_than_before_keys():
    caller = speech(initial_silence_timeout_in_seconds=300).waits(MAX_SILENCE_BEFORE_SPEECH_SECONDS)
    assert caller.ended == (400, 8510, None)
    assert dtmf(silence=300).waits(299).ended is None


def test_first_of_speech_and_keys_counts():
    kind = RecognizeInputType.SPEECH_OR_DTMF
    options = {"dtmf_options": DtmfOptions(max_tones_to_collect=2)}
    assert speech(kind, **options).presses("1").says("one").presses("2").ended == (200, 8531, keys("12"))
    said = speech(kind, **options).says("one").presses("12").waits(1)
    assert said.ended == (200, 8569, SpeechResult("one", CONFIDENCE))
    assert speech(kind, **options).waits(5).ended == (400, 8510, None)


@pytest.mark.parametrize(
    ("text", "label", "phrase"),
    [
        ("yes", "Confirm", "yes"),
        ("Yes, please!", "Confirm", "yes please"),
        ("I would like to CONFIRM it", "Confirm", "Confirm"),
        ("No.", "Cancel", "no"),
    ],
)
def test_choice_is_made_by_a_phrase_among_the_words(text, label, phrase):
    assert choices().says(text).waits(1).ended == (200, 8545, ChoiceResult(label, phrase, CONFIDENCE))


@pytest.mark.parametrize("text", ["perhaps", "nobody", "yesterday"])
def test_words_without_a_phrase_choose_nothing(text):
    assert choices().says(text).waits(1).ended == (400, 8547, None)


def test_choice_is_made_by_its_key():
    assert choices().presses("2").ended == (200, 8533, ChoiceResult("Cancel", None))


def test_key_of_no_choice_is_wrong():
    assert choices().presses("3").ended == (400, 8534, None)


def test_mumbling_chooses_nothing():
    assert choices().says(" ").waits(1).ended == (400, 8563, None)
