"""Which of a call's VoIP headers become its variables."""

import msgspec

from shared.core.variables import MAX_JSON_BYTES, MAX_VARIABLES, within_limits


def test_headers_past_acs_s_own_limits_are_left_out():
    headers = {"good": "1", "": "no name", "n" * 65: "long name", "long": "v" * 1025, "last": ""}
    assert within_limits(headers) == {"good": "1", "last": ""}


def test_the_first_hundred_are_kept_however_long_each_may_be():
    headers = {f"{number:064}": "v" * 1024 for number in range(MAX_VARIABLES + 1)}
    assert list(within_limits(headers)) == list(headers)[:MAX_VARIABLES]


def test_what_grows_sixfold_when_it_is_kept_is_cut_off_where_a_row_would_end():
    headers = {f"{number:064}": "\x01" * 1024 for number in range(MAX_VARIABLES)}
    kept = within_limits(headers)
    assert 0 < len(kept) < MAX_VARIABLES
    assert len(msgspec.json.encode(kept)) <= MAX_JSON_BYTES
