"""From a transcript to the texts that are sent, and from what is answered to `analysis.json`. Pure.

Only words are sent that were spoken and heard: no keys, nothing of what an agent was not let say, and nothing that was
said while the recording was paused, for that is not in the transcript.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from media_gateway.agents.contract import Role
from media_gateway.analysis.service import Opinion, Scores, Sentiment
from media_gateway.recording.transcript import Kind

Document: TypeAlias = dict[str, Any]

VERSION = 1
"""Of `analysis.json`; raised when a member changes its meaning or goes."""
ANALYSIS_SCHEMA = Path(__file__).with_name("analysis.schema.json")
MAX_PIECE_CHARS = 1000
"""Of one text whose sentiment is asked for: what is longer is cut between two words. The service takes 5,120 and counts
a thousand as one, so that shorter ones cost no more; and the time to read an answer grows with its sentences."""
MAX_PHRASES_CHARS = 5120
"""Of one text whose key phrases are asked for: all that the service takes. It counts text elements, of which there are
never more than characters."""
MAX_DOCUMENTS = 5
"""Texts of one request. The service takes 10; the SDK reads their answer on the event loop, 0.2 ms for each."""
MAX_KEY_PHRASES = 100
"""Kept of one call; further ones are counted."""
SCORE_DIGITS = 2
"""As the service itself gives them."""


class Said(Struct, frozen=True):
    """An entry of `transcript.json`, as far as it matters here."""

    role: Role
    kind: Kind
    start_ms: int
    heard_text: str


class TranscriptRead(Struct, frozen=True):
    """A `transcript.json`."""

    call_id: str
    account: str
    profile: str
    entries: Sequence[Said]
    sha256: str = ""
    """Of the file, in hexadecimal digits: a recording may be made anew, of more parts."""


class _AnalysisRead(Struct, frozen=True):
    transcript_sha256: str


class Piece(NamedTuple):
    """A text whose sentiment is asked for: an utterance, or a part of a long one."""

    entry: int
    """Its index among the transcript's."""
    text: str


def read_transcript(data: bytes) -> TranscriptRead:
    """Return a `transcript.json`.

    Raises:
        msgspec.DecodeError: it is none.
    """
    transcript = msgspec.json.decode(data, type=TranscriptRead)
    return msgspec.structs.replace(transcript, sha256=hashlib.sha256(data).hexdigest())


def is_of(analysis: bytes, transcript: TranscriptRead) -> bool:
    """Whether an `analysis.json` is one of this transcript.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return msgspec.json.decode(analysis, type=_AnalysisRead).transcript_sha256 == transcript.sha256


def pieces_of(entries: Iterable[Said]) -> list[Piece]:
    """Return all that was said and heard, in order."""
    return [
        Piece(number, text)
        for number, entry in enumerate(entries)
        if entry.kind is Kind.SPEECH
        for text in _cut(entry.heard_text.strip())
    ]


def requests(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in requests of `MAX_DOCUMENTS`."""
    for first in range(0, len(texts), MAX_DOCUMENTS):
        yield texts[first : first + MAX_DOCUMENTS]


def texts_for_phrases(pieces: Iterable[Piece]) -> list[str]:
    """Return the same words in as few texts as they fit in: what is talked about shows in the whole."""
    texts: list[str] = []
    for piece in pieces:
        if texts and len(texts[-1]) + 1 + len(piece.text) <= MAX_PHRASES_CHARS:
            texts[-1] += f"\n{piece.text}"
        else:
            texts.append(piece.text)
    return texts


def analysis_document(
    transcript: TranscriptRead,
    language: str,
    opinions: Iterable[tuple[Piece, Opinion | None]],
    phrases: Iterable[str],
) -> Document:
    """Return `analysis.json`.

    Args:
        transcript: That was analysed.
        language: In which it was taken to be.
        opinions: Of each piece; None where the service had none.
        phrases: As they came, in order.
    """
    of_entries: dict[int, list[_Weighed]] = {}
    for piece, opinion in opinions:
        if opinion is not None:
            of_entries.setdefault(piece.entry, []).append(_Weighed(opinion, len(piece.text)))
    utterances = {
        number: _Weighed(_merged(parts), sum(part.chars for part in parts))
        for number, parts in of_entries.items()
    }
    kept: dict[str, str] = {}
    for phrase in phrases:
        kept.setdefault(phrase.casefold(), phrase)
    return {
        "version": VERSION,
        "call_id": transcript.call_id,
        "account": transcript.account,
        "profile": transcript.profile,
        "transcript_sha256": transcript.sha256,
        "language": language,
        "sentiment": {
            "overall": _summary(utterances.values()),
            **{
                role.value: _summary(
                    utterance
                    for number, utterance in utterances.items()
                    if transcript.entries[number].role is role
                )
                for role in (Role.CALLER, Role.AGENT)
            },
        },
        "key_phrases": [*kept.values()][:MAX_KEY_PHRASES],
        "key_phrases_left_out": max(0, len(kept) - MAX_KEY_PHRASES),
        "utterances": [
            {
                "entry": number,
                "role": transcript.entries[number].role.value,
                "start_ms": transcript.entries[number].start_ms,
                **_shown(utterance.opinion),
            }
            for number, utterance in utterances.items()
        ],
    }


class _Weighed(NamedTuple):
    opinion: Opinion
    chars: int


def _merged(parts: Sequence[_Weighed]) -> Opinion:
    """Return the opinion of several texts together.

    By the rule by which the service takes the sentences of a text together: positive and negative ones make it mixed,
    and neutral ones count only where there are no others. Scores are means, weighed by length.
    """
    found = {part.opinion.sentiment for part in parts} - {Sentiment.NEUTRAL}
    sentiment = Sentiment.MIXED if len(found) > 1 else next(iter(found), Sentiment.NEUTRAL)
    chars = sum(part.chars for part in parts)
    means = (
        sum(getattr(part.opinion.scores, name) * part.chars for part in parts) / chars
        for name in Scores.__struct_fields__
    )
    return Opinion(sentiment, Scores(*means))


def _summary(utterances: Iterable[_Weighed]) -> Document | None:
    """Return the sentiment of a side; None where it said nothing."""
    utterances = list(utterances)
    if not utterances:
        return None
    counts = Counter(utterance.opinion.sentiment for utterance in utterances)
    return {
        **_shown(_merged(utterances)),
        "utterances": {sentiment.value: counts[sentiment] for sentiment in Sentiment},
    }


def _shown(opinion: Opinion) -> Document:
    scores = msgspec.structs.asdict(opinion.scores)
    return {
        "sentiment": opinion.sentiment.value,
        "scores": {name: round(score, SCORE_DIGITS) for name, score in scores.items()},
    }


def _cut(text: str) -> Iterator[str]:
    """Yield a text in pieces of `MAX_PIECE_CHARS` at most, cut between two words where there are any."""
    while len(text) > MAX_PIECE_CHARS:
        end = text.rfind(" ", 0, MAX_PIECE_CHARS + 1)
        piece = text[: end if end > 0 else MAX_PIECE_CHARS]
        yield piece.rstrip()
        text = text[len(piece) :].lstrip()
    if text:
        yield text
