"""The script's sounds come from blob storage; one that cannot be had ends its call, and no other."""

import uuid

import pytest

from shared.adapters.blobs import BlobContainer
from shared.adapters.connect import LocalCredential
from shared.adapters.profile_store import BlobSoundStore
from shared.config import StorageSettings
from shared.core.call_state import Cause
from shared.core.profiles import AudioFormat, EchoAgent, ScriptAgent
from shared.gateway_document import stored_name
from tests.support.media import MemoryOutside, running_gateway
from tests.support.records import wav_bytes

GREETING = b"\1\2" * 2400


@pytest.fixture
async def sounds(storage_connection_string):
    """Sounds in a container of the test's own."""
    settings = StorageSettings(None, storage_connection_string)
    container = BlobContainer(settings, LocalCredential(), f"test-{uuid.uuid4().hex}")
    await container.make()
    yield BlobSoundStore(container)
    await container.close()


async def put(sounds, samples, rate_hz):
    content = wav_bytes(samples, rate_hz=rate_hz)
    await sounds.put(stored_name(content), content)
    return stored_name(content)


async def test_the_greeting_is_fetched_and_said(sounds):
    name = await put(sounds, GREETING, 24_000)
    async with running_gateway(outside=MemoryOutside(sounds=sounds)) as gateway:
        call = await gateway.place(ScriptAgent(greeting=name))
        await call.socket.until_heard(GREETING)


async def test_a_sound_that_is_not_stored_or_does_not_fit_ends_its_call_only(sounds):
    other_rate = await put(sounds, GREETING, 16_000)
    async with running_gateway(outside=MemoryOutside(sounds=sounds)) as gateway:
        echo = await gateway.place(EchoAgent())
        calls = [
            await gateway.place(ScriptAgent(greeting=name), audio_format=AudioFormat.PCM24K)
            for name in (other_rate, f"sounds/{'0' * 64}.wav")
        ]
        await gateway.until(lambda: len(gateway.core.calls) == 1)
        for call in calls:
            gateway.assert_ended(call, Cause.AGENT_FAILED, hung_up=True)
        echo.socket.send_audio(GREETING)
        await echo.socket.until_heard(GREETING)
