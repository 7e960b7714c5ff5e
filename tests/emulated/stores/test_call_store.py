"""A call's row survives every writer, and each callback is kept once."""

import asyncio
import uuid
from dataclasses import replace

import pytest

from shared.acs.shapes import MAX_TEXT_CHARS
from shared.adapters.call_store import StoredEvent, TableCallStore
from shared.adapters.connect import LocalCredential
from shared.adapters.slot_store import TableSlotStore
from shared.adapters.tables import MAX_JSON_BYTES, open_tables
from shared.config import StorageSettings
from shared.core.call import advance, bind_connection
from shared.core.call_state import CallEvent, CallState
from shared.core.callbacks import AcsResult
from shared.core.ids import new_call_id
from shared.core.ownership import MediaClaim, take_ownership
from shared.core.profiles import AgentProfile, AudioFormat, ScriptAgent, ScriptStep
from shared.core.variables import within_limits
from shared.errors import BodyTooLarge, NotFound, StoreUnavailable
from tests.support.records import CONNECTION_ID, call_record


@pytest.fixture
def store(tables):
    return TableCallStore(tables, TableSlotStore(tables))


async def test_a_call_comes_back_as_it_was_written(store):
    menu = ScriptAgent(greeting="hello.wav", on_digit={"#": ScriptStep(end=True)})
    record = call_record(
        profile=AgentProfile(name="menu", agent=menu, audio_format=AudioFormat.PCM16K),
        variables={"sessionRef": "\u00e9" * 20_000, "empty": ""},
        media_grant_until=1016.5,
        return_to="8:acs:ivr",
        task="renewal",
    )
    record = advance(bind_connection(record, CONNECTION_ID), CallEvent.MEDIA_STARTED, 1001.0)
    record = advance(record, CallEvent.CALL_DISCONNECTED, 1002.0, AcsResult(500, 560503, 503))
    assert await store.create(record)
    assert await store.get(record.call_id) == record
    assert not await store.create(record)


async def test_no_change_is_lost_among_many_writers(store):
    record = call_record()
    await store.create(record)

    def one_more(found):
        return replace(found, history_dropped=found.history_dropped + 1)

    await asyncio.gather(*(store.change(record.call_id, one_more) for _ in range(8)))
    found = await store.get(record.call_id)
    assert found is not None
    assert found.history_dropped == 8


async def test_of_many_sockets_at_once_one_takes_the_call(store):
    record, claim = call_record(), MediaClaim("demo", "jti-1", CONNECTION_ID)
    await store.create(record)

    async def take(pod):
        return await store.change(
            record.call_id,
            lambda found: take_ownership(found, claim, pod=pod, now=1001.0, is_owner_dead=False),
        )

    taken = await asyncio.gather(*(take(f"pod-{n}") for n in range(6)), return_exceptions=True)
    winners = [item for item in taken if not isinstance(item, Exception)]
    assert len(winners) == 1
    found = await store.get(record.call_id)
    assert found is not None
    assert (found.owner, found.epoch, found.state) == (winners[0].owner, 1, CallState.ANSWERING)


async def test_a_call_that_is_not_there_is_not_changed(store):
    assert await store.get(new_call_id()) is None
    with pytest.raises(NotFound):
        await store.change(new_call_id(), lambda record: record)


async def test_each_callback_is_kept_once_and_in_the_order_of_its_time(store):
    call_id = new_call_id()
    late = StoredEvent(str(uuid.uuid4()), "CallDisconnected", 1002.0, {"a": [1, None]})
    early = StoredEvent("odd/#?\\ id", "CallConnected", 1001.0, {"text": "x" * 70_000})
    assert [await store.append_event(call_id, event) for event in (late, early, late)] == [True, True, False]
    assert await store.events(call_id) == [early, late]


async def test_data_that_fits_no_row_is_refused_for_good_and_the_longest_that_does_is_kept(store):
    call_id = new_call_id()
    longest = {"text": "x" * (MAX_JSON_BYTES - len('{"text":""}'))}
    too_long = {"text": longest["text"] + "x"}
    assert await store.append_event(call_id, StoredEvent("1", "Long", 1001.0, longest))
    with pytest.raises(BodyTooLarge):
        await store.append_event(call_id, StoredEvent("2", "Longer", 1002.0, too_long))
    assert [event.event_id for event in await store.events(call_id)] == ["1"]


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
async def test_a_call_with_the_longest_of_everything_fits_its_row(store):
    headers = {f"{number:064}": "\x01" * 1024 for number in range(100)}
    wide = "\U0001f600" * MAX_TEXT_CHARS
    record = call_record(
        caller=wide,
        called=wide,
        correlation_id=wide,
        server_call_id=wide,
        call_connection_id=wide,
        variables=within_limits(headers),
    )
    assert await store.create(record)
    assert await store.get(record.call_id) == record


async def test_storage_that_is_away_is_a_temporary_fault(unused_tcp_port):
    gone = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5;"
        f"TableEndpoint=http://127.0.0.1:{unused_tcp_port}/devstoreaccount1;"
    )
    async with open_tables(StorageSettings(None, gone), LocalCredential()) as service:
        with pytest.raises(StoreUnavailable):
            await TableCallStore(service, TableSlotStore(service)).get(new_call_id())
