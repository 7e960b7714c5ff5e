"""Playout by examples: what a reader wants to know without reading properties."""

import pytest

from shared.core.playout import Heard, PlayoutLedger, PlayoutLimits

RATE = 16_000
MS = 1000


def audio(ms, value=1):
    return value.to_bytes(2, "little") * (RATE * ms // 1000)


def sent_ms(pieces):
    return [len(piece.pcm) // 2 * 1000 // RATE for piece in pieces]


def test_first_words_leave_at_once_and_the_rest_is_paced():
    ledger = PlayoutLedger(RATE)
    ledger.append("hello", audio(1000))

    assert sent_ms(ledger.due(0)) == [100, 100]
    assert ledger.due(0) == []
    assert sent_ms(ledger.due(1)) == [100]  # the lead fell below 200 ms
    assert ledger.due(100 * MS) == []
    assert sent_ms(ledger.due(101 * MS)) == [100]
    assert ledger.is_pending


def test_audio_that_comes_in_real_time_is_never_held_back():
    ledger = PlayoutLedger(RATE)
    for tick in range(100):
        ledger.append("echo", audio(20))
        assert sent_ms(ledger.due(tick * 20 * MS)) == [20]


def test_small_pieces_that_wait_leave_as_one_chunk():
    ledger = PlayoutLedger(RATE)
    for _ in range(50):
        ledger.append("item", audio(20))

    assert sent_ms(ledger.due(0)) == [100, 100]


def test_chunk_holds_one_item_only():
    ledger = PlayoutLedger(RATE)
    ledger.append("a", audio(30, value=1))
    ledger.append("b", audio(30, value=2))

    assert [piece.pcm for piece in ledger.due(0)] == [audio(30, value=1), audio(30, value=2)]


def test_heard_follows_the_clock_and_stops_at_the_end_of_the_item():
    ledger = PlayoutLedger(RATE)
    ledger.append("a", audio(150))
    ledger.due(0)

    assert ledger.heard(0) is None
    assert ledger.heard(70 * MS) == Heard("a", 70, 150)
    assert ledger.heard(9000 * MS) == Heard("a", 150, 150)


def test_silence_of_the_agent_is_not_counted_as_heard():
    ledger = PlayoutLedger(RATE)
    ledger.append("a", audio(100))
    ledger.due(0)
    ledger.append("a", audio(100))
    ledger.due(500 * MS)

    assert ledger.heard(400 * MS) == Heard("a", 100, 200)
    assert ledger.heard(550 * MS) == Heard("a", 150, 200)


def test_playout_delay_moves_what_was_heard():
    ledger = PlayoutLedger(RATE, playout_delay_ms=80)
    ledger.append("a", audio(100))
    ledger.due(0)

    assert ledger.heard(80 * MS) is None
    assert ledger.heard(130 * MS) == Heard("a", 50, 100)
    assert not ledger.drained(179 * MS)
    assert ledger.drained(180 * MS)


def test_barge_in_tells_what_was_heard_of_each_cut_item():
    ledger = PlayoutLedger(RATE)
    ledger.append("a", audio(120))
    ledger.append("b", audio(5000))
    ledger.append("c", audio(100))
    ledger.due(0)

    assert ledger.clear(150 * MS) == (Heard("b", 30, 5000), Heard("c", 0, 100))
    assert ledger.due(150 * MS) == []
    assert ledger.drained(150 * MS)


def test_late_audio_of_a_cut_item_is_dropped_and_counted():
    ledger = PlayoutLedger(RATE)
    ledger.append("a", audio(100))
    ledger.due(0)
    ledger.clear(10 * MS)
    ledger.append("a", audio(100))
    ledger.append("next", audio(20))

    assert sent_ms(ledger.due(10 * MS)) == [20]
    assert ledger.losses.late_samples == RATE // 10


def test_item_heard_to_its_present_end_is_still_cut():
    ledger = PlayoutLedger(RATE)
    ledger.append("a", audio(100))
    ledger.due(0)

    assert ledger.clear(500 * MS) == (Heard("a", 100, 100),)
    assert ledger.clear(500 * MS) == ()


def test_after_a_barge_in_the_next_words_leave_at_once():
    ledger = PlayoutLedger(RATE)
    ledger.append("a", audio(1000))
    ledger.due(0)
    ledger.clear(10 * MS)
    ledger.append("b", audio(1000))

    assert sent_ms(ledger.due(10 * MS)) == [100, 100]
    assert ledger.heard(60 * MS) == Heard("b", 50, 1000)


def test_item_that_does_not_fit_ends_where_the_room_ends():
    ledger = PlayoutLedger(RATE, PlayoutLimits(queued_ms=1000))
    ledger.append("long", audio(1500))
    ledger.append("long", audio(100))

    assert ledger.losses.overflowed_items == 1
    assert ledger.losses.overflow_samples == RATE // 2
    assert ledger.losses.late_samples == RATE // 10
    assert ledger.remaining_us(0) == 1_000_000


def test_memory_stays_bounded_over_a_long_call_of_tiny_pieces():
    ledger = PlayoutLedger(RATE)
    for tick in range(20_000):
        ledger.append(f"item {tick // 100}", audio(2))
        ledger.due(tick * 2 * MS)
    ledger.append("queued", b"")
    for _ in range(40_000):
        ledger.append("queued", audio(1))

    assert len(ledger._spans) <= 2
    assert len(ledger._queue) <= 40_000 // 100 + 1
    assert len(ledger._over) <= 32


def test_half_a_sample_is_the_agents_fault():
    with pytest.raises(ValueError, match="whole"):
        PlayoutLedger(RATE).append("a", b"\0\0\0")


def test_an_announcement_is_heard_whole_whatever_is_cut_behind_it():
    ledger = PlayoutLedger(RATE)
    ledger.append("notice", audio(1000), protected=True)
    ledger.append("hello", audio(500))
    ledger.due(0)

    assert ledger.is_protected(300 * MS)
    assert ledger.clear(300 * MS) == (Heard("hello", 0, 500),)
    assert sum(sent_ms([piece for tick in range(300, 1300, 50) for piece in ledger.due(tick * MS)])) == 800
    assert ledger.drained(1001 * MS)


def test_what_was_sent_right_behind_an_announcement_is_heard_and_counted_as_such():
    ledger = PlayoutLedger(RATE)
    ledger.append("notice", audio(100), protected=True)
    ledger.append("hello", audio(500))
    ledger.due(0)  # 100 ms of each

    assert ledger.clear(10 * MS) == (Heard("hello", 100, 500),)
    assert ledger.remaining_us(10 * MS) == 190 * MS
    assert not ledger.is_protected(100 * MS)
