"""Finished calls are analysed once; what is away is asked again, and a failure leaves the result as it is."""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from media_gateway.analysis import analyst as module
from media_gateway.analysis.analyst import TRIES, Analyst
from media_gateway.analysis.service import LanguageRefused, LanguageUnavailable
from media_gateway.recording.parts import CallFolder
from shared.core.profiles import Analysis
from shared.errors import StoreUnavailable
from tests.support.analysis import Reader
from tests.support.recording import MemoryBlobs

ENGLISH = Analysis("en")
WORDS = "I love it"


@pytest.fixture
def blobs():
    return MemoryBlobs()


@pytest.fixture
def reader():
    return Reader()


@pytest.fixture
def counters():
    return Counter()


@pytest.fixture
def analyst(blobs, reader, counters):
    return Analyst(blobs, reader, counters, retry_s=0.001)


@asynccontextmanager
async def at_work(analyst):
    working = asyncio.create_task(analyst.run())
    yield
    working.cancel()
    await asyncio.wait((working,))


async def analysed(analyst, *folders):
    async with at_work(analyst):
        for folder in folders:
            analyst.submit(folder)
        await analyst.finished()


async def finished_call(blobs, analyst, name="call", text=WORDS):
    """A call with one utterance that is finished, and wants to be analysed."""
    folder = CallFolder("demo", "2026-11-24", name)
    entry = {"role": "caller", "kind": "speech", "text": text, "start_ms": 0, "heard_text": text}
    transcript = {"call_id": name, "account": "demo", "profile": "reception", "entries": [entry]}
    blobs.blobs[f"{folder}/transcript.json"] = json.dumps(transcript).encode()
    await analyst.want(folder, ENGLISH)
    return folder


def analysis_of(blobs, folder):
    return json.loads(blobs.blobs[f"{folder}/analysis.json"])


def marks(blobs):
    return [name for name in blobs.blobs if name.startswith("unfinished/")]


async def test_a_finished_call_is_analysed_and_then_nothing_is_left_to_do(blobs, analyst, reader, counters):
    folder = await finished_call(blobs, analyst)
    await analysed(analyst, folder)
    made = analysis_of(blobs, folder)
    assert (made["call_id"], made["language"], made["key_phrases"]) == ("call", "en", [f"phrase of {WORDS}"])
    assert made["sentiment"]["caller"]["sentiment"] == "positive"
    assert reader.asked == [([WORDS], "en")]
    assert marks(blobs) == []
    assert counters == {"analyses_made": 1}


async def test_it_is_asked_for_once(blobs, analyst, reader):
    folder = await finished_call(blobs, analyst)
    await analysed(analyst, folder, folder)
    await analyst.want(folder, ENGLISH)  # by another process, that was finalising the same call
    await analysed(analyst, folder)
    assert len(reader.asked) == 1
    assert marks(blobs) == []


async def test_a_recording_that_was_made_anew_is_analysed_anew(blobs, analyst, reader):
    folder = await finished_call(blobs, analyst)
    await analysed(analyst, folder)
    await finished_call(blobs, analyst, text="I love it still")
    await analysed(analyst, folder)
    assert analysis_of(blobs, folder)["key_phrases"] == ["phrase of I love it still"]
    assert len(reader.asked) == 2


async def test_a_call_that_does_not_want_it_is_left_alone(blobs, analyst, reader):
    folder = await finished_call(blobs, analyst)
    blobs.blobs.pop(marks(blobs)[0])
    await analysed(analyst, folder)
    assert reader.asked == []


async def test_where_nobody_was_heard_nobody_is_asked(blobs, analyst, reader):
    folder = await finished_call(blobs, analyst, text="")
    await analysed(analyst, folder)
    assert reader.asked == []
    assert analysis_of(blobs, folder)["sentiment"]["overall"] is None


async def test_a_service_that_is_away_is_asked_again_after_the_others(blobs, analyst, reader, counters):
    folders = [await finished_call(blobs, analyst, name, name) for name in ("first", "second")]
    reader.faults = [LanguageUnavailable("answered 503")]
    await analysed(analyst, *folders)
    assert [texts for texts, _ in reader.asked] == [["first"], ["second"], ["first"]]
    assert counters == {"analyses_made": 2}


