"""What ACS sends is read as documented, whatever it leaves out; what breaks the protocol is named."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.acs import media_codec
from shared.acs.media import AudioData, AudioMetadata, DtmfDigit, Flaw, MediaInvalid, read_digit

DATA = Path(__file__).parents[2] / "data" / "media"


def audio_message(**audio):
    return json.dumps({"kind": "AudioData", "audioData": audio}).encode()


def metadata_message(**changes):
    fields = {"encoding": "PCM", "sampleRate": 16000, "channels": 1, "length": 640, **changes}
    return json.dumps({"kind": "AudioMetadata", "audioMetadata": fields}).encode()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("audio_metadata_16k", AudioMetadata(rate_hz=16000, encoding="PCM", channels=1, frame_bytes=640)),
        ("audio_metadata_24k", AudioMetadata(rate_hz=24000, encoding="PCM", channels=1, frame_bytes=960)),
        ("audio_data_silent", AudioData(data=b"", participant="", silent=True)),
        ("audio_data_silent_without_data", AudioData(data=None, participant=None, silent=True)),
        ("dtmf_data", DtmfDigit("3")),
        ("dtmf_data_with_participant", DtmfDigit("#")),
        ("mark_data", None),
    ],
)
def test_messages_of_acs_are_read(name, expected):
    assert media_codec.decode((DATA / f"{name}.json").read_bytes()) == expected


@pytest.mark.parametrize(
    ("name", "size", "participant"),
    [
        ("audio_data_mixed_16k", 640, None),
        ("audio_data_mixed_24k", 960, None),
        ("audio_data_unmixed_16k", 640, "4:+14255550100"),
    ],
)
def test_audio_is_read_with_its_speaker(name, size, participant):
    audio = media_codec.decode((DATA / f"{name}.json").read_bytes())
    assert len(audio.data) == size
    assert audio.participant == participant
    assert audio.silent is False


@pytest.mark.parametrize(
    ("message", "flaw"),
    [
        (b"", Flaw.BAD_JSON),
        (b"hello", Flaw.BAD_JSON),
        (b'{"kind":"AudioData","audioData":{"data":"AAAA"}', Flaw.BAD_JSON),
        (b'{"kind":"AudioData","audioData":{"data":"AAAA"}} more', Flaw.BAD_JSON),
        (b'{"kind":"\xff\xfe"}', Flaw.BAD_JSON),
        (b"\xff\xfe\x00\x01", Flaw.BAD_JSON),
        (b'{"kind":"AudioData","x":' + b"[" * 30_000, Flaw.BAD_JSON),
        (b"[" * 30_000, Flaw.BAD_MESSAGE),
        (b"[]", Flaw.BAD_MESSAGE),
        (b"null", Flaw.BAD_MESSAGE),
        (b"{}", Flaw.BAD_MESSAGE),
        (b'{"kind":7}', Flaw.BAD_MESSAGE),
        (b'{"kind":"AudioData"}', Flaw.BAD_MESSAGE),
        (b'{"kind":"AudioData","audioData":null}', Flaw.BAD_MESSAGE),
        (b'{"kind":"AudioData","audioData":[]}', Flaw.BAD_MESSAGE),
        (audio_message(data=7), Flaw.BAD_MESSAGE),
        (audio_message(data="AAAA", silent="no"), Flaw.BAD_MESSAGE),
        (audio_message(data="AAAA", participantRawID=1), Flaw.BAD_MESSAGE),
        (audio_message(data="A"), Flaw.BAD_BASE64),
        (audio_message(data="AA AA"), Flaw.BAD_BASE64),
        (audio_message(data="A-_A"), Flaw.BAD_BASE64),
        (audio_message(data="AAAA===="), Flaw.BAD_BASE64),
        (audio_message(data="é"), Flaw.BAD_BASE64),
        (audio_message(data="AAAA"), Flaw.ODD_SIZE),
        (audio_message(data=base64.b64encode(bytes(48_002)).decode()), Flaw.TOO_LARGE),
        (b'{"kind":"AudioMetadata"}', Flaw.BAD_MESSAGE),
        (b'{"kind":"AudioMetadata","audioMetadata":{}}', Flaw.BAD_METADATA),
        (metadata_message(sampleRate="16000"), Flaw.BAD_METADATA),
        (metadata_message(sampleRate=8000), Flaw.BAD_METADATA),
        (metadata_message(channels=2), Flaw.BAD_METADATA),
        (metadata_message(encoding="OPUS"), Flaw.BAD_METADATA),
        (metadata_message(length=641), Flaw.BAD_METADATA),
        (metadata_message(length=0), Flaw.BAD_METADATA),
        (metadata_message(length=-2), Flaw.BAD_METADATA),
        (metadata_message(length=2**80), Flaw.BAD_METADATA),
        (b'{"kind":"DtmfData"}', Flaw.BAD_MESSAGE),
        (b'{"kind":"DtmfData","dtmfData":{}}', Flaw.BAD_MESSAGE),
        (b'{"kind":"DtmfData","dtmfData":{"data":3}}', Flaw.BAD_MESSAGE),
    ],
)
def test_what_breaks_the_protocol_is_named(message, flaw):
    with pytest.raises(MediaInvalid) as caught:
        media_codec.decode(message)
    assert caught.value.flaw is flaw


@pytest.mark.parametrize(
    "message",
    [
        b'{"kind":"MarkData","markData":{"id":"a","status":"Cancelled"}}',
        b'{"kind":"TranscriptionData","transcriptionData":{"text":"hello"}}',
        b'{"kind":"audioData","audioData":7}',
        b'{"kind":"DtmfData","dtmfData":{"data":"flash"}}',
    ],
)
def test_kinds_and_keys_that_we_do_not_know_are_ignored(message):
    assert media_codec.decode(message) is None


def test_members_that_we_do_not_know_are_ignored():
    message = b'{"version":{"a":[1]},"kind":"DtmfData","dtmfData":{"data":"1","new":true},"audioData":null}'
    assert media_codec.decode(message) == DtmfDigit("1")


@pytest.mark.parametrize(
    ("spelling", "digit"),
    [(digit, digit) for digit in "0123456789*#ABCD"]
    + [
        ("zero", "0"), ("one", "1"), ("two", "2"), ("three", "3"), ("four", "4"),
        ("five", "5"), ("six", "6"), ("seven", "7"), ("eight", "8"), ("nine", "9"),
        ("asterisk", "*"), ("Asterisk", "*"), ("pound", "#"), ("POUND", "#"),
        ("a", "A"), ("b", "B"), ("c", "C"), ("d", "D"), (" 5 ", "5"),
    ],
)  # fmt: skip
def test_every_spelling_of_a_key_gives_one_character(spelling, digit):
    assert read_digit(spelling) == digit


@pytest.mark.parametrize(
    ("message", "size"),
    [
        (metadata_message(), 640),
        (metadata_message(length=None), 640),
        (metadata_message(sampleRate=24000, length=None), 960),
        (metadata_message(sampleRate=24000, length=480), 480),
        (metadata_message(encoding="pcm"), 640),
    ],
)
def test_silence_is_as_long_as_a_frame(message, size):
    assert media_codec.decode(message).silence == bytes(size)


@settings(deadline=None)
@given(pcm=st.binary(min_size=1, max_size=4800).map(lambda half: half + half), view=st.booleans())
def test_audio_survives_both_directions(pcm, view):
    message = audio_message(
        data=base64.b64encode(pcm).decode(), silent=False, timestamp="2026-11-20T17:40:55Z"
    )
    assert media_codec.decode(memoryview(message) if view else message).data == pcm

    sent = json.loads(media_codec.encode_audio(memoryview(pcm) if view else pcm))
    assert sent == {
        "Kind": "AudioData",
        "AudioData": {"Data": base64.b64encode(pcm).decode()},
        "StopAudio": None,
    }


def test_stop_audio_is_what_acs_documents():
    assert json.loads(media_codec.STOP_AUDIO) == {"Kind": "StopAudio", "AudioData": None, "StopAudio": {}}


def replace_byte(message, at, garbage):
    at %= len(message)
    return message[:at] + garbage + message[at + 1 :]


VALID = [path.read_bytes() for path in sorted(DATA.glob("*.json"))]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    message=st.one_of(
        st.binary(max_size=64),
        st.builds(
            lambda message, at, garbage: (
                message[: at % len(message)] + garbage + message[at % len(message) + 1 :]
            ),
            st.sampled_from(VALID),
            st.integers(0, 5000),
            st.binary(max_size=3),
        ),
        st.builds(
            lambda kind, key, value: json.dumps({"kind": kind, key: value}).encode(),
            st.sampled_from(["AudioData", "AudioMetadata", "DtmfData", "Other"]),
            st.sampled_from(["audioData", "audioMetadata", "dtmfData"]),
            JSON | st.dictionaries(st.sampled_from(["data", "silent", "sampleRate", "length"]), JSON),
        ),
    )
)
def test_no_message_raises_anything_but_media_invalid(message):
    try:
        decoded = media_codec.decode(memoryview(message))
    except MediaInvalid:
        return
    assert decoded is None or isinstance(decoded, AudioData | AudioMetadata | DtmfDigit)


def test_the_error_holds_nothing_of_the_message():
    with pytest.raises(MediaInvalid) as caught:
        media_codec.decode(audio_message(data="secret!"))
    assert str(caught.value) == "bad_base64"
    assert caught.value.__context__ is None
