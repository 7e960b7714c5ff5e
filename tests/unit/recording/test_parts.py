"""A part: one WAV file that any player opens, with a name that says where on the call's line it lies."""

import io
import wave

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from media_gateway.recording.line import SAMPLE
from media_gateway.recording.parts import CallFolder, PartInvalid, PartName, pack, parse_name, unpack

FRAMES = np.arange(2000, dtype=SAMPLE).reshape(-1, 2)
FOLDER = CallFolder("demo", "2026-11-24", "0193")


@pytest.mark.parametrize("notes", [b"{}", b'{"a":1}', b""])
def test_a_part_is_read_as_it_was_written(notes):
    part = unpack(pack(FRAMES, 24_000, notes))
    assert part.rate_hz == 24_000
    assert np.array_equal(part.frames, FRAMES)
    assert part.notes.rstrip() == notes


def test_players_read_its_audio_and_pass_over_its_notes():
    data = pack(FRAMES, 24_000, b'{"odd": true}')
    with wave.open(io.BytesIO(data)) as sound:
        assert sound.getparams()[:4] == (2, 2, 24_000, 1000)
        assert sound.readframes(1000) == FRAMES.tobytes()
    frames, rate_hz = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate_hz == 24_000
    assert np.array_equal(frames, FRAMES)


@given(
    st.one_of(
        st.binary(max_size=200), st.integers(0, 4053).map(lambda size: pack(FRAMES, 24_000, b"{}")[:size])
    )
)
def test_what_is_no_part_is_told(data):
    with pytest.raises(PartInvalid):
        unpack(data)


def test_another_wav_file_is_no_part():
    sound = io.BytesIO()
    soundfile.write(sound, FRAMES, 24_000, format="WAV", subtype="PCM_16")
    with pytest.raises(PartInvalid):
        unpack(sound.getvalue())


def test_the_name_says_whose_it_is_and_where_it_lies():
    name = PartName(epoch=2, first=96_000, end=192_000)
    blob = name.within(FOLDER)
    assert blob == "unfinished/demo/2026-11-24/0193/parts/0002/000000096000-000000192000.wav"
    assert parse_name(blob) == (FOLDER, name)


@pytest.mark.parametrize(
    "name",
    [
        "demo/2026-11-24/0193/call.json",
        "demo/2026-11-24/0193/parts/0002/000000096000-000000192000.wav",
        "unfinished/demo/2026-11-24/0193/parts/0002/000000096000.wav",
        "unfinished/demo/2026-11-24/0193/parts/0002/000000096000-000000096000.wav",
        "unfinished/demo/2026-11-24/x/0193/parts/0002/000000096000-000000192000.wav",
    ],
)
def test_other_names_are_no_parts(name):
    assert parse_name(name) is None


def test_a_call_lies_in_the_folder_of_the_day_on_which_it_began():
    assert str(CallFolder.of("demo", "0193", 1_700_000_000.0)) == "demo/2023-11-14/0193"
