"""A stored document is checked as a file is, and what is wrong with it is told without its numbers."""

import copy

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.tables import MAX_JSON_BYTES
from shared.core.profiles import EchoAgent
from shared.gateway_document import (
    MAX_DOCUMENT_BYTES,
    MAX_PLACE_CHARS,
    MAX_PROFILE_BYTES,
    DocumentInvalid,
    decode,
    encode,
    faults_of,
    shared_numbers,
    to_routing,
)

SOUND = f"sounds/{'0a' * 32}.wav"
DOCUMENT = {
    "version": 1,
    "profiles": {"echo": {"kind": "echo", "delay_ms": 40}, "menu": {"kind": "script", "greeting": SOUND}},
    "routes": [{"account": "demo", "to": "+18005550199", "profile": "echo"}],
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.sampled_from(["echo", "script", "pcm16KMono", "+18005550199", "*", SOUND]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.text(max_size=4) | st.sampled_from(["version", "profiles", "routes", "kind", "account", "to", "profile"]),
        inner, max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


def test_a_document_comes_back_as_it_was_stored():
    assert decode(encode(DOCUMENT)) == DOCUMENT
    routing = to_routing(decode(encode(DOCUMENT)))
    assert routing.profile_for("demo", "4:+18005550199").agent == EchoAgent(delay_ms=40)


def test_the_same_document_is_the_same_bytes_in_whatever_order_it_was_written():
    reordered = {name: DOCUMENT[name] for name in reversed(DOCUMENT)}
    assert encode(reordered) == encode(DOCUMENT)


def test_a_document_without_routes_answers_nobody():
    assert to_routing(decode(encode({**DOCUMENT, "routes": []}))).routes == ()


@pytest.mark.parametrize(
    ("stored", "places"),
    [
        (b"", "file"),
        (b"\xff\xfe", "file"),
        (b"[" * 100_000, "file"),
        (b"[" * 300 + b"]" * 300, "file"),
        (b"[]", "file"),
        (encode({**DOCUMENT, "version": 2}), "version"),
        (encode(DOCUMENT).replace(b'"profile": "echo"', b'"profile": "gone"'), "routes.0.profile"),
        (encode(DOCUMENT).replace(b"+18005550199", b"018005550199"), "routes.0.to"),
        (encode(DOCUMENT).replace(SOUND.encode(), b"prompts/welcome.wav"), "profiles.menu.greeting"),
        (encode(DOCUMENT).replace(SOUND.encode(), b"sounds/../gateway.wav"), "profiles.menu.greeting"),
    ],
)
def test_a_stored_document_that_is_not_good_is_told_by_its_places_only(stored, places):
    with pytest.raises(DocumentInvalid) as invalid:
        decode(stored)
    assert str(invalid.value) == places


@pytest.mark.parametrize("item", [b"{}", b"0", b"[]"])
def test_the_largest_document_of_nothing_but_faults_costs_no_more_than_a_good_one(item):
    head, joint = b'{"version":1,"profiles":{"a":{"kind":"echo"}},"routes":[', item + b","
    stored = head + joint * ((MAX_DOCUMENT_BYTES - len(head)) // len(joint) - 1) + item + b"]}"
    with pytest.raises(DocumentInvalid) as invalid:
        decode(stored)
    assert len(invalid.value.faults) == 1


def with_session(chars):
    """A document with a realtime agent whose session has so much of its own."""
    agent = {"kind": "realtime", "dialect": "openai", "model": "m", "endpoint": "ws://127.0.0.1/v1"}
    return {"version": 1, "profiles": {"bank": {**agent, "session": {"prompt": "x" * chars}}}}


def test_a_profile_that_no_call_s_row_would_hold_is_refused():
    (fault,) = faults_of(with_session(MAX_PROFILE_BYTES))
    assert (fault.place_name, fault.text) == ("profiles.bank", f"larger than {MAX_PROFILE_BYTES} bytes")


def test_the_largest_profile_leaves_most_of_a_row_to_the_call():
    document = with_session(MAX_PROFILE_BYTES - 200)
    (profile,) = to_routing(decode(encode(document))).profiles.values()
    assert len(msgspec.json.encode(profile)) < MAX_JSON_BYTES / 2


def test_a_key_as_long_as_the_document_is_not_told_whole():
    with pytest.raises(DocumentInvalid) as invalid:
        decode(b'{"version":1,"profiles":{"' + b"k" * 1_000_000 + b'":5}}')
    assert len(str(invalid.value)) <= MAX_PLACE_CHARS


@given(JSON)
def test_any_json_is_either_refused_or_routes_only_to_profiles_that_it_has(document):
    try:
        routing = to_routing(decode(msgspec.json.encode(document)))
    except DocumentInvalid:
        return
    assert all(route.profile in routing.profiles for route in routing.routes)


@given(JSON, st.sampled_from(["profiles", "routes"]))
def test_any_value_in_a_place_is_checked_without_failing(value, name):
    document = copy.deepcopy(DOCUMENT)
    document[name] = value
    assert all(fault.text for fault in faults_of(document))


def test_a_number_that_two_accounts_route_by_name_is_found():
    routes = [
        {"account": account, "to": to, "profile": "echo"}
        for account, to in (
            ("b", "+18005550199"),
            ("a", "4:+18005550199"),
            ("a", "*"),
            ("b", "*"),
            ("a", "8:x"),
        )
    ]
    assert shared_numbers(to_routing({**DOCUMENT, "routes": routes})) == [("4:+18005550199", ["a", "b"])]
