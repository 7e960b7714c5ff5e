"""Calls answered of late are found by every process, on whichever side of a minute they were answered."""

from shared.adapters.answer_store import TableAnswerStore
from shared.core.ids import new_call_id


async def test_calls_answered_since_a_moment_are_found_across_the_minute(tables):
    store = TableAnswerStore(tables)
    answered = {new_call_id(): at for at in (1130.0, 1139.5, 1141.0, 1200.0)}
    for call_id, at in answered.items():
        await store.add(call_id, at)
    found = await store.since(1135.0)
    assert [found.get(call_id) for call_id in answered] == [None, 1139.5, 1141.0, 1200.0]
