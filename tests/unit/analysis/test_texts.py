"""What of a transcript is sent, in which texts; and how the answers come together in `analysis.json`."""

import json

import jsonschema_rs
import pytest

from media_gateway.agents.contract import Role
from media_gateway.analysis.service import Opinion, Scores, Sentiment
from media_gateway.analysis.texts import (
    ANALYSIS_SCHEMA,
    MAX_DOCUMENTS,
    MAX_KEY_PHRASES,
    MAX_PHRASES_CHARS,
    MAX_PIECE_CHARS,
    Piece,
    Said,
    TranscriptRead,
    analysis_document,
    is_of,
    pieces_of,
    read_transcript,
    requests,
    texts_for_phrases,
)
from media_gateway.recording.transcript import Kind
from tests.support.documentation import DOCS, blocks

GOOD = Opinion(Sentiment.POSITIVE, Scores(0.9, 0.1, 0.0))
BAD = Opinion(Sentiment.NEGATIVE, Scores(0.0, 0.2, 0.8))
SO_SO = Opinion(Sentiment.NEUTRAL, Scores(0.1, 0.8, 0.1))
TORN = Opinion(Sentiment.MIXED, Scores(0.5, 0.0, 0.5))


def example(page):
    """The first JSON of a page."""
    return next(block.text for block in blocks(DOCS / page) if block.info == "json")


def check(analysis):
    jsonschema_rs.validator_for(json.loads(ANALYSIS_SCHEMA.read_bytes())).validate(analysis)


def said(text, role=Role.CALLER, kind=Kind.SPEECH, at_ms=0):
    return Said(role, kind, at_ms, text)


def document(*opinions, phrases=(), roles=None):
    """The analysis of utterances of one letter each, with these opinions."""
    roles = roles or [Role.CALLER] * len(opinions)
    entries = [said("x", role, at_ms=1000 * number) for number, role in enumerate(roles)]
    transcript = TranscriptRead("call", "demo", "reception", entries, "ab" * 32)
    made = analysis_document(transcript, "en", zip(pieces_of(entries), opinions, strict=True), phrases)
    check(made)
    return made


