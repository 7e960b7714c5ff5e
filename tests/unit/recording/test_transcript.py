"""Who said what and when, how much of it was heard, and that a pause keeps nothing of what was said in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_gateway.agents.contract import Role
from media_gateway.recording.transcript import (
    LATE_TEXT_MS,
    MAX_ENTRIES,
    MAX_TEXT,
    MAX_TEXTS,
    Kind,
    Transcript,
    heard_text,
)

AGENT, CALLER = Role.AGENT, Role.CALLER
SENTENCE = "Good morning, how may I help you?"


def written(transcript):
    """What is written down at the end: role, text, from, to."""
    entries = sorted(transcript.changes(final=True), key=lambda entry: entry.start_ms)
    return [(entry.role, entry.text, entry.start_ms, entry.end_ms) for entry in entries]


def test_an_agents_words_lie_where_they_are_heard_however_early_their_text_comes():
    transcript = Transcript()
    transcript.said(AGENT, "a", "Good ", 100)
    transcript.said(AGENT, "a", "morning", 150)
    transcript.plays("a", 400, 500)
    transcript.plays("a", 500, 900)
    assert written(transcript) == [(AGENT, "Good morning", 400, 900)]


def test_a_callers_words_lie_where_their_text_comes_or_where_they_began_if_that_is_known():
    transcript = Transcript()
    transcript.said(CALLER, "a", "Hello", 1000)
    transcript.began(CALLER, "b", 1500)
    transcript.said(CALLER, "b", "it is me", 3000)
    transcript.said(AGENT, "a", "Yes", 2000)
    assert [entry[:3] for entry in written(transcript)] == [
        (CALLER, "Hello", 1000),
        (CALLER, "it is me", 1500),
        (AGENT, "Yes", 2000),
    ]


def test_of_words_that_were_cut_it_is_told_which_were_heard():
    transcript = Transcript()
    transcript.plays("a", 0, 2000)
    transcript.cut("a", 900, 3000, 900)
    transcript.said(AGENT, "a", SENTENCE, 1200)
    (entry,) = transcript.changes()
    assert (entry.text, entry.heard_text) == (SENTENCE, "Good")
    assert (entry.interrupted, entry.heard_ms, entry.end_ms) == (True, 900, 900)


def test_words_of_which_nothing_was_heard_say_so():
    transcript = Transcript()
    transcript.said(AGENT, "a", SENTENCE, 1200)
    assert transcript.changes() == []
    (entry,) = transcript.changes(final=True)
    assert (entry.heard_ms, entry.heard_text, entry.interrupted) == (0, "", False)


def test_only_what_changed_is_told_again_under_the_same_number():
    transcript = Transcript()
    transcript.said(CALLER, "a", "Hello", 100)
    transcript.digits("1", 200)
    transcript.said(AGENT, "b", "Press ", 250)
    transcript.plays("b", 300, 400)
    first = {entry.text: entry.number for entry in transcript.changes()}
    assert set(first) == {"Hello", "1", "Press "}
    assert transcript.changes() == []
    transcript.said(AGENT, "b", "one", 450)
    (entry,) = transcript.changes()
    assert (entry.text, entry.number) == ("Press one", first["Press "])


def test_digits_are_the_callers():
    transcript = Transcript()
    transcript.digits("5", 70)
    (entry,) = transcript.changes()
    assert (entry.role, entry.kind, entry.text, entry.start_ms) == (CALLER, Kind.DIGITS, "5", 70)


def test_within_a_pause_neither_words_nor_digits_are_written_down():
    transcript = Transcript()
    transcript.pause(1000)
    transcript.said(CALLER, "a", "four one one", 1500)
    transcript.digits("4", 1600)
    transcript.plays("b", 1700, 1900)
    transcript.said(AGENT, "b", "four one one, correct?", 1700)
    transcript.said(AGENT, "c", "never heard", 1800)
    transcript.resume(2000)
    assert written(transcript) == []


def test_what_was_spoken_within_a_pause_is_left_out_however_late_its_text_comes():
    transcript = Transcript()
    transcript.began(CALLER, "before", 800)
    transcript.pause(1000)
    transcript.began(CALLER, "within", 1100)
    transcript.plays("agent", 1200, 1400)
    transcript.resume(2000)
    transcript.began(CALLER, "after", 2100)
    for item in ("before", "within", "after"):
        transcript.said(CALLER, item, item, 60_000)
    transcript.said(AGENT, "agent", "four one one", 60_000)
    transcript.said(CALLER, "unknown", "may be of the pause", 2000 + LATE_TEXT_MS - 1)
    transcript.said(CALLER, "long after", "is not", 2000 + LATE_TEXT_MS)
    assert [text for _, text, _, _ in written(transcript)] == ["after", "is not"]


def test_words_that_are_known_to_begin_after_a_pause_are_kept_however_soon_they_come():
    transcript = Transcript()
    transcript.pause(1000)
    transcript.resume(2000)
    transcript.began(CALLER, "a", 2100)
    transcript.said(CALLER, "a", "thank you", 2600)
    assert written(transcript) == [(CALLER, "thank you", 2100, 2600)]


def test_what_the_agent_began_before_a_pause_is_kept():
    transcript = Transcript()
    transcript.plays("a", 500, 1500)
    transcript.pause(1000)
    transcript.said(AGENT, "a", "Tell me the number of your card", 1100)
    assert [text for _, text, _, _ in written(transcript)] == ["Tell me the number of your card"]


def test_there_is_an_end_to_what_is_written_down_and_it_is_counted():
    transcript = Transcript()
    for number in range(MAX_ENTRIES):
        transcript.said(CALLER, str(number), "x", number)
    transcript.said(CALLER, "more", "x", 1)
    transcript.digits("1", 1)
    transcript.plays("more", 1, 2)
    transcript.said(CALLER, "0", "y" * MAX_TEXT, 1)
    assert transcript.left_out == 3
    assert len(transcript.changes(final=True)) == MAX_ENTRIES


def test_there_is_an_end_to_all_words_together():
    transcript = Transcript()
    for number in range(MAX_TEXTS // MAX_TEXT + 1):
        transcript.said(CALLER, str(number), "x" * MAX_TEXT, number)
    assert transcript.left_out == 1
    assert sum(len(entry.text) for entry in transcript.changes()) == MAX_TEXTS


@pytest.mark.parametrize(
    ("heard_ms", "heard"),
    [(0, ""), (100, ""), (500, "Good"), (1500, "Good morning,"), (3000, SENTENCE), (4000, SENTENCE)],
)
def test_the_heard_words_end_between_two_words(heard_ms, heard):
    assert heard_text(SENTENCE, heard_ms, 3000) == heard


def test_a_language_without_spaces_is_cut_between_characters():
    assert heard_text("お電話ありがとうございます", 1000, 2000) == "お電話ありが"


@given(st.text(), st.integers(0, 10_000), st.integers(0, 10_000))
def test_never_more_is_heard_than_was_said_by_then(text, heard_ms, said_ms):
    heard = heard_text(text, heard_ms, said_ms)
    assert text.startswith(heard)
    if heard_ms == 0 or said_ms == 0:
        assert heard == ""
    elif heard_ms >= said_ms:
        assert heard == text
    else:
        assert len(heard) * said_ms <= len(text) * heard_ms
        following = text[len(heard) : len(heard) + 1]
        assert not heard or following.isspace() or not any(map(str.isspace, text)) or following == ""


@given(st.text(), st.integers(1, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_who_heard_longer_heard_no_less(text, said_ms, one_ms, other_ms):
    less, more = sorted((one_ms, other_ms))
    assert heard_text(text, more, said_ms).startswith(heard_text(text, less, said_ms))
