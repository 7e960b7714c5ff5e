"""A link to Azure AI that is broken: the log says what is wrong and what to do, and the caller hears sounds."""

import logging

import pytest

from shared.core.ai_link import IDENTITY_OFF, NO_ENDPOINT, NO_ROLE
from shared.errors import AcsRefused
from tests.support.ivr import FLOW
from tests.unit.calls.test_ivr_steps import World

SPOKEN = FLOW.replace("prompt: Your number?", "prompt: {text: 'Your number?', wav: number.wav}")


def said(caplog):
    """What the log says of the link, each time: wrong and advice, as fields or, by the app's filter, in the message."""
    found = [each for each in caplog.records if each.msg.startswith("a call cannot use the speech service")]
    assert all(record.levelno == logging.ERROR for record in found)
    return [f"{record.msg} {vars(record)}" for record in found]


def is_advice(text, advice):
    return advice.wrong in text and advice.do in text


async def failed(world, code, sub_code):
    await world.tell(
        "RecognizeFailed",
        operationContext="1.account",
        resultInformation={"code": code, "subCode": sub_code, "message": ""},
    )


async def test_what_acs_tells_of_the_link_is_said_once_and_the_question_is_put_by_a_sound(caplog):
    world = World(SPOKEN)
    await world.tell("CallConnected")
    for _ in range(2):
        await failed(world, 403, 7606)
    [once] = said(caplog)
    assert is_advice(once, NO_ROLE)
    assert world.acs.asked == [("recognize", "1.account"), ("recognize", "2.account")]


@pytest.mark.parametrize(
    ("code", "sub_code", "advice"), [(405, 8522, NO_ENDPOINT), (400, 8567, IDENTITY_OFF)]
)
async def test_a_request_that_is_refused_for_the_link_is_put_again_by_a_sound(caplog, code, sub_code, advice):
    world = World(SPOKEN)
    world.acs.faults = [AcsRefused("ACS refuses", code=code, sub_code=sub_code)]
    await world.tell("CallConnected")
    [once] = said(caplog)
    assert is_advice(once, advice)
    assert world.acs.asked == [("recognize", "2.account")]


async def test_a_caller_who_says_nothing_is_no_fault_of_the_link(caplog):
    world = World(SPOKEN)
    await world.tell("CallConnected")
    await failed(world, 400, 8510)
    assert said(caplog) == []


async def test_the_same_codes_of_a_transfer_say_another_thing(caplog):
    world = World()
    await world.tell("CallConnected")
    world.acs.faults = [AcsRefused("ACS refuses", code=405, sub_code=8522)]
    await world.key("1234")
    assert said(caplog) == []
    assert world.acs.asked[1:] == [("transfer", "3.to_people")]