def test_only_speech_that_was_heard_is_sent():
    entries = [
        said("My card, please"),
        said("4111", kind=Kind.DIGITS),
        said("", role=Role.AGENT),
        said(" Tell me your ", role=Role.AGENT),
    ]
    assert pieces_of(entries) == [Piece(0, "My card, please"), Piece(3, "Tell me your")]


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("word " * 399 + "word", [999, 999]),
        ("x" * 2500, [1000, 1000, 500]),
        ("x" * 1000, [1000]),
    ],
    ids=["words", "no spaces", "just fits"],
)
def test_a_long_utterance_is_cut_between_two_words_where_there_are_any(text, lengths):
    pieces = pieces_of([said(text)])
    assert all(len(piece.text) <= MAX_PIECE_CHARS for piece in pieces)
    assert "".join(piece.text for piece in pieces).replace(" ", "") == text.replace(" ", "")
    assert {piece.entry for piece in pieces} == {0}
    assert len(pieces) == -(-len(text) // MAX_PIECE_CHARS)
    assert all(set(piece.text.split()) <= {"word"} for piece in pieces) or " " not in text


def test_key_phrases_are_asked_of_few_long_texts_and_utterances_stay_whole():
    pieces = [Piece(number, str(number % 10) * 1000) for number in range(12)]
    texts = texts_for_phrases(pieces)
    assert [len(text) for text in texts] == [5004, 5004, 2001]
    assert all(len(text) <= MAX_PHRASES_CHARS for text in texts)
    assert "\n".join(texts).split("\n") == [piece.text for piece in pieces]


def test_a_request_has_as_many_texts_as_the_service_reads_without_holding_up_a_call():
    texts = [str(number) for number in range(2 * MAX_DOCUMENTS + 1)]
    assert [len(request) for request in requests(texts)] == [MAX_DOCUMENTS, MAX_DOCUMENTS, 1]
    assert [text for request in requests(texts) for text in request] == texts


def test_each_side_and_the_whole_call_are_summed_up():
    sentiment = document(GOOD, BAD, SO_SO, roles=[Role.CALLER, Role.AGENT, Role.CALLER])["sentiment"]
    assert sentiment["overall"]["sentiment"] == "mixed"
    assert sentiment["caller"] == {
        "sentiment": "positive",
        "scores": {"positive": 0.5, "neutral": 0.45, "negative": 0.05},
        "utterances": {"positive": 1, "neutral": 1, "negative": 0, "mixed": 0},
    }
    assert sentiment["agent"]["sentiment"] == "negative"


@pytest.mark.parametrize(
    ("opinions", "sentiment"),
    [
        ([SO_SO, SO_SO], "neutral"),
        ([SO_SO, GOOD], "positive"),
        ([BAD, SO_SO], "negative"),
        ([GOOD, BAD], "mixed"),
        ([SO_SO, TORN], "mixed"),
        ([GOOD, TORN], "mixed"),
    ],
)
def test_utterances_make_a_sentiment_as_sentences_do_with_the_service(opinions, sentiment):
    assert document(*opinions)["sentiment"]["overall"]["sentiment"] == sentiment


def test_parts_of_a_long_utterance_make_one_opinion_weighed_by_length():
    entries = [said("a" * 1000 + " " + "b" * 500)]
    transcript = TranscriptRead("call", "demo", "reception", entries)
    made = analysis_document(transcript, "en", zip(pieces_of(entries), (GOOD, BAD), strict=True), ())
    assert made["utterances"] == [
        {
            "entry": 0,
            "role": "caller",
            "start_ms": 0,
            "sentiment": "mixed",
            "scores": {"positive": 0.6, "neutral": 0.13, "negative": 0.27},
        }
    ]


def test_an_utterance_without_an_opinion_is_left_out_and_the_others_keep_their_places():
    made = document(GOOD, None, BAD)
    assert [utterance["entry"] for utterance in made["utterances"]] == [0, 2]
    assert made["sentiment"]["overall"]["utterances"] == {
        "positive": 1,
        "neutral": 0,
        "negative": 1,
        "mixed": 0,
    }


def test_of_a_silent_call_nothing_is_said():
    made = document()
    assert made["sentiment"] == {"overall": None, "caller": None, "agent": None}
    assert (made["utterances"], made["key_phrases"]) == ([], [])


def test_key_phrases_come_once_as_they_came_first():
    made = document(phrases=["Credit card", "branch", "credit card", "Branch", "limit"])
    assert (made["key_phrases"], made["key_phrases_left_out"]) == (["Credit card", "branch", "limit"], 0)


def test_key_phrases_past_the_limit_are_counted():
    made = document(phrases=map(str, range(MAX_KEY_PHRASES + 7)))
    assert made["key_phrases"] == [str(number) for number in range(MAX_KEY_PHRASES)]
    assert made["key_phrases_left_out"] == 7


def test_transcripts_are_read_as_they_are_written():
    transcript = read_transcript(example("recording.md").encode())
    assert (transcript.account, transcript.profile) == ("demo", "reception")
    assert [piece.text for piece in pieces_of(transcript.entries)] == ["My card, please", "Tell me your"]


def test_the_schema_is_one_itself_and_the_page_shows_what_it_says():
    jsonschema_rs.meta.validate(json.loads(ANALYSIS_SCHEMA.read_bytes()))
    check(json.loads(example("analysis.md")))


def test_an_analysis_tells_of_which_transcript_it_is():
    data = example("recording.md").encode()
    transcript = read_transcript(data)
    analysis = json.dumps(analysis_document(transcript, "en", (), ())).encode()
    assert is_of(analysis, transcript)
    assert not is_of(analysis, read_transcript(data + b" "))
