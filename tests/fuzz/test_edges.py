"""Whatever a request holds, an edge answers it, and never with a fault of ours: a 5xx would be sent again and again."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.acs.callbacks import MAX_CALLBACK_BYTES
from tests.fuzz.payloads import CALLBACKS, DELIVERIES
from tests.fuzz.strategies import Raw, bodies, dump, fuzzed, mutated, nested, odd_texts
from tests.fuzz.world import ACS_TOKEN, API_ID, API_SECRET, CALL_ID, KID, TOKEN
from tests.support.records import data_json

CREDENTIALS = {"asapp-api-id": API_ID, "asapp-api-secret": API_SECRET}
CONTENT_TYPES = st.sampled_from(
    [
        "application/json",
        "application/cloudevents-batch+json",
        "text/plain; charset=utf-16",
        "",
        "multipart/form-data",
    ]
)
# The worker gets its strings from protobuf messages, which hold no half of a surrogate pair.
headers = st.dictionaries(odd_texts.filter(bool), odd_texts, max_size=3)


def check(response, *expected):
    """No fault of ours; and an answer that says what is wrong says it in JSON."""
    assert response.status_code < 500, (response.status_code, response.get_body())
    assert response.status_code in expected
    if response.get_body():
        json.loads(response.get_body())


@fuzzed
@given(body=bodies | mutated(DELIVERIES), content_type=CONTENT_TYPES)
def test_event_grid_gets_an_answer_to_every_body(edges, body, content_type):
    response = edges.ask("acs_events", headers=CREDENTIALS | {"content-type": content_type}, body=body)
    check(response, 200, 400, 411, 413)


@fuzzed
@given(body=bodies | mutated(CALLBACKS), content_type=CONTENT_TYPES)
def test_acs_gets_an_answer_to_every_body(edges, body, content_type):
    response = edges.ask(
        "call_events",
        headers={"content-type": content_type},
        params={"token": TOKEN},
        route_params={"call_id": CALL_ID},
        body=body,
    )
    check(response, 200, 400, 403, 411, 413)


@fuzzed
@given(
    st.just({}) | st.fixed_dictionaries({}, optional=dict.fromkeys(CREDENTIALS, odd_texts)),
    headers,
    mutated(DELIVERIES),
)
def test_no_credentials_but_the_account_s_let_a_delivery_in(edges, credentials, headers, body):
    response = edges.ask("acs_events", headers=headers | credentials, body=body)
    # Half a pair is none: the validation of a subscription, which has no effect, is then answered to anybody.
    is_whole = len([value for value in credentials.values() if value]) == len(CREDENTIALS)
    check(response, *((401,) if is_whole else (200, 400, 401)))
    if response.status_code == 200:
        assert b"validationResponse" in response.get_body()


@fuzzed
@given(
    headers,
    st.none() | odd_texts | st.sampled_from(["eventgrid.azure.net", "EVENTGRID.azure.com", "evil.example"]),
)
def test_only_event_grid_s_origins_are_consented_to(edges, headers, origin):
    named = headers if origin is None else headers | {"WebHook-Request-Origin": origin}
    response = edges.ask("acs_events_handshake", method="OPTIONS", headers=named)
    ours = (origin or "").lower() in ("eventgrid.azure.net", "eventgrid.azure.com")
    check(response, *((200,) if ours else (200, 405)))


def encoded(part):
    """A part of a token."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


parts = mutated([{"alg": "HS256", "typ": "JWT", "kid": KID}, {"aud": "callback", "exp": 4_000_000_000}]).map(
    encoded
)
tokens = odd_texts | st.tuples(
    *(odd_texts | parts | st.just(good) for good in TOKEN.split(".")[:2]), odd_texts | parts
).map(".".join)
"""None has the signature of the good one."""
authorizations = st.none() | odd_texts | tokens.map("Bearer {}".format)


@fuzzed
@given(
    token=st.none() | tokens,
    authorization=authorizations,
    call_id=st.just(CALL_ID) | odd_texts,
    params=st.dictionaries(odd_texts, odd_texts, max_size=2),
)
def test_no_token_but_the_call_s_lets_a_callback_in(edges, token, authorization, call_id, params):
    response = edges.ask(
        "call_events",
        acs_tokens=True,
        headers={} if authorization is None else {"authorization": authorization},
        params=params | ({} if token is None else {"token": token}),
        route_params={"call_id": call_id},
        body=dump(CALLBACKS[0]),
    )
    check(response, 401)


@fuzzed
@given(authorization=authorizations, call_id=st.just(CALL_ID) | odd_texts)
def test_the_call_s_token_does_not_do_without_acs_s(edges, authorization, call_id):
    response = edges.ask(
        "call_events",
        acs_tokens=True,
        headers={} if authorization is None else {"authorization": authorization},
        params={"token": TOKEN},
        route_params={"call_id": call_id},
        body=dump(CALLBACKS[0]),
    )
    check(response, 401)


def test_what_was_recorded_is_taken(edges):
    answered = data_json("event_grid/incoming_call.event_grid.json")
    response = edges.ask("acs_events", headers=CREDENTIALS, body=dump(answered))
    assert (response.status_code, json.loads(response.get_body())[0]["outcome"]) == (200, "answered")
    response = edges.ask(
        "call_events",
        acs_tokens=True,
        headers={"authorization": f"Bearer {ACS_TOKEN}"},
        params={"token": TOKEN},
        route_params={"call_id": CALL_ID},
        body=dump(data_json("callbacks/call_connected.json")),
    )
    assert response.status_code == 200


@pytest.mark.parametrize("containers", [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize(
    ("depth", "status"), [(50, 200), (70, 400), *((d, 400) for d in range(900, 1_010, 10)), (50_000, 400)]
)
def test_what_is_nested_too_deeply_is_refused_while_the_stack_has_room(edges, containers, depth, status):
    (event,) = data_json("callbacks/unknown_type.json")
    event["data"]["more"] = Raw(nested(*containers, depth))
    response = edges.ask(
        "call_events", params={"token": TOKEN}, route_params={"call_id": CALL_ID}, body=dump([event])
    )
    check(response, status if len(dump([event])) < MAX_CALLBACK_BYTES else 413)
