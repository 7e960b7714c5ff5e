"""Transcripts are analysed where the profile says so and the media gateway knows of a service: neither by default."""

import pytest

from shared.config import LanguageSettings, SettingsInvalid, media_settings
from shared.core.profiles import Analysis
from shared.gateway_document import faults_of, to_routing
from tests.unit.settings.test_config import AZURE, LOCAL

ENDPOINT = "https://ai1.cognitiveservices.azure.com"


def document(recording):
    return {"version": 1, "profiles": {"bank": {"kind": "echo", "recording": recording}}}


def test_a_profile_says_in_which_language_its_calls_are():
    for language in ("en", "pt-BR", "zh-hans"):
        wanted = document({"analysis": {"language": language}})
        assert list(faults_of(wanted)) == []
        assert to_routing(wanted).profiles["bank"].recording.analysis == Analysis(language)
    assert to_routing(document({})).profiles["bank"].recording.analysis is None


@pytest.mark.parametrize("analysis", [{}, {"language": "English"}, {"language": "en", "depth": 2}, True])
def test_what_is_no_language_is_a_fault(analysis):
    places = [fault.place_name for fault in faults_of(document({"analysis": analysis}))]
    assert places
    assert all(place.startswith("profiles.bank.recording.analysis") for place in places)


def test_without_an_endpoint_nothing_is_analysed():
    assert media_settings(AZURE).language is None


def test_the_service_is_entered_by_identity_or_by_a_key_that_is_never_printed():
    by_identity = media_settings(AZURE | {"LANGUAGE_ENDPOINT": f"{ENDPOINT}/"})
    assert by_identity.language == LanguageSettings(ENDPOINT, None)
    by_key = media_settings(AZURE | {"LANGUAGE_ENDPOINT": ENDPOINT, "LANGUAGE_KEY": "secret-key"})
    assert by_key.language.key == "secret-key"
    assert "secret-key" not in repr(by_key)


@pytest.mark.parametrize(
    ("base", "changes", "fault"),
    [
        (AZURE, {"LANGUAGE_KEY": "key"}, "LANGUAGE_KEY is set, and LANGUAGE_ENDPOINT is not"),
        (
            AZURE,
            {"LANGUAGE_ENDPOINT": "http://ai1.example.com"},
            "LANGUAGE_ENDPOINT may use http:// only for a loopback host",
        ),
        (
            LOCAL,
            {"LANGUAGE_ENDPOINT": ENDPOINT},
            "AZURE_CREDENTIAL may be 'local' only when every endpoint is loopback",
        ),
    ],
)
def test_faults_are_named(base, changes, fault):
    with pytest.raises(SettingsInvalid) as invalid:
        media_settings(base | changes)
    assert fault in invalid.value.faults


def test_a_key_may_lead_anywhere():
    assert media_settings(LOCAL | {"LANGUAGE_ENDPOINT": ENDPOINT, "LANGUAGE_KEY": "key"}).language is not None
