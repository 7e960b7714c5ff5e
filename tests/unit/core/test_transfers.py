"""What goes along with a transfer is checked before ACS is asked; what is at fault is named, and never shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.transfers import (
    MAX_VOIP_HEADERS,
    TargetKind,
    TransferContext,
    TransferInvalid,
    context_for,
    target_kind,
    what_fits,
)
from shared.core.variables import within_limits

PHONE = "4:+14255550177"
RESOURCE = "11111111-1111-1111-1111-111111111111"
USER = f"8:acs:{RESOURCE}_00000014-1889-f3a7-6a0b-343a0d0061f3"
TEAMS = "8:orgid:22222222-2222-2222-2222-222222222222"


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (PHONE, TargetKind.PHONE),
        (USER, TargetKind.ACS_USER),
        (USER.replace("8:acs:", "8:gcch-acs:"), TargetKind.ACS_USER),
        (f"8:acs:{RESOURCE}_a-tenant_a-user", TargetKind.TEAMS),
        (TEAMS, TargetKind.TEAMS),
        ("28:orgid:22222222-2222-2222-2222-222222222222", TargetKind.TEAMS),
    ],
)
def test_a_raw_id_tells_what_it_names(target, kind):
    assert target_kind(target) is kind


@pytest.mark.parametrize(
    "target",
    ["", "+14255550177", "4:anonymous", "4:+1425x", "8:acs:", "8:acs:one-part", "8:", "29:a", f"{PHONE}\n"],
)
def test_what_names_nobody_is_no_target(target):
    with pytest.raises(TransferInvalid) as invalid:
        target_kind(target)
    assert invalid.value.key == "target"
    assert not target or target not in str(invalid.value)


def test_an_acs_user_gets_every_variable():
    variables = {"sessionRef": "abc 1\n2", "X-MS-Custom-Queue": "claims", "näme": "é", "empty": ""}
    assert context_for(USER, variables) == TransferContext(voip=variables)


def test_a_phone_gets_the_sip_headers_alone():
    variables = {"sessionRef": "abc", "x-ms-custom-Queue": "claims", "userToUser": "616d;encoding=hex"}
    assert context_for(PHONE, variables) == TransferContext(
        sip={"X-MS-Custom-Queue": "claims", "User-To-User": "616d;encoding=hex"}
    )


def test_a_phone_that_nothing_can_go_along_to_is_no_reason_not_to_transfer():
    assert context_for(PHONE, {"sessionRef": "x" * 5000}) == TransferContext()


def test_teams_gets_nothing():
    assert context_for(TEAMS, {"sessionRef": "abc", "User-To-User": "abc"}) == TransferContext()


SECRET = "\u0007 4111"


@pytest.mark.parametrize(
    ("target", "name", "value", "limit"),
    [
        (USER, "n" * 65, "v", "name longer than 64 characters"),
        (USER, "", "v", "name empty, or with a character that a header's may not have"),
        (USER, "a\nb", "v", "name empty, or with a character that a header's may not have"),
        (USER, "long", "v" * 1025, "value longer than 1024 characters"),
        (USER, "odd", SECRET, "value with a character that a header's may not have"),
        (USER, "half", "\ud800", "value with a character that a header's may not have"),
        (PHONE, "X-MS-Custom-" + "n" * 53, "v", "name longer than 64 characters"),
        (PHONE, "X-MS-Custom-a b", "v", "name empty, or with a character that a header's may not have"),
        (PHONE, "X-MS-Custom-long", "v" * 257, "value longer than 256 characters"),
        (PHONE, "User-To-User", "v" * 257, "value longer than 256 characters"),
        (PHONE, "User-To-User", "a\r\nVia: b", "value with a character that a header's may not have"),
        (PHONE, "X-MS-Custom-odd", "é", "value with a character that a header's may not have"),
    ],
)
def test_a_variable_past_a_limit_is_named_with_the_limit_and_without_its_value(target, name, value, limit):
    with pytest.raises(TransferInvalid) as invalid:
        context_for(target, {"fine": "abc", name: value})
    assert (invalid.value.key, invalid.value.limit) == (name[:64], limit)
    assert str(invalid.value) == f"{name[:64]}: {limit}"


def test_what_is_just_within_the_limits_goes():
    assert context_for(USER, {"n" * 64: "v" * 1024}).voip
    name = "X-MS-Custom-" + "n" * (64 - len("X-MS-Custom-"))
    assert context_for(PHONE, {name: "v" * 256}).sip == {name: "v" * 256}


def test_so_many_headers_and_no_more():
    many = {f"v{number}": "" for number in range(MAX_VOIP_HEADERS)}
    assert len(context_for(USER, many).voip) == MAX_VOIP_HEADERS
    with pytest.raises(TransferInvalid, match="last: more than 1000 VoIP headers"):
        context_for(USER, many | {"last": ""})
    five = {f"X-MS-Custom-{number}": "" for number in range(5)} | {"User-To-User": ""}
    assert len(context_for(PHONE, five).sip) == 6
    with pytest.raises(TransferInvalid, match="X-MS-Custom-last: more than 5 custom SIP headers"):
        context_for(PHONE, five | {"X-MS-Custom-last": ""})


def test_what_is_past_a_limit_can_be_left_out():
    long = {"long": "v" * 1025, "odd": SECRET, "fine": "abc"}
    assert what_fits(USER, long) == (TransferContext(voip={"fine": "abc"}), ["long", "odd"])
    six = {f"X-MS-Custom-{number}": "" for number in range(6)} | {"User-To-User": "abc", "order": "1"}
    context, left_out = what_fits(PHONE, six)
    assert [*context.sip] == [name for name in six if name not in ("X-MS-Custom-5", "order")]
    assert left_out == ["X-MS-Custom-5"]
    assert what_fits(TEAMS, long) == (TransferContext(), [])
    with pytest.raises(TransferInvalid):
        what_fits("nobody", {})


@given(st.dictionaries(st.text(max_size=70), st.text(max_size=300)), st.sampled_from([PHONE, USER, TEAMS]))
def test_whatever_fits_is_within_the_limits(variables, target):
    kept = within_limits(variables)
    context, left_out = what_fits(target, kept)
    assert len(context.voip) + len(context.sip) + len(left_out) <= len(kept)
    assert context_for(target, {**context.voip, **context.sip}) == context


def test_what_goes_along_is_not_shown():
    context = context_for(USER, {"sessionRef": "abc"})
    assert "abc" not in repr(context)
