"""Keys pressed towards the caller's side, through the real SDK on the emulator."""

import pytest

from emulator.call_automation import sent_tones
from emulator.faults import FaultRule, Reset, Status, When
from shared.adapters.call_automation import MAX_TONES
from shared.errors import AcsRefused, AcsUnavailable, CallGone
from tests.support.call_control import happened
from tests.support.gateway import CALLER

TARGET = f"4:{CALLER}"
KEYS = "0123456789*#ABCD"
NOWHERE = "127.0.0.1:9"


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch):
    monkeypatch.setattr(sent_tones, "TONE_SECONDS", 0.001)


def received(call):
    return "".join(each.detail["digit"] for each in call.happenings if each.name == "dtmf_received")


async def test_every_key_reaches_the_caller(acs, call):
    await acs.send_dtmf(call.call_connection_id, target=TARGET, digits=KEYS)
    await happened(call, "dtmf_received", len(KEYS))

    assert received(call) == KEYS


@pytest.mark.parametrize(
    ("count", "requests"), [(0, 0), (MAX_TONES, 1), (MAX_TONES + 1, 2), (2 * MAX_TONES + 4, 3)]
)
async def test_many_keys_go_in_several_requests_and_stay_in_order(emulator, acs, call, count, requests):
    digits = (KEYS * 3)[:count]

    await acs.send_dtmf(call.call_connection_id, target=TARGET, digits=digits)
    await happened(call, "dtmf_received", count)

    assert received(call) == digits
    assert len(emulator.requests("sendDtmfTones")) == requests


async def test_request_that_is_repeated_presses_its_keys_once(emulator, acs, call):
    emulator.faults.fail_next("sendDtmfTones", Status(status=503, when=When.AFTER))

    await acs.send_dtmf(call.call_connection_id, target=TARGET, digits="12")
    await acs.send_dtmf(call.call_connection_id, target=TARGET, digits="9")
    await happened(call, "dtmf_received", 3)

    assert received(call) == "129"


async def test_call_that_is_over_is_gone(emulator, acs, call):
    await emulator.calls.caller_hangs_up(call)

    with pytest.raises(CallGone):
        await acs.send_dtmf(call.call_connection_id, target=TARGET, digits="1")


async def test_target_that_is_not_in_the_call_is_gone(acs, call):
    with pytest.raises(CallGone):
        await acs.send_dtmf(call.call_connection_id, target="4:+14255550177", digits="1")


async def test_target_that_has_no_phone_is_refused(emulator, acs, call):
    application = emulator.settings.application_id

    with pytest.raises(AcsRefused):
        await acs.send_dtmf(call.call_connection_id, target=application, digits="1")


@pytest.mark.parametrize("fault", [Status(status=503), Status(status=429, code="8516"), Reset()])
async def test_acs_that_is_away_is_unavailable(emulator, acs, call, fault):
    emulator.faults.fail_next("sendDtmfTones", fault, times=2)

    with pytest.raises(AcsUnavailable):
        await acs.send_dtmf(call.call_connection_id, target=TARGET, digits="1")

    assert received(call) == ""


async def test_keys_after_those_that_failed_are_not_pressed(emulator, acs, call):
    emulator.faults.add(FaultRule("sendDtmfTones", Status(status=500), nth=2))

    with pytest.raises(AcsUnavailable):
        await acs.send_dtmf(call.call_connection_id, target=TARGET, digits=KEYS * 3)
    await happened(call, "dtmf_received", MAX_TONES)

    assert received(call) == (KEYS * 2)[:MAX_TONES]
