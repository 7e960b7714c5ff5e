"""Signals are sent, and addresses given, by key and by identity; every fault of the service is one of ours."""

import time

import jwt
import pytest

from emulator.faults import FaultRule, Hang, Reset, Status
from shared.adapters.web_pubsub import HUB, TOKEN_MINUTES
from shared.config import WebPubSubSettings
from shared.core.ids import new_call_id
from shared.core.signals import CallTaken, EventsStored, encode
from shared.errors import SignalsUnavailable
from tests.emulated.signals.conftest import POD, opened

SIGNALS = [EventsStored(new_call_id()), CallTaken(new_call_id(), epoch=2)]


@pytest.fixture(params=["key", "identity"])
async def service(request, start_emulator):
    """An emulator, and the settings with which it is entered by access key or by an Entra token."""
    emulator = await start_emulator(entra_token="local")
    if request.param == "key":
        return emulator, WebPubSubSettings(None, emulator.web_pubsub_connection_string)
    return emulator, WebPubSubSettings(emulator.base_url, None)


async def test_a_signal_goes_to_the_group_of_its_pod(service):
    emulator, settings = service
    async with opened(settings) as signals:
        for signal in SIGNALS:
            await signals.send(POD, signal)
    sent = emulator.web_pubsub.messages(HUB)
    assert [(message.name, message.content.shown()) for message in sent] == [
        (f"pod.{POD}", encode(signal)) for signal in SIGNALS
    ]


async def test_an_address_lets_a_pod_into_its_group_for_minutes_and_lets_it_send_nothing(service):
    emulator, settings = service
    async with opened(settings) as signals:
        url = await signals.client_url(POD)
    address, _, token = url.partition("?access_token=")
    assert address == emulator.base_url.replace("http", "ws") + f"/client/hubs/{HUB}"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["webpubsub.group"] == [f"pod.{POD}"] or claims["webpubsub.group"] == f"pod.{POD}"
    assert not claims.get("role")
    assert claims["exp"] - time.time() == pytest.approx(TOKEN_MINUTES * 60, abs=5)


async def test_a_failure_that_passes_is_made_up_for_by_one_more_try(service):
    emulator, settings = service
    async with opened(settings) as signals:
        for action in (Status(503), Reset()):
            emulator.faults.add(FaultRule("web_pubsub.sendToGroup", action, times=1))
            await signals.send(POD, SIGNALS[0])
    assert len(emulator.web_pubsub.messages(HUB)) == 2


@pytest.mark.parametrize(
    "action", [Status(401), Status(404), Status(429), Status(503), Reset(), Hang()], ids=repr
)
async def test_every_fault_is_one_of_ours_within_a_second_and_quotes_nothing(service, action):
    emulator, settings = service
    emulator.faults.add(FaultRule("web_pubsub.sendToGroup", action))
    async with opened(settings) as signals:
        began = time.monotonic()
        with pytest.raises(SignalsUnavailable, match=r"^Web PubSub (answered [0-9]{3}|did not answer)$"):
            await signals.send(POD, SIGNALS[0])
        assert time.monotonic() - began < 1.3


async def test_an_identity_that_the_service_does_not_know_gets_no_address(start_emulator):
    emulator = await start_emulator(entra_token="another")
    async with opened(WebPubSubSettings(emulator.base_url, None)) as signals:
        with pytest.raises(SignalsUnavailable, match="answered 401"):
            await signals.client_url(POD)


async def test_a_wrong_key_is_refused(acs_emulator):
    key = "another key that is long enough for its purpose"
    settings = WebPubSubSettings(None, f"Endpoint={acs_emulator.base_url};AccessKey={key};Version=1.0;")
    async with opened(settings) as signals:
        with pytest.raises(SignalsUnavailable, match="answered 401"):
            await signals.send(POD, SIGNALS[0])


async def test_nothing_is_asked_of_the_service_before_it_is_used(unused_tcp_port):
    async with opened(WebPubSubSettings(f"http://127.0.0.1:{unused_tcp_port}", None)) as signals:
        with pytest.raises(SignalsUnavailable, match="did not answer"):
            await signals.send(POD, SIGNALS[0])
