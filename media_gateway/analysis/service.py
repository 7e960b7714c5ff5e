"""What is asked of a service that reads texts, and what it answers; `language.py` asks Azure AI Language."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class Sentiment(StrEnum):
    """What somebody feels who says something."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"
    MIXED = "mixed"
    """Both positive and negative."""


class Scores(Struct, frozen=True):
    """How sure the service is of each, 0 to 1; together 1."""

    positive: float
    neutral: float
    negative: float


class Opinion(Struct, frozen=True):
    """The sentiment of a text."""

    sentiment: Sentiment
    scores: Scores


class LanguageUnavailable(Exception):
    """The service did not answer, or is busy: the same may succeed later. The text holds nothing of what was sent."""


class LanguageRefused(Exception):
    """The service refuses what it is asked, and will again. The text holds nothing of what was sent."""


class LanguageService(Protocol):
    """Reads texts, at most `MAX_DOCUMENTS` at once, none of them empty; keeps none.

    Both methods raise `LanguageUnavailable` and `LanguageRefused`: the latter also where each of the texts is refused.
    """

    async def opinions(self, texts: Sequence[str], language: str) -> list[Opinion | None]:
        """Return the opinion of each text; None where that one is refused."""

    async def key_phrases(self, texts: Sequence[str], language: str) -> list[str]:
        """Return what the texts are about, text by text."""
