"""What the caller does, in virtual time: a tick is 20 ms."""

import itertools

import pytest

from emulator.caller.actions import HangUp, Press, Remark, Say, Words
from emulator.caller.script import Plan, Script
from emulator.caller.steps import read_step
from tests.support.voice import ramp

RATE = 16000
FRAME = 640


class Phone:
    """Plays a call to a script and keeps what it did, with its tick."""

    def __init__(self, *steps, speech=None, **plan) -> None:
        plan["speech"] = None if speech is None else Say(speech)
        plan["steps"] = tuple(read_step(step) if isinstance(step, str) else step for step in steps)
        self.script = Script(Plan(rate_hz=RATE, **plan))
        self.tick = 0
        self.done = []

    def run(self, ticks: int, *, said: bool = False, heard: bool = False) -> "Phone":
        for _ in range(ticks):
            self.tick += 1
            self.done += [(self.tick, action) for action in self.script.tick(said=said, heard=heard)]
        return self

    def state(self, *names: str) -> "Phone":
        for name in names:
            self.script.state(name)
        return self

    def of(self, kind) -> list:
        return [(tick, action) for tick, action in self.done if isinstance(action, kind)]

    def hung_up(self) -> tuple[int, str] | None:
        return next(((tick, action.why) for tick, action in self.done if isinstance(action, HangUp)), None)


def test_nothing_is_said_before_the_media_is_up():
    phone = Phone(speech=ramp(0, 3200)).run(100).state("answered").run(100)
    assert phone.done == []


def test_speech_begins_after_the_wait_and_keeps_100_ms_ahead():
    speech = ramp(0, 320 * 9 + 7)
    phone = Phone(speech=speech, say_after_ms=200).state("answered", "media_connected").run(40)
    sent = phone.of(Say)
    assert sent[0] == (10, Say(speech[: 5 * FRAME]))
    assert [tick for tick, _ in sent] == list(range(10, 16))
    assert b"".join(say.pcm for _, say in sent) == speech
    assert [action.name for _, action in phone.of(Remark)] == ["saying", "said"]


def test_keys_are_pressed_after_the_words_one_by_one():
    phone = (
        Phone(speech=ramp(0, 640), digits="12#", say_after_ms=0).state("answered", "media_connected").run(80)
    )
    last_word = phone.of(Say)[-1][0]
    keys = phone.of(Press)
    assert [action.keys for _, action in keys] == ["1", "2", "#"]
    assert keys[0][0] > last_word
    assert [later[0] - earlier[0] for earlier, later in itertools.pairwise(keys)] == [15, 15]


def test_the_caller_hangs_up_two_seconds_after_the_agent_went_quiet():
    phone = Phone(say_after_ms=0).state("answered", "media_connected").run(50)
    phone.run(30, heard=True).run(99)
    assert phone.hung_up() is None
    assert phone.run(1).hung_up() == (180, "agent quiet")


def test_an_answer_during_the_words_does_not_count_as_the_answer_to_them():
    phone = Phone(speech=ramp(0, 320 * 20), say_after_ms=0).state("answered", "media_connected")
    phone.run(5, heard=True).run(25, said=True).run(200)
    assert phone.hung_up() is None


def test_a_silent_agent_is_waited_for_eight_seconds():
    phone = Phone(say_after_ms=0).state("answered", "media_connected").run(500)
    assert phone.hung_up() == (401, "agent silent")


def test_hanging_up_as_told_counts_from_the_answer():
    phone = Phone(hangup_after_s=1.0).run(20).state("answered").run(100, heard=True)
    assert phone.hung_up() == (70, "as told")


def test_an_answered_call_without_media_is_given_up():
    phone = Phone().state("answered").run(600)
    assert phone.hung_up() == (500, "no media")


def test_a_call_that_only_rings_is_left_at_the_maximum_duration():
    assert Phone(max_s=5).run(300).hung_up() == (250, "maximum duration")


def test_its_clock_is_never_ahead_of_the_emulators():
    phone = Phone()
    assert phone.script.now_ms == 0
    phone.run(1)  # the first tick comes up to 20 ms after the call was placed
    assert phone.script.now_ms == 0
    assert phone.run(1).script.now_ms == 20


def test_after_hanging_up_nothing_more_is_done():
    phone = (
        Phone(max_s=1, speech=ramp(0, 99_000), say_after_ms=0).state("answered", "media_connected").run(200)
    )
    assert phone.done[-1] == (50, HangUp("maximum duration"))


def test_a_caller_who_is_being_transferred_waits():
    phone = Phone(say_after_ms=0).state("answered", "media_connected").run(10).run(10, heard=True)
    phone.state("transferring").run(1000)
    assert phone.hung_up() is None


