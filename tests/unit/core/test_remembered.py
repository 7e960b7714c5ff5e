"""A process remembers the latest, for a while and so many: what goes, and what is counted as gone too early."""

from shared.core.remembered import Remembered


def remembered():
    return Remembered[str](limit=2, for_s=60.0)


def test_what_was_put_is_there_until_its_time_is_over():
    calls = remembered()
    calls.put("a", "first", 1000.0)
    assert [calls.get("a", now) for now in (1000.0, 1060.0, 1060.1)] == ["first", "first", None]
    assert calls.get("b", 1000.0) is None


def test_when_there_are_too_many_the_oldest_is_forgotten_and_that_is_said():
    calls = remembered()
    assert [calls.put(key, key, 1000.0) for key in "abc"] == [0, 0, 1]
    assert [calls.get(key, 1000.0) for key in "abc"] == [None, "b", "c"]


def test_what_is_forgotten_in_time_is_no_loss_and_leaves_room():
    calls = remembered()
    for key in "ab":
        calls.put(key, key, 1000.0)
    assert [calls.put(key, key, 1061.0) for key in "cd"] == [0, 0]
    assert [calls.get(key, 1061.0) for key in "abcd"] == [None, None, "c", "d"]


def test_what_is_put_again_is_new():
    calls = remembered()
    for key, now in (("a", 1000.0), ("b", 1001.0), ("a", 1002.0), ("c", 1003.0)):
        calls.put(key, f"{key} at {now:.0f}", now)
    assert [calls.get(key, 1003.0) for key in "abc"] == ["a at 1002", None, "c at 1003"]
