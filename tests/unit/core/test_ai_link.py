"""Each code that blames the link to Azure AI says what is wrong and what to do; no other code does."""

import pytest

from shared.core import ai_link
from shared.core.ai_link import Advice, advice_of
from shared.core.flow_events import Failure, failure_of

CODES = {
    (405, 8522): ai_link.NO_ENDPOINT,
    (400, 8567): ai_link.IDENTITY_OFF,
    (400, 8568): ai_link.IDENTITY_FAILED,
    (500, 8568): ai_link.IDENTITY_FAILED,
    (403, 7606): ai_link.NO_ROLE,
    (500, 8564): ai_link.NO_CONNECTION,
    (400, 8565): ai_link.NOT_UNDERSTOOD,
    (401, 8565): ai_link.TOKEN_REFUSED,
    (403, 8565): ai_link.FORBIDDEN,
    (408, 8565): ai_link.TIMED_OUT,
    (429, 8565): ai_link.TOO_MANY,
}


@pytest.mark.parametrize("codes", CODES, ids=lambda codes: "-".join(map(str, codes)))
def test_a_code_has_its_advice_and_the_flow_goes_on_without_the_service(codes):
    assert advice_of(*codes) is CODES[codes]
    assert failure_of(*codes) is Failure.SPEECH_AWAY


@pytest.mark.parametrize(
    ("code", "sub_code"),
    [(404, 8522), (400, 8581), (400, 8582), (400, 8536), (400, 8510), (400, 8500), (500, 9999), (403, 0)],
)
def test_other_faults_are_not_blamed_on_the_link(code, sub_code):
    assert advice_of(code, sub_code) is None


def test_no_two_faults_have_the_same_advice():
    advice = [value for value in vars(ai_link).values() if isinstance(value, Advice)]
    assert len({each.wrong for each in advice}) == len({each.do for each in advice}) == len(advice)
