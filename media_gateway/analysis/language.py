"""Azure AI Language, by its SDK. Importing this module, and the first client, take half a second: at start only."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from azure.ai.textanalytics import AnalyzeSentimentResult, DocumentError, ExtractKeyPhrasesResult
from azure.ai.textanalytics.aio import TextAnalyticsClient
from azure.core.credentials import AzureKeyCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError

from media_gateway.analysis.service import LanguageRefused, LanguageUnavailable, Opinion, Scores, Sentiment
from shared.adapters.transport import transport_options
from shared.config import LanguageSettings

REQUEST_S = 30.0
"""For one request with its retries, what the service bids us wait included."""
RETRIES = 3
BACKOFF_S = 0.5
"""Before the second retry; doubled for each further one, and the first comes at once."""
CONNECT_TIMEOUT_S = 3
READ_TIMEOUT_S = 10
MAY_PASS = frozenset({408, 429})
"""What of the 4xx another time may not be answered."""


class Language:
    """Asks the service; a `LanguageService`.

    The service is told to keep nothing: by default it keeps what it is sent for two days.

    Args:
        settings: Where it is.
        credential: This process's identity; not used with a key.
    """

    def __init__(self, settings: LanguageSettings, credential: AsyncTokenCredential) -> None:
        self._client = TextAnalyticsClient(
            settings.endpoint,
            credential if settings.key is None else AzureKeyCredential(settings.key),
            retry_total=RETRIES,
            retry_backoff_factor=BACKOFF_S,
            connection_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            **transport_options(),
        )
        self._request: dict[str, Any] = {
            "disable_service_logs": True,
            # By default a POST is repeated after some answers only; to read a text twice does no harm.
            "retry_on_methods": frozenset({"POST"}),
        }
        if settings.key is None and settings.endpoint.startswith("http://"):
            # Only on loopback; the client gives tokens to no plain connection unless told so.
            self._request["enforce_https"] = False

    async def opinions(self, texts: Sequence[str], language: str) -> list[Opinion | None]:
        """Return the opinion of each text; None where that one is refused."""
        async with _faults_translated():
            results = await self._client.analyze_sentiment(list(texts), language=language, **self._request)
        _check_any(results)
        return [None if isinstance(result, DocumentError) else _opinion(result) for result in results]

    async def key_phrases(self, texts: Sequence[str], language: str) -> list[str]:
        """Return what the texts are about, text by text."""
        async with _faults_translated():
            results = await self._client.extract_key_phrases(list(texts), language=language, **self._request)
        _check_any(results)
        return [
            phrase
            for result in results
            if not isinstance(result, DocumentError)
            for phrase in result.key_phrases
        ]

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _opinion(result: AnalyzeSentimentResult) -> Opinion:
    scores = result.confidence_scores
    return Opinion(Sentiment(result.sentiment), Scores(scores.positive, scores.neutral, scores.negative))


def _check_any(
    results: Sequence[AnalyzeSentimentResult | DocumentError]
    | Sequence[ExtractKeyPhrasesResult | DocumentError],
) -> None:
    """Raise `LanguageRefused` where no text was taken, as it is for a language that the service does not know."""
    refusals = [result for result in results if isinstance(result, DocumentError)]
    if len(refusals) == len(results):
        raise LanguageRefused(str(refusals[0].error.code))


@asynccontextmanager
async def _faults_translated() -> AsyncIterator[None]:
    """Turn what the SDK raises, and a lack of time, into our two errors; never with the SDK's text, which may quote."""
    try:
        async with asyncio.timeout(REQUEST_S):
            yield
    except HttpResponseError as error:
        status = error.status_code
        if status is None:
            # What Entra raises is of this kind, too.
            raise LanguageUnavailable("no token, or no answer") from None
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in MAY_PASS:
            raise LanguageUnavailable(f"answered {status}") from None
        raise LanguageRefused(f"answered {status}") from None
    except (AzureError, TimeoutError) as error:
        raise LanguageUnavailable(f"did not answer: {type(error).__name__}") from None
