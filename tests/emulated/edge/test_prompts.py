"""ACS fetches prompts without credentials: defaults by name, profiles' sounds by content, and nothing else."""

import asyncio
import hashlib
import json
import sys

import pytest

from emulator.faults import FaultRule, Hang, Status
from shared.core.profiles import PromptKind
from shared.gateway_document import stored_name
from shared.prompts import default_prompt
from tests.support.records import wav_bytes

SOUND = wav_bytes(bytes(640))
SOUND_HASH = hashlib.sha256(SOUND).hexdigest()


async def fetch(edge, name, method="GET", **headers):
    url = f"{edge.host.url}/mg-genagent-acs/v1/prompts/{name}"
    async with edge.http.request(method, url, headers=headers) as response:
        return response.status, response.headers, await response.read()


@pytest.mark.parametrize("kind", PromptKind)
async def test_a_default_prompt_is_a_wav_file_of_its_name(edge, kind):
    status, headers, body = await fetch(edge, f"{kind.value}.wav")

    assert (status, headers["Content-Type"], body) == (200, "audio/wav", default_prompt(kind))
    assert headers["Cache-Control"] == "public, max-age=3600"
    assert headers["ETag"] == f'"{hashlib.sha256(body).hexdigest()}"'


async def test_a_profile_s_sound_is_had_by_what_it_holds_and_kept_for_ever(edge):
    await edge.connections.sounds.put(stored_name(SOUND), SOUND)
    status, headers, body = await fetch(edge, f"{SOUND_HASH}.wav")

    assert (status, headers["Content-Type"], body) == (200, "audio/wav", SOUND)
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert headers["ETag"] == f'"{SOUND_HASH}"'


async def test_head_says_the_same_without_the_file(edge):
    status, headers, body = await fetch(edge, "comfort.wav", "HEAD")

    assert (status, headers["Content-Type"], body) == (200, "audio/wav", b"")
    assert headers["ETag"] == (await fetch(edge, "comfort.wav"))[1]["ETag"]


async def test_who_has_it_already_is_not_sent_it_again(edge):
    etag = (await fetch(edge, "comfort.wav"))[1]["ETag"]
    status, headers, body = await fetch(edge, "comfort.wav", **{"If-None-Match": etag})

    assert (status, headers["ETag"], body) == (304, etag, b"")
    assert (await fetch(edge, "comfort.wav", **{"If-None-Match": '"other"'}))[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        "hello.wav",
        "COMFORT.wav",
        f"{'ab' * 32}.wav",
        f"{SOUND_HASH[:-1]}.wav",
        f"{SOUND_HASH.upper()}.wav",
        "..%2Fgateway%2Fcurrent.wav",
        "%2e%2e%2fcomfort.wav",
    ],
)
async def test_what_is_no_prompt_is_not_found(edge, name):
    status, headers, body = await fetch(edge, name)

    assert (status, headers["Content-Type"]) == (404, "application/problem+json")
    assert json.loads(body)["detail"] == "there is no such prompt"


@pytest.mark.parametrize("name", ["", "comfort", "comfort.mp3"])
async def test_nothing_is_listed(edge, name):
    assert (await fetch(edge, name))[0] == 404


async def test_nothing_is_taken_either(edge):
    assert (await fetch(edge, "comfort.wav", "PUT"))[0] in (404, 405)


async def test_defaults_are_there_while_storage_and_settings_are_not(start_edge):
    edge = await start_edge(STORAGE_CONNECTION_STRING="nonsense")

    assert (await fetch(edge, "apology.wav"))[2] == default_prompt(PromptKind.APOLOGY)
    assert (await fetch(edge, f"{SOUND_HASH}.wav"))[0] == 500


async def test_a_sound_that_storage_does_not_give_may_be_asked_for_again(edge):
    await edge.connections.sounds.put(stored_name(SOUND), SOUND)
    away = edge.emulator.faults.add(FaultRule("storage.getBlob:config", Status(status=503)))

    status, headers, _ = await fetch(edge, f"{SOUND_HASH}.wav")
    assert (status, headers["Content-Type"]) == (503, "application/problem+json")
    assert "Cache-Control" not in headers

    edge.emulator.faults.remove(away)
    assert (await fetch(edge, f"{SOUND_HASH}.wav"))[0] == 200


async def test_storage_that_hangs_holds_nobody_for_long(edge, monkeypatch):
    monkeypatch.setattr(sys.modules["functions.prompts"], "BUDGET_S", 0.1)
    edge.emulator.faults.add(FaultRule("storage.getBlob:config", Hang()))

    assert (await fetch(edge, f"{SOUND_HASH}.wav"))[0] == 503
    assert (await fetch(edge, "comfort.wav"))[0] == 200


async def test_many_who_ask_at_once_are_all_served(edge):
    await edge.connections.sounds.put(stored_name(SOUND), SOUND)
    answers = await asyncio.gather(*(fetch(edge, f"{SOUND_HASH}.wav") for _ in range(20)))

    assert [status for status, _, _ in answers] == [200] * 20
