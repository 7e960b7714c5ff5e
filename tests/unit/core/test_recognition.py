"""What ACS has recognised, read from its callbacks."""

import pytest

from shared.core.recognition import TONES, FilePrompt, Recognised, TextPrompt, recognised
from tests.support.shapes import example


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dtmf", Recognised(digits="56#")),
        ("speech", Recognised(speech="I lost my card.")),
        ("choices", Recognised(choice="Confirm")),
    ],
)
def test_published_events_are_read(name, expected):
    assert recognised(example(f"callback_data_recognize_completed_{name}")["data"]) == expected


def test_every_key_is_read():
    tones = list(TONES.values())
    data = {"recognitionType": "dtmf", "dtmfResult": {"tones": tones}}
    assert recognised(data) == Recognised(digits="".join(TONES))
    assert set(TONES) == set("0123456789ABCD*#")


def test_choice_by_a_key_has_no_phrase():
    data = {"recognitionType": "choices", "choiceResult": {"label": "Confirm", "recognizedPhrase": None}}
    assert recognised(data) == Recognised(choice="Confirm")


def test_no_key_at_all_is_an_answer_too():
    assert recognised({"recognitionType": "dtmf", "dtmfResult": {"tones": []}}) == Recognised(digits="")


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"recognitionType": "dtmf"},
        {"recognitionType": "dtmf", "dtmfResult": {"tones": "one"}},
        {"recognitionType": "dtmf", "dtmfResult": {"tones": ["one", "flash"]}},
        {"recognitionType": "dtmf", "dtmfResult": {"tones": ["one", ["two"]]}},
        {"recognitionType": "dtmf", "dtmfResult": None, "speechResult": {"speech": "one"}},
        {"recognitionType": "speech", "speechResult": {"speech": None}},
        {"recognitionType": "choices", "choiceResult": {"recognizedPhrase": "yes"}},
        {"recognitionType": "gesture", "speechResult": {"speech": "one"}},
    ],
)
def test_what_cannot_be_read_is_nothing(data):
    assert recognised(data) is None


def test_nothing_that_is_said_or_pressed_is_shown():
    things = [
        Recognised(digits="1234", speech="secret", choice="secret"),
        FilePrompt("https://gw.example.com/?token=secret"),
        TextPrompt("secret 1234", "en-US-JennyNeural"),
    ]
    shown = " ".join(map(repr, things))
    assert "secret" not in shown
    assert "1234" not in shown
    assert "en-US-JennyNeural" in shown
