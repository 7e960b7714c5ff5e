"""The emulated Azure AI Language, by the real package and by requests of any kind."""

import io
import json

import aiohttp
import pytest
from azure.ai.textanalytics.aio import TextAnalyticsClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

from emulator.faults import FaultRule, Status
from emulator.language.routes import API_VERSION, MAX_DOCUMENTS, MAX_TEXT_ELEMENTS, PATH
from shared.adapters.connect import LocalCredential

TEXT = "My card is broken. The agent was wonderful."


@pytest.fixture
async def client(acs_emulator):
    key = AzureKeyCredential(acs_emulator.settings.access_key)
    async with TextAnalyticsClient(acs_emulator.base_url, key, retry_total=0) as client:
        yield client


async def post(emulator, body, *, query=f"?api-version={API_VERSION}", key=None):
    headers = {"Ocp-Apim-Subscription-Key": key or emulator.settings.access_key}
    url = emulator.base_url + PATH + query
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
        return response.status, await response.json()


async def test_sentences_make_the_sentiment_of_a_text(client):
    opinions = await client.analyze_sentiment(
        ["It is here", "Thanks, that is great!", "It came late.\nIt is here.", TEXT, "?!"], language="en"
    )
    assert [opinion.sentiment for opinion in opinions] == [
        "neutral", "positive", "negative", "mixed", "neutral"
    ]  # fmt: skip
    scores = opinions[3].confidence_scores
    assert scores.positive + scores.neutral + scores.negative == pytest.approx(1)
    for sentence in opinions[3].sentences:
        assert TEXT[sentence.offset : sentence.offset + sentence.length] == sentence.text


async def test_key_phrases_are_runs_of_telling_words(client):
    (found,) = await client.extract_key_phrases(["My credit card was stolen at the station. My credit card!"])
    assert found.key_phrases == ["credit card", "stolen", "station"]


async def test_more_documents_than_the_service_takes_are_refused_whole(client):
    with pytest.raises(HttpResponseError) as refused:
        await client.analyze_sentiment([TEXT] * (MAX_DOCUMENTS + 1))
    assert (refused.value.status_code, refused.value.error.code) == (400, "InvalidDocumentBatch")


async def test_a_document_is_refused_by_itself(client):
    accented = "e\u0301" * MAX_TEXT_ELEMENTS  # two characters each, and one text element
    results = await client.extract_key_phrases(
        [
            {"id": "1", "language": "en", "text": "x" * (MAX_TEXT_ELEMENTS + 1)},
            {"id": "2", "language": "en", "text": " "},
            {"id": "3", "language": "xx", "text": TEXT},
            {"id": "4", "language": "pt-BR", "text": TEXT},
            {"id": "5", "language": "en", "text": accented},
        ]
    )
    assert [result.error.code if result.is_error else "" for result in results] == [
        "InvalidDocument", "InvalidDocument", "UnsupportedLanguageCode", "", ""
    ]  # fmt: skip


async def test_only_who_has_the_key_is_let_in(acs_emulator):
    wrong = AzureKeyCredential("wrong")
    async with TextAnalyticsClient(acs_emulator.base_url, wrong) as client:
        with pytest.raises(ClientAuthenticationError):
            await client.analyze_sentiment([TEXT])


@pytest.mark.parametrize(("token", "is_let_in"), [("local", True), ("another", False), (None, False)])
async def test_or_who_has_the_token_that_stands_for_entras(start_emulator, token, is_let_in):
    emulator = await start_emulator(entra_token=token)
    async with TextAnalyticsClient(emulator.base_url, LocalCredential()) as client:
        asked = client.analyze_sentiment([TEXT], enforce_https=False)
        if is_let_in:
            await asked
        else:
            with pytest.raises(ClientAuthenticationError):
                await asked


def request(kind="SentimentAnalysis", ids=("1",), **parameters):
    documents = [{"id": name, "text": TEXT} for name in ids]
    return json.dumps({"kind": kind, "analysisInput": {"documents": documents}, "parameters": parameters})


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "InvalidRequest"),
        ('{"kind": "SentimentAnalysis"}', 400, "InvalidRequest"),
        (request(ids=()), 400, "InvalidRequest"),
        (request(ids=("1", "1")), 400, "InvalidRequest"),
        (request("EntityRecognition"), 501, "NotImplemented"),
        (request(opinionMining=True), 501, "NotImplemented"),
    ],
)
async def test_what_is_no_request_is_refused_in_the_shape_of_the_service(acs_emulator, body, status, code):
    answered, refusal = await post(acs_emulator, body)
    assert (answered, refusal["error"]["code"]) == (status, code)


async def test_another_version_is_refused(acs_emulator):
    status, refusal = await post(acs_emulator, "{}", query="?api-version=2026-01-01")
    assert (status, refusal["error"]["code"]) == (400, "InvalidRequest")


async def test_a_body_that_is_too_large_is_refused(acs_emulator):
    status, _ = await post(acs_emulator, io.BytesIO(b"x" * (1024 * 1024 + 1)))
    assert status == 413


async def test_faults_strike_either_kind_by_itself(acs_emulator, client):
    acs_emulator.faults.add(FaultRule("language.analyzeSentiment", Status(403, code="PermissionDenied")))
    with pytest.raises(HttpResponseError) as refused:
        await client.analyze_sentiment([TEXT])
    assert refused.value.status_code == 403
    assert await client.extract_key_phrases([TEXT])
    assert [seen.operation for seen in acs_emulator.requests("language.*")] == [
        "language.analyzeSentiment", "language.extractKeyPhrases"
    ]  # fmt: skip
