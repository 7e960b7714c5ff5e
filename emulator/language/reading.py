"""How texts are read: by lists of words, so that whoever writes a text knows what comes of it.

The service has models; what it has in common with this is the shape of its answers, and the rule by which sentences
make the sentiment of a text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LANGUAGES: Final = frozenset(
    {"ar", "da", "de", "en", "es", "fi", "fr", "hi", "it", "ja", "ko", "nl", "no", "pl", "pt-br", "pt-pt", "sv", "tr",
     "zh-hans", "zh-hant"}
)  # fmt: skip
"""Some of those that the service knows; in each, only the words below mean anything here."""

POSITIVE: Final = frozenset(
    {"excellent", "glad", "good", "great", "happy", "love", "perfect", "thanks", "wonderful"}
)
NEGATIVE: Final = frozenset(
    {"angry", "awful", "bad", "broken", "hate", "late", "terrible", "wrong", "useless"}
)
FILLERS: Final = frozenset(
    {"about", "again", "could", "from", "have", "hello", "help", "here", "just", "know", "please", "that", "their",
     "then", "there", "they", "this", "very", "want", "were", "what", "when", "where", "which", "will", "with", "would",
     "your"}
)  # fmt: skip
"""Longer words that say nothing of what a text is about."""

MIN_TELLING_LETTERS: Final = 4
_SURE: Final[Mapping[str, Mapping[str, float]]] = {
    "positive": {"positive": 0.9, "neutral": 0.08, "negative": 0.02},
    "neutral": {"positive": 0.1, "neutral": 0.85, "negative": 0.05},
    "negative": {"positive": 0.02, "neutral": 0.08, "negative": 0.9},
}
_SENTENCE = re.compile(r"[^.!?\s][^.!?\n]*[.!?]*")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Sentence:
    """A sentence of a text, and what is felt in it: `positive`, `neutral` or `negative`."""

    text: str
    offset: int
    sentiment: str

    def shown(self) -> dict[str, Any]:
        """As the service shows it."""
        return {
            "sentiment": self.sentiment,
            "confidenceScores": _SURE[self.sentiment],
            "offset": self.offset,
            "length": len(self.text),
            "text": self.text,
        }


def sentiment_of(text: str) -> dict[str, Any]:
    """Sentiment, scores and sentences of a text that is not blank, as the service shows them."""
    sentences = [_sentence(found.group().strip(), found.start()) for found in _SENTENCE.finditer(text)]
    found = {sentence.sentiment for sentence in sentences} - {"neutral"}
    scores = [_SURE[sentence.sentiment] for sentence in sentences] or [_SURE["neutral"]]
    return {
        "sentiment": "mixed" if len(found) > 1 else next(iter(found), "neutral"),
        "confidenceScores": {
            name: round(sum(each[name] for each in scores) / len(scores), 2) for name in _SURE["neutral"]
        },
        "sentences": [sentence.shown() for sentence in sentences],
    }


def key_phrases_of(text: str) -> list[str]:
    """What a text is about: each run of telling words, once."""
    phrases: dict[str, None] = {}
    for sentence in _SENTENCE.finditer(text):
        run: list[str] = []
        for word in [*_WORD.findall(sentence.group()), ""]:
            if len(word) >= MIN_TELLING_LETTERS and word.casefold() not in FILLERS | POSITIVE | NEGATIVE:
                run.append(word)
            elif run:
                phrases[" ".join(run)] = None
                run = []
    return list(phrases)


def _sentence(text: str, offset: int) -> Sentence:
    words = {word.casefold() for word in _WORD.findall(text)}
    good, bad = len(words & POSITIVE), len(words & NEGATIVE)
    sentiment = "neutral" if good == bad else "positive" if good > bad else "negative"
    return Sentence(text, offset, sentiment)
