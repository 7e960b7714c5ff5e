"""The largest bodies that are let in, of the nastiest shapes: time and memory stay in proportion.

Wall time is bounded generously, for machines are noisy; `make fuzz` prints what was measured.
"""

import contextlib
import json
import time
import tracemalloc

import pytest

from shared.acs.callbacks import MAX_CALLBACK_BYTES, parse_callback
from shared.acs.event_grid import MAX_DELIVERY_BYTES, parse_delivery
from shared.acs.shapes import MalformedMessage
from tests.fuzz.payloads import CALLBACKS
from tests.fuzz.strategies import nested
from tests.fuzz.world import API_ID, API_SECRET, CALL_ID, TOKEN
from tests.support.records import data_json

MAX_PEAK = 40
"""Times the body's size, at the peak, while a body is parsed."""
MAX_S = 5.0

CALL = data_json("event_grid/incoming_call.event_grid.json")[0]
CALLBACK = CALLBACKS[0][0]


def filled(start, item, end, size, joint=b","):
    """As many items as fit into `size` bytes."""
    count = (size - len(start) - len(end)) // (len(item) + len(joint))
    return start + joint.join([item] * count) + end


def numbered(size):
    """An object of many short members."""
    return b"{" + b",".join(b'"%d":0' % n for n in range(size // 12)) + b"}"


SHAPES = {
    "arrays in arrays": lambda size: nested(b"[", b"]", size // 2 - 1),
    "objects in objects": lambda size: nested(b'{"a":', b"}", size // 6 - 1),
    "arrays that never end": lambda size: b"[" * size,
    "empty objects": lambda size: filled(b"[", b"{}", b"]", size),
    "empty arrays": lambda size: filled(b"[", b"[]", b"]", size),
    "as many arrays as are let in": lambda size: filled(
        b"[", b"[" + b" " * (size // 85_000) + b"]", b"]", size
    ),
    "zeros": lambda size: filled(b"[", b"0", b"]", size),
    "nulls in objects": lambda size: filled(b"[", b'{"a":null}', b"]", size),
    "floats": lambda size: filled(b"[", b"1e15", b"]", size),
    "one long number": lambda size: b"1" * size,
    "one long fraction": lambda size: b"0." + b"1" * (size - 2),
    "long numbers": lambda size: filled(b"[", b"1" * 4000, b"]", size),
    "one long key": lambda size: b'{"' + b"k" * (size - 6) + b'":1}',
    "many keys": numbered,
    "one key again and again": lambda size: filled(b"{", b'"k":[]', b"}", size),
    "one long text": lambda size: b'"' + b"x" * (size - 2) + b'"',
    "escapes": lambda size: filled(b'"', b"\\u0001", b'"', size, b""),
    "escaped pairs": lambda size: filled(b'"', b"\\ud83d\\ude00", b'"', size, b""),
    "one wide character": lambda size: b'"' + b"x" * (size - 6) + "\U0001f600".encode() + b'"',
    "spaces": lambda size: b" " * (size - 2) + b"[]",
    "calls": lambda size: filled(b"[", json.dumps(CALL).encode(), b"]", size),
    "short texts": lambda size: filled(b"[", b'""', b"]", size),
}


@pytest.fixture(params=SHAPES)
def shape(request):
    """The name of a shape, and how to make it."""
    return request.param, SHAPES[request.param]


@pytest.mark.parametrize(
    ("parse", "size"), [(parse_delivery, MAX_DELIVERY_BYTES), (parse_callback, MAX_CALLBACK_BYTES)]
)
def test_the_largest_body_of_any_shape_is_parsed_or_refused_in_proportion(shape, parse, size):
    name, make = shape
    body = make(size)
    assert len(body) <= size
    started = time.perf_counter()
    with contextlib.suppress(MalformedMessage):
        parse(body)
    took_s = time.perf_counter() - started
    tracemalloc.start()
    try:
        with contextlib.suppress(MalformedMessage):
            parse(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    print(f"{parse.__name__:15} {name:30} {took_s * 1000:7.1f} ms {peak / len(body):6.1f} x the body")
    assert took_s < MAX_S
    assert peak < MAX_PEAK * len(body)


def test_event_grid_gets_an_answer_to_the_largest_delivery_of_any_shape(edges, shape):
    name, make = shape
    headers = {"asapp-api-id": API_ID, "asapp-api-secret": API_SECRET}
    inside = json.dumps(CALL | {"data": CALL["data"] | {"customContext": "HERE"}}).encode()
    for body in (
        make(MAX_DELIVERY_BYTES),
        inside.replace(b'"HERE"', b'{"voipHeaders":' + make(MAX_DELIVERY_BYTES - len(inside) - 20) + b"}"),
    ):
        assert len(body) <= MAX_DELIVERY_BYTES
        started = time.perf_counter()
        response = edges.ask("acs_events", headers=headers, body=body)
        print(f"acs_events      {name:30} {(time.perf_counter() - started) * 1000:7.1f} ms")
        assert response.status_code in (200, 400)
        assert time.perf_counter() - started < MAX_S


def test_acs_gets_an_answer_to_the_largest_callback_of_any_shape(edges, shape):
    name, make = shape
    inside = json.dumps([CALLBACK | {"data": CALLBACK["data"] | {"more": "HERE"}}]).encode()
    for body in (
        make(MAX_CALLBACK_BYTES),
        inside.replace(b'"HERE"', make(MAX_CALLBACK_BYTES - len(inside))),
    ):
        assert len(body) <= MAX_CALLBACK_BYTES
        started = time.perf_counter()
        response = edges.ask(
            "call_events", params={"token": TOKEN}, route_params={"call_id": CALL_ID}, body=body
        )
        print(f"call_events     {name:30} {(time.perf_counter() - started) * 1000:7.1f} ms")
        assert response.status_code in (200, 400, 413), response.get_body()[:200]
        assert time.perf_counter() - started < MAX_S


def test_as_many_long_headers_as_are_kept_fit_into_a_call_s_row(edges):
    headers = {"asapp-api-id": API_ID, "asapp-api-secret": API_SECRET}
    pairs = {f"{n:064}": "\x01" * 1024 for n in range(100)}
    event = CALL | {"data": CALL["data"] | {"customContext": {"voipHeaders": pairs}}}
    response = edges.ask("acs_events", headers=headers, body=json.dumps([event]).encode())
    assert json.loads(response.get_body())[0]["outcome"] == "answered"
