"""What the tests of the product's Call Automation adapter have in common: a call on the emulator that it answered."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from time import time

import pytest

from emulator.call import Call
from emulator.media.line import Line
from emulator.service import Emulator
from shared.adapters.call_automation import CallControl, Repeatability
from shared.adapters.connect import connect
from shared.core.profiles import AudioFormat
from tests.support.gateway import CALLER, NUMBER, running_emulator
from tests.support.media import media_test_settings
from tests.support.playing import Ear, Files

NOWHERE = "127.0.0.1:9"
AZURE_AI = "https://ai.example.com/"


async def answered(emulator: Emulator, acs: CallControl, ear: Ear, azure_ai: str | None = AZURE_AI) -> Call:
    """Place a call, answer it, and return it when it is connected; its media socket reaches nobody."""
    call = await emulator.calls.place(to=NUMBER, from_=CALLER, line=Line(rate_hz=16_000, on_audio=ear))
    await acs.answer(
        incoming_call_context=call.incoming_call_context,
        callback_url=f"http://{NOWHERE}/",
        media_url=f"ws://{NOWHERE}/",
        audio_format=AudioFormat.PCM24K,
        call_id="a-call",
        repeatability=Repeatability(str(uuid.uuid4()), time()),
        cognitive_services_endpoint=azure_ai,
    )
    await happened(call, "media_failed")
    return call


async def happened(call: Call, name: str, count: int = 1) -> None:
    """Wait until something has happened to a call, so many times."""
    async with asyncio.timeout(5):
        while sum(each.name == name for each in call.happenings) < count:
            await asyncio.sleep(0.002)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with running_emulator() as emulator:
        yield emulator


@pytest.fixture
async def acs(emulator: Emulator) -> AsyncIterator[CallControl]:
    """The adapter under test."""
    settings = replace(
        media_test_settings().common,
        acs_endpoint=emulator.base_url,
        acs_access_key=emulator.settings.access_key,
    )
    async with connect(settings) as connections:
        yield connections.call_control


@pytest.fixture
async def files() -> AsyncIterator[Files]:
    """Files for ACS to fetch."""
    files = Files()
    await files.start()
    yield files
    await files.stop()


@pytest.fixture
def ear() -> Ear:
    """What the caller hears."""
    return Ear()


@pytest.fixture
async def call(emulator: Emulator, acs: CallControl, ear: Ear) -> Call:
    """A call that was answered with an Azure AI, and is connected."""
    return await answered(emulator, acs, ear)
