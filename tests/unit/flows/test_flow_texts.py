"""Values go into texts as text: they bring no markup, no control characters, and no length of their own."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.flow_model import MAX_VALUE_CHARS
from shared.core.flow_texts import (
    MAX_SPOKEN_CHARS,
    TemplateInvalid,
    filled,
    longest_spoken,
    names_in,
    spoken,
)

SSML = "<speak><voice name='{name}'>You are {name}, {name:digits}.</voice></speak>"
ANY_TEXT = st.text(st.characters())


def test_a_value_stands_where_its_name_does():
    assert (
        spoken("It is {a}, {b:digits}; {{c}}.", {"a": "x", "b": "123"}, ssml=False) == "It is x, 1 2 3; {c}."
    )
    assert names_in("It is {a}, {b:digits}; {{c}}.") == {"a", "b"}
    assert filled("{a}-{b}", {"a": "1"}) == "1-"


@pytest.mark.parametrize(
    "template", ["{", "}", "{}", "{a.b}", "{a[0]}", "{a!r}", "{a:x}", "{a:{b}}", "{0}", "{A}", "{a b}"]
)
def test_braces_that_mean_nothing_are_refused(template):
    with pytest.raises(TemplateInvalid):
        names_in(template)


@given(ANY_TEXT)
def test_no_value_brings_markup_into_ssml(value):
    root = ET.fromstring(spoken(SSML, {"name": value}, ssml=True))
    (voice,) = root
    assert len(voice) == 0
    assert voice.text.startswith("You are ")


@given(ANY_TEXT, st.booleans())
def test_a_prompt_is_never_longer_than_was_reckoned_with(value, ssml):
    text = spoken(SSML, {"name": value * 50}, ssml=ssml)
    assert len(text) <= longest_spoken(SSML, ssml=ssml)
    assert longest_spoken("{name}", ssml=False) == MAX_SPOKEN_CHARS


@given(ANY_TEXT)
def test_a_value_is_clean_and_short_and_can_be_stored(value):
    text = filled("{a}{a}", {"a": value * 100})
    assert len(text) <= MAX_VALUE_CHARS
    assert not any(character < " " for character in text)
    text.encode()
