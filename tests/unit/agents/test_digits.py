"""Keys that belong together come together, none is lost, and none waits for ever."""

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.agents.digits import MAX_DIGITS, DigitGroups

KEYS = "0123456789*#ABCD"


def test_a_pause_ends_a_group():
    groups = DigitGroups(1500)
    assert [groups.press("1"), groups.elapse(1400), groups.press("2"), groups.elapse(1400)] == [None] * 4
    assert groups.elapse(100) == "12"
    assert not groups.is_open
    assert groups.elapse(10_000) is None


def test_the_hash_key_ends_it_at_once_and_belongs_to_it():
    groups = DigitGroups(1500)
    groups.press("4")
    assert groups.press("#") == "4#"
    assert groups.press("#") == "#"


def test_without_a_pause_each_key_is_a_group():
    groups = DigitGroups(0)
    assert [groups.press(key) for key in "12"] == ["1", "2"]


def test_who_leans_on_the_keypad_makes_several():
    groups = DigitGroups(1500)
    ended = [groups.press("5") for _ in range(2 * MAX_DIGITS)]
    assert [group for group in ended if group] == ["5" * MAX_DIGITS] * 2


@given(
    pause_ms=st.integers(0, 3000),
    happened=st.lists(st.one_of(st.sampled_from(KEYS), st.integers(1, 4000)), max_size=200),
)
def test_whatever_is_pressed_comes_in_order_and_in_time(pause_ms, happened):
    groups = DigitGroups(pause_ms)
    ended, quiet_ms = [], 0
    for one in happened:
        if isinstance(one, str):
            group, quiet_ms = groups.press(one), 0
        else:
            quiet_ms += one
            group = groups.elapse(one)
        if group is not None:
            ended.append(group)
        assert not groups.is_open or quiet_ms < pause_ms
    ended.append(groups.elapse(pause_ms) or "")

    assert "".join(ended) == "".join(one for one in happened if isinstance(one, str))
    assert all(len(group) <= MAX_DIGITS for group in ended)
    assert all("#" not in group[:-1] for group in ended)
