"""Parts of several owners of a call come together on one line, whatever order they are found in."""

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.recording.merge import Piece, lay_out
from media_gateway.recording.parts import PartName


def test_parts_follow_one_another_and_what_is_missing_stays_missing():
    first, second, third = (PartName(1, begin, begin + 100) for begin in (0, 100, 300))
    assert lay_out([third, first, second]) == [
        Piece(first, 0, 100),
        Piece(second, 100, 200),
        Piece(third, 300, 400),
    ]


def test_from_where_a_later_owner_begins_an_earlier_one_counts_no_more():
    early, stale, late = PartName(1, 0, 100), PartName(1, 100, 200), PartName(2, 60, 90)
    assert lay_out([early, stale, late]) == [Piece(early, 0, 60), Piece(late, 60, 90)]


def test_no_parts_make_no_line():
    assert lay_out([]) == []


part_names = st.builds(
    lambda epoch, first, samples: PartName(epoch, first, first + samples),
    st.integers(1, 3),
    st.integers(0, 60),
    st.integers(1, 30),
)


@given(st.sets(part_names, max_size=8))
def test_every_sample_comes_from_one_part_that_has_it_and_from_the_last_owner_that_has_begun(parts):
    pieces = lay_out(parts)
    reached = 0
    for piece in pieces:
        assert reached <= piece.first < piece.end
        assert piece.part.first <= piece.first
        assert piece.end <= piece.part.end
        reached = piece.end
    begun = {epoch: min(p.first for p in parts if p.epoch == epoch) for epoch in {p.epoch for p in parts}}
    for at in range(100):
        owner = max((epoch for epoch, first in begun.items() if first <= at), default=None)
        has_it = any(p.epoch == owner and p.first <= at < p.end for p in parts)
        found = [piece.part.epoch for piece in pieces if piece.first <= at < piece.end]
        assert found == ([owner] if has_it else [])
