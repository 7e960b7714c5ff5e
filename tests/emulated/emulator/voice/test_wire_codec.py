"""The media messages: what ACS sends exactly cased, what it reads in any case."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.media.wire import (
    AgentAudio,
    BadMessage,
    FrameEncoder,
    StopAudio,
    UnknownKind,
    decode,
    encode_digit,
    encode_metadata,
)

DATA = Path(__file__).resolve().parents[3] / "data" / "media" / "to_acs"
PCM = bytes.fromhex("e400f000e300e800f400")

samples = st.binary(max_size=2000).map(lambda data: data[: len(data) // 2 * 2])


@pytest.mark.parametrize("path", sorted(DATA.glob("audio.*.json")), ids=lambda path: path.stem)
def test_audio_of_every_known_client_is_read(path):
    assert decode(path.read_bytes()) == AgentAudio(PCM)


@pytest.mark.parametrize("path", sorted(DATA.glob("stop.*.json")), ids=lambda path: path.stem)
def test_stop_of_every_known_client_is_read(path):
    assert decode(path.read_bytes()) == StopAudio()


@st.composite
def any_case(draw, name: str) -> str:
    return "".join(draw(st.sampled_from((letter.lower(), letter.upper()))) for letter in name)


@given(st.data(), samples)
def test_audio_is_read_in_any_case(data, pcm):
    message = {
        data.draw(any_case("kind")): data.draw(any_case("AudioData")),
        data.draw(any_case("audioData")): {data.draw(any_case("data")): pybase64.b64encode(pcm).decode()},
        data.draw(any_case("stopAudio")): data.draw(st.sampled_from(({}, None))),
    }
    assert decode(json.dumps(message).encode()) == AgentAudio(pcm)


@given(st.data())
def test_stop_is_read_in_any_case(data):
    message = {data.draw(any_case("kind")): data.draw(any_case("stopAudio"))}
    assert decode(json.dumps(message).encode()) == StopAudio()


def test_the_kind_decides_and_not_the_members_that_are_there():
    message = {"Kind": "StopAudio", "AudioData": {"Data": "AAA="}}
    assert decode(json.dumps(message).encode()) == StopAudio()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"[]", "not an object"),
        (b"3", "not an object"),
        (b"{}", "no kind"),
        (b'{"kind":3}', "no kind"),
        (b'{"kind":""}', "no kind"),
        (b'{"kind":"AudioData"}', "no data"),
        (b'{"kind":"AudioData","audioData":null}', "no data"),
        (b'{"Kind":"AudioData","AudioData":{"Data":null}}', "no data"),
        (b'{"kind":"AudioData","audioData":{"data":3}}', "no data"),
        (b'{"Kind":"AudioData","AudioData":{"Data":"A*A="}}', "not base64"),
        (b'{"kind":"AudioData","audioData":{"data":"AAA"}}', "not base64"),
        (b'{"Kind":"AudioData","AudioData":{"Data":"AA=="}}', "odd size"),
        (b'{"kind":"audioData","audioData":{"data":"AA=="}}', "odd size"),
    ],
)
def test_what_cannot_be_read_is_named(raw, reason):
    assert decode(raw) == BadMessage(reason)


def test_other_kinds_are_told_apart():
    assert decode(b'{"kind":"MarkData","markData":{"id":"utt-42"}}') == UnknownKind("MarkData")


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_decoding_never_raises(raw):
    decode(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(("kind", "Kind", "AudioData", "Data", "x")), inner)
        ),
    )
)
def test_decoding_any_json_never_raises(value):
    decode(json.dumps(value).encode())


@pytest.mark.parametrize(("rate_hz", "size"), [(16000, 640), (24000, 960)])
def test_metadata_is_as_documented(rate_hz, size):
    assert json.loads(encode_metadata("89e8cb59", rate_hz)) == {
        "kind": "AudioMetadata",
        "audioMetadata": {
            "subscriptionId": "89e8cb59",
            "encoding": "PCM",
            "sampleRate": rate_hz,
            "channels": 1,
            "length": size,
        },
    }


def test_a_digit_is_as_documented():
    assert json.loads(encode_digit("#")) == {"kind": "DtmfData", "dtmfData": {"data": "#"}}


@given(samples)
def test_a_mixed_frame_names_nobody(pcm):
    message = json.loads(FrameEncoder(16000, None).encode(pcm))
    timestamp = message["audioData"].pop("timestamp")
    assert message == {
        "kind": "AudioData",
        "audioData": {"data": pybase64.b64encode(pcm).decode(), "silent": False},
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", timestamp)
    assert abs(datetime.fromisoformat(timestamp) - datetime.now(UTC)) < timedelta(minutes=1)


@given(st.text(max_size=40))
def test_an_unmixed_frame_names_the_caller(raw_id):
    message = json.loads(FrameEncoder(16000, raw_id).encode(bytes(640)))
    assert message["audioData"]["participantRawID"] == raw_id


@pytest.mark.parametrize(("rate_hz", "length"), [(16000, 856), (24000, 1280)])
def test_a_silent_frame_is_marked_and_holds_zeros(rate_hz, length):
    audio = json.loads(FrameEncoder(rate_hz, None).encode(None))["audioData"]
    assert audio["silent"] is True
    assert len(audio["data"]) == length
    assert not any(pybase64.b64decode(audio["data"]))
