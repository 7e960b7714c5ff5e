"""Figures, gates and exit codes of one call."""

import pytest

from emulator.caller.report import ExitCode, Limits, Outcome, as_json, as_text, judge
from emulator.caller.transfers import TransferSeen, TransferWatch

PACING = {"frames": 400, "late_frames": 1, "mean_late_ms": 0.4, "max_late_ms": 6.1, "drift_ms": 0.2}


def outcome(**changes) -> Outcome:
    values = {
        "end": "caller_hung_up",
        "states": [("ringing", 0.1), ("answered", 140.0), ("media_connected", 260.0), ("first_audio", 900.0)],
        "heard_ms": 1500,
        "measured": {
            "gaps": {"count": 2, "mean_ms": 15.0, "p95_ms": 20.0, "max_ms": 20.0},
            "pacing": PACING,
            "playout_overflow_ms": 0.0,
        },
    }
    return Outcome(**{**values, **changes})


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (outcome(), ExitCode.OK),
        (outcome(end=None), ExitCode.CALL_LOST),
        (outcome(states=[("ringing", 0.1)], end="not_answered"), ExitCode.NOT_ANSWERED),
        (outcome(heard_ms=0), ExitCode.NOTHING_HEARD),
    ],
)
def test_the_exit_code_names_what_went_wrong_first(seen, code):
    assert judge(seen, Limits())[1] is code


@pytest.mark.parametrize(
    "limits",
    [
        Limits(max_answer_ms=139),
        Limits(max_first_audio_ms=759),
        Limits(max_gap_ms=19),
        Limits(min_heard_ms=1501),
    ],
)
def test_each_gate_can_fail_the_call(limits):
    gates, code = judge(outcome(), limits)
    assert code is ExitCode.GATE_FAILED
    assert [gate.held for gate in gates] == [False]


def test_gates_hold_at_their_limit():
    gates, code = judge(outcome(), Limits(140, 760, 20, 1500))
    assert code is ExitCode.OK
    assert [gate.held for gate in gates] == [True] * 4


def test_what_was_never_seen_holds_no_gate():
    gates, _ = judge(outcome(states=[("answered", 9.0)]), Limits(max_first_audio_ms=10_000))
    assert gates[0].value is None
    assert not gates[0].held


def test_the_machine_form_has_every_figure():
    seen = outcome()
    gates, code = judge(seen, Limits(max_gap_ms=10))
    report = as_json(seen, gates, code, "out.wav")
    assert report["time_to_answer_ms"] == 140.0
    assert report["time_to_first_audio_ms"] == 760.0
    assert report["heard_ms"] == 1500
    assert report["gaps"]["max_ms"] == 20.0
    assert report["pacing"] == PACING
    assert report["gates"] == [{"name": "max-gap-ms", "limit": 10, "value": 20.0, "held": False}]
    assert report["timeline"][1] == {"state": "answered", "at_ms": 140.0}
    assert report["exit_code"] == 6


def test_the_text_form_says_what_matters():
    seen = outcome(measured={**outcome().measured, "playout_overflow_ms": 120.0})
    text = as_text(seen, *judge(seen, Limits(max_gap_ms=10)), "out.wav")
    for part in ("caller_hung_up", "140 ms", "760 ms after the answer", "max 20.0 ms", "1 of 400", "out.wav"):
        assert part in text
    assert "max-gap-ms 10: FAILED (20 ms)" in text
    assert "120.0 ms dropped" in text


def test_what_acs_played_has_a_row_where_there_was_any():
    played, silent = ({**outcome().measured, "prompt_audio_ms": ms} for ms in (2840.0, 0.0))
    texts = [
        as_text(each, *judge(each, Limits()), None)
        for each in (outcome(measured=played), outcome(measured=silent))
    ]
    assert "played by ACS        2840 ms" in texts[0]
    assert "played by ACS" not in texts[1]


def test_what_the_gateway_sent_wrongly_is_named():
    faults = {
        "bad_messages": {"odd size": 3, "not JSON": 1},
        "unknown_kinds": {"Mark": 2},
        "frames_dropped": 7,
    }
    seen = outcome(measured={**outcome().measured, **faults})
    judged = judge(seen, Limits())
    text = as_text(seen, *judged, None)
    assert 'bad messages         3 x "odd size", 1 x "not JSON"' in text
    assert 'unknown kinds        2 x "Mark"' in text
    assert "frames dropped       7" in text
    assert "ignored messages" not in text
    report = as_json(seen, *judged, None)
    assert {name: report[name] for name in faults} == faults


def test_the_text_form_of_a_call_that_never_was():
    seen = Outcome(end="unknown_number", message="this number does not belong to the resource")
    text = as_text(seen, *judge(seen, Limits()), None)
    assert "unknown_number: this number" in text
    assert "never" in text


def watched(*events) -> list[TransferSeen]:
    """What a watch sees of states `(name, at_ms)`, with an outcome where one failed, and of sounds `at_ms`."""
    watch = TransferWatch()
    for event in events:
        if isinstance(event, int):
            watch.heard(event)
        else:
            name, at_ms, *outcome = event
            watch.state(name, at_ms, *outcome or ["accepted"])
    return watch.seen


def test_silence_of_a_transfer_is_from_the_last_sound_before_it_to_the_first_after_it():
    seen = watched(980, ("transferring", 1500), ("transfer_accepted", 3000), 4000, 5000, ("ended", 6000))
    assert seen == [TransferSeen("accepted", 1500, 3000, silent_ms=3000, heard_again=True)]


def test_silence_of_a_transfer_that_nobody_speaks_after_is_to_the_end():
    seen = watched(980, ("transferring", 1500), ("transfer_accepted", 3000), ("ended", 6000))
    assert seen == [TransferSeen("accepted", 1500, 3000, silent_ms=5000)]


def test_caller_who_hears_the_agent_throughout_a_failed_transfer_has_no_silence():
    seen = watched(
        1480, ("transferring", 1500), 1500, ("transfer_failed", 1510, "busy"), 1520, ("ended", 9000)
    )
    assert seen == [TransferSeen("busy", 1500, 1510, silent_ms=0, heard_again=True)]


def test_transfer_that_is_refused_meanwhile_is_told_from_the_one_under_way():
    seen = watched(
        ("transferring", 1000), ("transferring", 2000), ("transfer_failed", 2000, "conflict"),
        ("transfer_accepted", 3000), 3500,
    )  # fmt: skip
    assert [(each.outcome, each.asked_at_ms, each.silent_ms) for each in seen] == [
        ("conflict", 2000, 1500),
        ("accepted", 1000, 2500),
    ]


def test_transfers_are_in_both_forms():
    seen = outcome(
        transfers=[
            TransferSeen("not_answered", 1000, 31_000, silent_ms=2500, heard_again=True),
            TransferSeen("accepted", 40_000, 42_310.5, silent_ms=3120),
        ]
    )
    judged = judge(seen, Limits())
    text = as_text(seen, *judged, None)
    assert "transfer             not answered after 30000 ms; nothing heard for 2500 ms\n" in text
    assert "transfer             accepted after 2310.5 ms; nothing heard for 3120 ms, to the end\n" in text
    assert as_json(seen, *judged, None)["transfers"][1] == {
        "outcome": "accepted",
        "asked_at_ms": 40_000,
        "settled_at_ms": 42_310.5,
        "silent_ms": 3120,
        "heard_again": False,
    }