async def test_after_some_tries_the_result_stays_without(blobs, analyst, reader, counters, caplog):
    folder = await finished_call(blobs, analyst)
    reader.faults = [LanguageUnavailable("answered 503")] * TRIES
    await analysed(analyst, folder)
    assert len(reader.asked) == TRIES
    assert f"{folder}/analysis.json" not in blobs.blobs
    assert marks(blobs) == []
    assert counters == {"analyses_failed": 1}
    assert [record.fault for record in caplog.records] == ["answered 503"]


async def test_a_call_that_takes_too_long_is_one_that_failed(
    blobs, analyst, reader, counters, monkeypatch, caplog
):
    monkeypatch.setattr(module, "CALL_S", 0.005)
    folder = await finished_call(blobs, analyst)

    async def hang(texts, language):
        await asyncio.Event().wait()

    reader.opinions = hang
    await analysed(analyst, folder)
    assert counters == {"analyses_failed": 1}
    assert [record.fault for record in caplog.records] == ["out of time"]


async def test_what_is_refused_is_not_asked_again_and_told_once(blobs, analyst, reader, counters, caplog):
    folders = [await finished_call(blobs, analyst, name) for name in ("first", "second", "third")]
    reader.faults = [LanguageRefused("answered 403"), LanguageRefused("answered 403")]
    await analysed(analyst, *folders)
    assert counters == {"analyses_refused": 2, "analyses_made": 1}
    assert marks(blobs) == []
    assert caplog.text.count("refuses to analyse") == 1


async def test_a_fault_of_ours_concerns_one_call_and_quotes_nothing(blobs, analyst, reader, counters, caplog):
    folders = [await finished_call(blobs, analyst, name) for name in ("first", "second")]
    reader.faults = [ValueError(WORDS)]
    await analysed(analyst, *folders)
    assert counters == {"analyses_failed": 1, "analyses_made": 1}
    assert [record.fault for record in caplog.records] == ["ValueError"]
    assert WORDS not in caplog.text


async def test_however_long_storage_is_away_the_call_is_analysed_in_the_end(blobs, analyst, counters):
    folder = await finished_call(blobs, analyst)
    blobs.is_away = True
    async with at_work(analyst):
        analyst.submit(folder)
        await asyncio.sleep(0.01)
        assert counters == {}
        blobs.is_away = False
        await analyst.finished()
    assert counters == {"analyses_made": 1}


async def test_what_storage_refuses_is_given_up(blobs, analyst, counters):
    folder = await finished_call(blobs, analyst)
    blobs.refuses = {f"{folder}/analysis.json"}
    await analysed(analyst, folder)
    assert counters == {"analyses_failed": 1}
    assert marks(blobs) == []


async def test_a_mark_that_storage_keeps_holds_up_none(blobs, analyst, reader, counters, caplog):
    folders = [await finished_call(blobs, analyst, name) for name in ("first", "second")]
    reader.faults = [LanguageRefused("answered 403")]
    real, tries = blobs.delete, []

    async def delete(names):
        tries.append(names)
        if len(tries) == 1:
            raise StoreUnavailable("away")
        await real(names)

    blobs.delete = delete
    await analysed(analyst, *folders)
    assert len(marks(blobs)) == 1
    assert counters["analyses_made"] == 1
    assert "stays marked" in caplog.text


async def test_calls_past_the_limit_are_left_to_others_and_counted(blobs, reader, counters, monkeypatch):
    monkeypatch.setattr(module, "WAITING_CALLS", 1)
    analyst = Analyst(blobs, reader, counters)
    folders = [await finished_call(blobs, analyst, name) for name in ("first", "second")]
    await analysed(analyst, *folders)
    assert counters == {"analyses_made": 1, "analyses_not_made": 1}
    assert len(marks(blobs)) == 1


async def test_without_a_service_what_is_wanted_is_counted_and_told_once(blobs, counters, caplog):
    analyst = Analyst(blobs, None, counters)
    folders = [await finished_call(blobs, analyst, name) for name in ("first", "second")]
    for folder in folders:
        analyst.submit(folder)
    await analyst.run()
    await analyst.finished()
    assert counters == {"analyses_not_made": 2}
    assert marks(blobs) == []
    assert caplog.text.count("LANGUAGE_ENDPOINT is not set") == 1
