"""One caller's line, its ticks made by hand."""

import numpy as np
import pytest

from emulator.media.line import SPEECH_LIMIT_MS, Line
from emulator.media.prompt import Prompt
from tests.support.voice import HandTicker, ramp, tone

FRAME = 640


class Ear:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.frames = []
        self.digits = []

    def caller_frame(self, pcm, now_s, late_s):
        self.frames.append(pcm)

    def caller_digit(self, digit):
        self.digits.append(digit)


@pytest.fixture
def ticker():
    return HandTicker()


class Tape:
    """Keeps both tracks of a line: `Line(on_tracks=tape)`."""

    def __init__(self) -> None:
        self.said = b""
        self.heard = b""

    def __call__(self, said, heard):
        self.said += said
        self.heard += heard


def test_both_tracks_stand_on_one_time_line_to_the_sample(ticker):
    tape, ear = Tape(), Ear()
    line = Line(rate_hz=16000, ticker=ticker, on_tracks=tape)
    said, answer = ramp(1, 700), ramp(5000, 900)
    line.start()
    ticker.run(3)
    line.say(said)
    ticker.run(2)
    line.attach(ear, rate_hz=16000)
    line.play(answer)
    ticker.run(4)
    line.close()
    size = 9 * FRAME
    assert tape.said == (bytes(3 * FRAME) + said).ljust(size, b"\0")
    assert tape.heard == (bytes(5 * FRAME) + answer).ljust(size, b"\0")


def test_a_stop_cuts_off_what_is_heard_at_once(ticker):
    cleared, tape = [], Tape()
    line = Line(rate_hz=16000, ticker=ticker, on_clear=lambda: cleared.append(True), on_tracks=tape)
    line.start()
    answer = ramp(0, 16000)
    line.play(answer)
    ticker.run(4)
    line.stop_playing()
    ticker.run(4)
    assert cleared == [True]
    assert tape.heard == answer[: 4 * FRAME] + bytes(4 * FRAME)
    assert line.stopped_ms == 920
    assert line.gaps.count == 0


def test_the_listener_hears_none_while_the_caller_says_nothing(ticker):
    line, ear = Line(rate_hz=16000, ticker=ticker), Ear()
    line.attach(ear, rate_hz=16000)
    line.say(ramp(1, 330))
    ticker.run(3)
    assert ear.frames == [ramp(1, 320), ramp(321, 10) + bytes(620), None]


def test_rates_are_converted_both_ways_frame_by_frame(ticker):
    heard = []
    line, ear = Line(rate_hz=16000, ticker=ticker, on_audio=heard.append), Ear()
    line.attach(ear, rate_hz=24000)
    line.say(tone(40, 16000))
    line.play(tone(40, 24000))
    ticker.run(4)
    assert [frame and len(frame) for frame in ear.frames] == [960, 960, 960, None]
    assert {len(frame) for frame in heard} == {FRAME}
    assert any(heard[2])
    assert not any(heard[3])
    assert line.gaps.count == 0


def test_digits_reach_the_listener_and_nobody_without_one(ticker):
    line, ear = Line(rate_hz=8000, ticker=ticker), Ear()
    line.press("1")
    line.attach(ear, rate_hz=16000)
    line.press("2")
    line.press("#")
    line.detach(ear)
    line.press("3")
    assert ear.digits == ["2", "#"]
    with pytest.raises(ValueError, match="digit"):
        line.press("12")