@pytest.mark.parametrize("settled", ["transfer_accepted", "transfer_failed"])
def test_whoever_has_the_caller_after_a_transfer_is_waited_for_eight_seconds(settled):
    phone = Phone(say_after_ms=0).state("answered", "media_connected").run(10).run(10, heard=True)
    phone.state("transferring").run(100).state(settled).run(500)
    assert phone.hung_up() == (520, "agent silent")


def test_after_a_transfer_two_seconds_of_quiet_end_the_call_again():
    phone = Phone(say_after_ms=0).state("answered", "media_connected").run(10)
    phone.state("transferring").run(100).state("transfer_accepted").run(200).run(20, heard=True).run(200)
    assert phone.hung_up() == (430, "agent quiet")


def test_a_transfer_that_is_refused_does_not_end_the_wait_for_the_one_under_way():
    phone = Phone(say_after_ms=0).state("answered", "media_connected").run(10)
    phone.state("transferring", "transferring", "transfer_failed").run(1000)
    assert phone.hung_up() is None


def test_the_maximum_duration_holds_for_transfers_too():
    phone = Phone(max_s=5).state("answered", "media_connected", "transferring").run(300)
    assert phone.hung_up() == (250, "maximum duration")


def test_words_are_told_as_they_begin_with_what_they_take():
    speech = Say(ramp(0, 320 * 50), "Good morning.", unspoken_ms=700)
    phone = Phone(speech).state("answered", "connected").run(80)
    assert phone.of(Words) == [(1, Words("Good morning.", 300.0))]
    assert phone.of(Say)[0][0] == 1


def test_steps_begin_when_the_call_is_connected_and_follow_one_another():
    phone = Phone("wait 1", "press 12", "wait 0.5", "hang up").run(100).state("answered", "connected")
    phone.run(200)
    assert phone.of(Press) == [(151, Press("1")), (166, Press("2"))]
    assert phone.hung_up() == (191, "as told")


def test_caller_waits_until_acs_listens_once_for_each_question():
    phone = Phone("wait listening", "press 1", "wait listening", "press 2").state("answered", "connected")
    phone.state("recognize_started").run(10).state("recognize_listening").run(10)
    assert phone.of(Press) == [(11, Press("1"))]
    phone.state("recognize_completed", "recognize_started").run(10).state("recognize_listening").run(10)
    assert phone.of(Press) == [(11, Press("1")), (31, Press("2"))]


def test_question_that_is_over_is_not_answered():
    phone = Phone("wait 1", "wait listening", "press 1").state("answered", "connected")
    phone.state("recognize_started", "recognize_listening", "recognize_failed").run(100)
    assert phone.of(Press) == []
    phone.state("recognize_started", "recognize_listening").run(1)
    assert phone.of(Press) == [(101, Press("1"))]


def test_question_that_was_interrupted_is_not_waited_for_again():
    phone = Phone("wait words", "press 1", "wait listening", "press 2").state("answered", "connected")
    phone.state("recognize_started").run(5).run(1, heard=True).state("recognize_listening").run(100)
    assert phone.of(Press) == [(6, Press("1"))]


def test_caller_waits_for_words_and_until_they_are_over():
    phone = Phone("wait quiet", "press 1", "wait words", "press 2").state("answered", "connected")
    phone.run(100).run(20, heard=True).run(30).run(20, heard=True).run(49)
    assert phone.of(Press) == []
    phone.run(1).run(100)
    assert phone.of(Press) == [(220, Press("1"))]
    phone.run(1, heard=True)
    assert phone.of(Press)[1:] == [(321, Press("2"))]


def test_steps_need_no_media():
    phone = Phone("wait 20", "press 1").state("answered", "connected").run(1001)
    assert phone.of(Press) == [(1001, Press("1"))]


def test_words_of_a_plan_wait_for_a_question_where_there_is_no_media():
    phone = Phone(digits="1", say_after_ms=200).state("answered", "connected", "recognize_started").run(600)
    phone.state("recognize_listening").run(20)
    assert phone.of(Press) == [(610, Press("1"))]


@pytest.mark.parametrize(
    "text", ["", "dance", "say", "say ", "press", "press 12x", "wait", "wait long", "wait -1", "hang up now"]
)
def test_step_that_there_is_not_is_refused(text):
    with pytest.raises(ValueError, match="a step is"):
        read_step(text)


def test_steps_are_read():
    assert read_step("say Yes, please.") == Say(b"", "Yes, please.")
    assert read_step(" press 1a# ") == Press("1A#")
    assert read_step("wait 2.5").frames == 125
