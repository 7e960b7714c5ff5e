"""What asks Azure AI Language, by its SDK, against the stand-in: what is asked again, and what a failure means."""

import aiohttp.test_utils
import pytest
from aiohttp import web

from emulator.faults import FaultRule, Hang, Reset, Status
from media_gateway.analysis import language as module
from media_gateway.analysis.language import RETRIES, Language
from media_gateway.analysis.service import LanguageRefused, LanguageUnavailable, Sentiment
from shared.adapters.connect import LocalCredential
from shared.config import LanguageSettings

SENTIMENT = "language.analyzeSentiment"
WORDS = "The service was terrible"


@pytest.fixture
async def make_language():
    made = []

    def make(endpoint, key):
        made.append(Language(LanguageSettings(endpoint, key), LocalCredential()))
        return made[-1]

    yield make
    for language in made:
        await language.close()


@pytest.fixture
def language(acs_emulator, make_language):
    return make_language(acs_emulator.base_url, acs_emulator.settings.access_key)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "BACKOFF_S", 0.001)


async def test_each_text_has_its_opinion_and_what_it_is_about(language):
    opinions = await language.opinions([WORDS, "It is great"], "en")
    assert [opinion.sentiment for opinion in opinions] == [Sentiment.NEGATIVE, Sentiment.POSITIVE]
    assert opinions[0].scores.negative > opinions[0].scores.positive
    assert await language.key_phrases(["My credit card", "a new branch"], "en") == ["credit card", "branch"]


async def test_a_text_that_is_refused_has_none(language):
    opinions = await language.opinions(["x" * 6000, WORDS], "en")
    assert [opinion and opinion.sentiment for opinion in opinions] == [None, Sentiment.NEGATIVE]
    assert await language.key_phrases(["x" * 6000, "a branch"], "en") == ["branch"]


async def test_where_all_are_refused_the_language_for_instance_it_is_no_use_to_ask_again(language):
    with pytest.raises(LanguageRefused, match="UnsupportedLanguageCode"):
        await language.opinions([WORDS], "xx")
    with pytest.raises(LanguageRefused, match="UnsupportedLanguageCode"):
        await language.key_phrases([WORDS], "xx")


@pytest.mark.parametrize(
    "fault", [Status(429, retry_after_seconds=0), Status(429), Status(503), Status(500), Reset()], ids=repr
)
async def test_a_service_that_is_away_for_a_moment_is_asked_again(acs_emulator, language, fault):
    acs_emulator.faults.add(FaultRule(SENTIMENT, fault, times=2))
    assert len(await language.opinions([WORDS], "en")) == 1
    assert len(acs_emulator.requests(SENTIMENT)) == 3


@pytest.mark.parametrize("fault", [Status(429), Status(503), Reset()], ids=repr)
async def test_one_that_stays_away_is_given_up_for_now(acs_emulator, language, fault):
    acs_emulator.faults.add(FaultRule(SENTIMENT, fault))
    with pytest.raises(LanguageUnavailable):
        await language.opinions([WORDS], "en")
    assert len(acs_emulator.requests(SENTIMENT)) == 1 + RETRIES


@pytest.mark.parametrize("fault", [Hang(), Status(429, retry_after_seconds=3600)], ids=repr)
async def test_nobody_waits_longer_than_the_limit(acs_emulator, language, fault, monkeypatch):
    monkeypatch.setattr(module, "REQUEST_S", 0.1)
    acs_emulator.faults.add(FaultRule(SENTIMENT, fault))
    with pytest.raises(LanguageUnavailable, match="did not answer"):
        await language.opinions([WORDS], "en")


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refusal_is_told_by_its_status_and_not_asked_again(acs_emulator, language, status):
    acs_emulator.faults.add(FaultRule(SENTIMENT, Status(status, message=WORDS)))
    with pytest.raises(LanguageRefused) as refused:
        await language.opinions([WORDS], "en")
    assert str(refused.value) == f"answered {status}"
    assert refused.value.__suppress_context__  # the SDK's own text may quote
    assert len(acs_emulator.requests(SENTIMENT)) == 1


async def test_a_wrong_key_is_refused(acs_emulator, make_language):
    with pytest.raises(LanguageRefused, match="answered 401"):
        await make_language(acs_emulator.base_url, "wrong").opinions([WORDS], "en")


async def test_without_a_key_it_is_entered_by_the_identity_of_the_process(start_emulator, make_language):
    emulator = await start_emulator(entra_token="local")
    assert len(await make_language(emulator.base_url, None).opinions([WORDS], "en")) == 1


async def test_the_service_is_told_to_keep_nothing(make_language):
    bodies = []

    async def analyze(request):
        bodies.append(await request.json())
        return web.json_response({"error": {"code": "InvalidRequest", "message": ""}}, status=400)

    app = web.Application()
    app.router.add_post("/language/:analyze-text", analyze)
    async with aiohttp.test_utils.TestServer(app) as server:
        language = make_language(str(server.make_url("")), "key")
        for ask in (language.opinions, language.key_phrases):
            with pytest.raises(LanguageRefused):
                await ask([WORDS], "en")
    assert [body["parameters"]["loggingOptOut"] for body in bodies] == [True, True]
    assert {document["language"] for body in bodies for document in body["analysisInput"]["documents"]} == {
        "en"
    }
