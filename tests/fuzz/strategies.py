"""Bodies to try parsers with: noise, any JSON, and recorded payloads with a few members changed for the worse."""

import json
import os
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""Examples of each test; 0: a few, always the same ones."""

fuzzed = settings(
    max_examples=EXAMPLES or 40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
"""For every test here: quick and repeatable by default, as long and as random as asked for by `make fuzz`."""


@dataclass(frozen=True)
class Raw:
    """A piece of JSON, good or bad, that stands for a value."""

    text: bytes


def nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    """A zero inside as many containers."""
    return opening * depth + b"0" + closing * depth


odd_texts = st.one_of(
    st.text(max_size=40),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(
        [
            "",
            " ",
            "\x00",
            "\r\nX-More: 1",
            "\u202e\u0301",
            "\U0001f600" * 16_000,
            "x" * 16_000,
            "x" * 16_001,
            "\x01" * 16_000,
            "4:",
            "4:+18005550199",
            "../../..",
            "null",
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59.9999999-23:59",
            "2026-11-20T24:00:00Z",
            "2026-W47-5",
            "20261120T174052,5Z",
            "2026-11-20T17:40:52.1234567890123Z",
            "\u0662\u0660\u0662\u0666-11-20T17:40:52Z",
            "Microsoft.Communication.IncomingCall",
            "Microsoft.EventGrid.SubscriptionValidationEvent",
            "Microsoft.Communication.CallDisconnected",
            "Microsoft.Communication.MediaStreamingFailed",
        ]
    ),
)
odd_numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**31, 2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**300, 1e308, 5e-324, -0.0]),
)
odd_pieces = st.one_of(
    st.sampled_from(
        [
            b'"\\ud800"',
            b'"\\udc00\\ud800"',
            b'"\\ud83d\\ude00"',
            b'"\xed\xa0\x80"',
            b'"\xff"',
            b'"\\x41"',
            b'"\\u00"',
            b"NaN",
            b"-Infinity",
            b"1e999",
            b"-0",
            b"01",
            b"1." + b"0" * 400,
            b"1" * 400,
            b"1" * 5_000,
            b'{"a":1,"a":[]}',
            b"[1,]",
            b"/**/1",
            b"",
            b'{"' + b"k" * 20_000 + b'":1}',
        ]
    ),
    st.builds(
        nested,
        st.sampled_from([b"[", b'{"a":', b'[{"a":']),
        st.just(b""),
        st.integers(1, 1_200),
    ),
    (st.integers(1, 80) | st.integers(900, 1_000)).map(lambda depth: nested(b"[", b"]", depth)),
    (st.integers(1, 80) | st.integers(900, 1_000)).map(lambda depth: nested(b'{"a":', b"}", depth)),
).map(Raw)
json_values = st.recursive(
    st.none() | st.booleans() | odd_numbers | odd_texts | odd_pieces,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(odd_texts, children, max_size=4),
    max_leaves=8,
)

NAMES = ["id", "type", "time", "data", "rawId", "kind", "from", "to", "specversion", "voipHeaders", "value"]


def dump(value: Any) -> bytes:
    """Write JSON; objects may be lists of pairs in `Members`, so that a name may come twice."""
    match value:
        case Raw(text=text):
            return text
        case Members(pairs=pairs):
            return b"{" + b",".join(json.dumps(k).encode() + b":" + dump(v) for k, v in pairs) + b"}"
        case dict():
            return dump(Members([[k, v] for k, v in value.items()]))
        case list():
            return b"[" + b",".join(map(dump, value)) + b"]"
        case _:
            return json.dumps(value, ensure_ascii=False).encode()


@dataclass
class Members:
    """An object while it is being changed."""

    pairs: list[list[Any]]


def _open(value: Any) -> Any:
    match value:
        case dict():
            return Members([[name, _open(member)] for name, member in value.items()])
        case list():
            return [_open(item) for item in value]
        case _:
            return value


def _places(value: Any) -> list[tuple[list[Any], int, bool]]:
    """Every value of a tree: the list that holds it, its index there, and whether it has a name before it."""
    found: list[tuple[list[Any], int, bool]] = []
    if isinstance(value, Members):
        for pair in value.pairs:
            found.append((value.pairs, value.pairs.index(pair), True))
            found += _places(pair[1])
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found.append((value, index, False))
            found += _places(item)
    return found


@st.composite
def mutated(draw: st.DrawFn, payloads: list[Any]) -> bytes:
    """One of the payloads with up to four changes: a value dropped, doubled, replaced, wrapped or renamed."""
    root = [_open(draw(st.sampled_from(payloads)))]
    for _ in range(draw(st.integers(0, 4))):
        places = _places(root)
        if not places:
            break
        holder, index, is_named = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "replace", "drop", "double", "wrap", "rename"])):
            case "drop":
                del holder[index]
            case "double":
                holder.insert(index, holder[index])
            case "rename" if is_named:
                holder[index] = [draw(st.sampled_from(NAMES) | odd_texts), holder[index][1]]
            case "wrap" if is_named:
                holder[index] = [holder[index][0], [holder[index][1]]]
            case _ if is_named:
                holder[index] = [holder[index][0], draw(json_values)]
            case _:
                holder[index] = draw(json_values)
    return b"".join(map(dump, root)) if draw(st.integers(0, 20)) else draw(_damaged(root))


@st.composite
def _damaged(draw: st.DrawFn, root: list[Any]) -> bytes:
    """The JSON with some bytes changed, or its end cut off."""
    body = bytearray(b"".join(map(dump, root)) or b" ")
    at = draw(st.integers(0, len(body) - 1))
    body[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(body[: draw(st.integers(0, len(body)))])


bodies = st.one_of(
    st.binary(max_size=200),
    json_values.map(dump),
    st.lists(json_values, max_size=3).map(dump),
)
"""Bodies that know nothing of what is expected."""