def test_a_caller_too_far_ahead_loses_the_oldest_audio(ticker):
    line, ear = Line(rate_hz=8000, ticker=ticker), Ear()
    line.attach(ear, rate_hz=8000)
    line.say(tone(SPEECH_LIMIT_MS, 8000))
    line.say(ramp(0, 160))
    assert line.speech_overflow_ms == 20
    ticker.run(SPEECH_LIMIT_MS // 20)
    assert ear.frames[-1] == ramp(0, 160)


def test_a_line_ticks_while_started_or_attached(ticker):
    line, ear = Line(rate_hz=16000, ticker=ticker), Ear()
    assert ticker.lines == 0
    line.attach(ear, rate_hz=16000)
    assert ticker.lines == 1
    line.start()
    line.detach(ear)
    assert ticker.lines == 1
    line.close()
    assert ticker.lines == 0
    line.attach(ear, rate_hz=16000)
    line.start()
    assert ticker.lines == 0


def test_a_closed_line_takes_nothing_more(ticker):
    line = Line(rate_hz=16000, ticker=ticker)
    line.start()
    line.play(ramp(0, 640))
    line.close()
    line.say(ramp(0, 640))
    assert line.play(ramp(0, 640)) == 0
    line.attach(Ear(), rate_hz=16000)
    ticker.run(2)
    assert line.summary()["agent_audio_ms"] == 0


def test_only_the_attached_stream_can_detach(ticker):
    line, first, second = Line(rate_hz=16000, ticker=ticker), Ear(), Ear()
    line.attach(first, rate_hz=16000)
    line.attach(second, rate_hz=16000)
    line.detach(first)
    ticker.run()
    assert (first.frames, second.frames) == ([], [None])


def test_what_is_queued_survives_a_lost_stream(ticker):
    tape, ear = Tape(), Ear()
    line = Line(rate_hz=16000, ticker=ticker, on_tracks=tape)
    line.start()
    line.attach(ear, rate_hz=16000)
    line.play(ramp(0, 640))
    line.detach(ear)
    ticker.run(2)
    assert tape.heard == ramp(0, 640)


def test_first_audio_is_the_first_that_is_not_silence(ticker):
    seen = []
    line = Line(rate_hz=16000, ticker=ticker, on_first_audio=lambda: seen.append(ticker._now_s))
    line.start()
    line.play(bytes(2 * FRAME) + tone(100, 16000, peak=40) + tone(100, 16000))
    ticker.run(12)
    assert [round(at, 2) for at in seen] == [0.14]


def test_wrong_rates_and_half_samples_are_refused(ticker):
    with pytest.raises(ValueError, match="rate"):
        Line(rate_hz=44100, ticker=ticker)
    line = Line(rate_hz=16000, ticker=ticker)
    with pytest.raises(ValueError, match="rate"):
        line.attach(Ear(), rate_hz=48000)
    with pytest.raises(ValueError, match="whole"):
        line.say(b"\0")


def test_the_summary_has_what_reports_need(ticker):
    line = Line(rate_hz=16000, ticker=ticker, playout_limit_ms=100)
    line.start()
    line.play(tone(120, 16000))
    ticker.run(6)
    assert line.summary() == {
        "agent_audio_ms": 100.0,
        "prompt_audio_ms": 0.0,
        "gaps": {"count": 0, "mean_ms": 0.0, "p95_ms": 0.0, "max_ms": 0.0},
        "playout_overflow_ms": 20.0,
        "stopped_ms": 0.0,
        "speech_overflow_ms": 0.0,
        "pacing": {"frames": 6, "late_frames": 0, "mean_late_ms": 0.0, "max_late_ms": 0.0, "drift_ms": 0.0},
    }


def prompt(pcm, played, *, loops=False):
    return Prompt(pcm, 16000, loops=loops, on_played=lambda: played.append(True))


def test_a_prompt_is_heard_beside_the_agent_to_the_sample(ticker):
    tape, played = Tape(), []
    line = Line(rate_hz=16000, ticker=ticker, on_tracks=tape)
    line.start()
    line.play(ramp(1, 640))
    ticker.run()
    line.begin_prompt(prompt(ramp(5000, 400), played))
    ticker.run(2)
    assert played == []
    ticker.run()
    agent = np.frombuffer(ramp(1, 640).ljust(4 * FRAME, b"\0"), "<i2")
    said = np.frombuffer((bytes(FRAME) + ramp(5000, 400)).ljust(4 * FRAME, b"\0"), "<i2")
    assert tape.heard == (agent + said).tobytes()
    assert (played, line.prompts_ms, line.played_ms) == ([True], 25, 40)


def test_two_who_are_loud_at_once_are_clipped(ticker):
    tape = Tape()
    line = Line(rate_hz=16000, ticker=ticker, on_tracks=tape)
    line.start()
    loud = np.array([30_000, -30_000] * 160, "<i2").tobytes()
    line.play(loud)
    line.begin_prompt(prompt(loud, []))
    ticker.run()
    assert tape.heard == np.array([32_767, -32_768] * 160, "<i2").tobytes()


def test_a_stop_of_the_agent_does_not_cut_off_a_prompt(ticker):
    tape, played = Tape(), []
    line = Line(rate_hz=16000, ticker=ticker, on_tracks=tape)
    line.start()
    line.begin_prompt(prompt(ramp(1, 640), played))
    ticker.run()
    line.stop_playing()
    ticker.run(2)
    assert tape.heard == ramp(1, 640) + bytes(FRAME)
    assert played == [True]


def test_a_prompt_that_loops_has_no_seam_and_no_end(ticker):
    tape, played = Tape(), []
    line = Line(rate_hz=16000, ticker=ticker, on_tracks=tape)
    line.start()
    line.begin_prompt(prompt(ramp(1, 100), played, loops=True))
    ticker.run(10)
    line.end_prompt()
    ticker.run()
    assert tape.heard == 32 * ramp(1, 100) + bytes(FRAME)
    assert (played, line.prompts_ms) == ([], 200)


@pytest.mark.parametrize("loops", [False, True])
def test_a_prompt_without_sound_is_over_at_once(ticker, loops):
    played = []
    line = Line(rate_hz=16000, ticker=ticker)
    line.begin_prompt(prompt(b"", played, loops=loops))
    ticker.run(2)
    assert played == [True]


def test_a_line_ticks_while_it_has_a_prompt(ticker):
    line = Line(rate_hz=16000, ticker=ticker)
    line.begin_prompt(prompt(ramp(1, 320), []))
    assert ticker.lines == 1
    line.end_prompt()
    assert ticker.lines == 0
    line.close()
    line.begin_prompt(prompt(ramp(1, 320), []))
    assert ticker.lines == 0
