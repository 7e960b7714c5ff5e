"""The book of what an agent says: never a cut beyond what came, nor of what was heard whole; words once."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_gateway.agents.realtime.events import AudioDelta
from media_gateway.agents.realtime.said import MAX_REMEMBERED, SaidItems

RATES = st.sampled_from([16_000, 24_000])


def said_of(rate_hz=24_000):
    words = []
    sink = SimpleNamespace(
        transcript=lambda role, text, *, item_id: words.append((role.value, text, item_id)),
        note=lambda event, detail="": words.append(event),
    )
    return SaidItems(rate_hz, sink), words


def say(said, samples, item="i1", response="r1"):
    said.item_of(AudioDelta(response, item, bytes(2 * samples))).samples += samples


@given(
    rate=RATES,
    pieces=st.lists(st.integers(0, 5000), max_size=6),
    heard=st.integers(0, 1000),
    whole=st.booleans(),
)
def test_a_cut_is_never_beyond_what_came(rate, pieces, heard, whole):
    said, _ = said_of(rate)
    for samples in pieces:
        say(said, samples)
    if whole:
        said.audio_is_done("i1")
    cut_at = said.cut_at_ms("i1", heard)

    came_ms = sum(pieces) * 1000 // rate
    if not pieces or (whole and heard >= came_ms):
        assert cut_at is None
    else:
        assert cut_at == min(heard, came_ms)


def test_nothing_is_known_of_an_item_that_never_came():
    said, _ = said_of()
    said.audio_is_done("i9")
    assert said.cut_at_ms("i9", 100) is None


@pytest.mark.parametrize(("is_whole", "cut_at"), [(True, None), (False, 1000)])
def test_the_end_of_a_response_makes_its_items_whole_unless_it_was_interrupted(is_whole, cut_at):
    said, _ = said_of()
    say(said, 24_000)
    said.response_is_over("r1", is_whole=is_whole)
    assert said.cut_at_ms("i1", 1000) == cut_at


def test_a_response_is_heard_of_when_it_has_audio():
    said, _ = said_of()
    said.add_words("i1", "r1", "Hello.")
    say(said, 0)
    assert not said.is_heard_of("r1")
    say(said, 1)
    assert said.is_heard_of("r1")
    assert not said.is_heard_of("r2")
    assert not said.is_heard_of(None)


def test_words_are_written_once():
    said, words = said_of()
    said.add_words("i1", "r1", "Good ")
    said.add_words("i1", "r1", "day.")
    said.words_are_done("i1", "r1", "")
    said.words_are_done("i1", "r1", "Good day, once more.")
    said.response_is_over("r1", is_whole=True)
    assert words == [("agent", "Good day.", "i1")]


def test_what_words_there_are_at_the_end_are_written():
    said, words = said_of()
    said.words_are_done("i1", "r1", "Hello.")
    said.add_words("i2", "r2", "One mo")
    said.all_is_over()
    assert words == [("agent", "Hello.", "i1"), ("agent", "One mo", "i2")]


def test_the_service_s_last_word_on_them_counts():
    said, words = said_of()
    said.add_words("i1", "r1", "God dai")
    said.words_are_done("i1", "r1", "Good day.")
    assert words == [("agent", "Good day.", "i1")]


def test_the_oldest_item_is_forgotten():
    said, _ = said_of()
    for number in range(MAX_REMEMBERED + 1):
        say(said, 24_000, f"i{number}")
    assert said.cut_at_ms("i0", 10) is None
    assert said.cut_at_ms("i1", 10) == 10
