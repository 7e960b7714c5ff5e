"""What is old goes, in pages, whole, and only if nobody writes it any more."""

import asyncio
import time
from collections import Counter
from dataclasses import replace

import msgspec
import pytest

from shared.adapters import tables
from shared.adapters.call_store import StoredEvent
from shared.adapters.tables import DELETED_AT_ONCE
from shared.core.call import CallTimes
from shared.core.call_state import CallState
from shared.core.profiles import Recording, ScriptAgent
from shared.core.upkeep import DAY_S, KEPT_S, KEPT_VERSIONS
from shared.errors import NotFound
from shared.gateway_document import stored_name
from tests.emulated.upkeep.conftest import NOW, beat, call_id_at
from tests.support.records import ECHO, call_record, claim

HOUR_S = 3600.0


async def did(part):
    """What a part counts."""
    done = Counter()
    await part(done)
    return dict(+done)


async def recorded(connections, folder, *names):
    for name in names or ("recording.flac", "transcript.json", "call.json"):
        await connections.recordings.put(f"{folder}/{name}", b"x")


async def test_claims_go_a_day_after_they_were_last_written(connections, retention, clock):
    mine = claim()
    await connections.claims.insert(mine)
    await connections.claims.index_event(mine.event_id, mine.key)
    assert await connections.claims.may_redirect("journey", mine.call_id)
    clock.now = time.time() + 24 * HOUR_S - 60
    assert await did(retention().expire_claims) == {}
    clock.now += 120
    assert await did(retention().expire_claims) == {"claims": 3}
    assert await connections.claims.read(mine.key) is None


async def test_a_row_that_is_written_while_it_is_deleted_stays(connections, retention, clock, monkeypatch):
    mine = claim()
    etag = await connections.claims.insert(mine)
    delete = tables.in_turns

    async def meanwhile_written(work, rows, **options):
        if rows:
            assert await connections.claims.replace(replace(mine, attempts=2), etag)
        return await delete(work, rows, **options)

    monkeypatch.setattr(tables, "in_turns", meanwhile_written)
    clock.now = time.time() + 25 * HOUR_S
    assert await did(retention().expire_claims) == {}
    assert (await connections.claims.read(mine.key))[0].attempts == 2


async def test_answers_and_silent_pods_go_as_claims_do(connections, retention):
    for age_h in (23, 25):
        await connections.answers.add(f"call-{age_h}", NOW - age_h * HOUR_S)
        await connections.pods.beat(beat(f"pod-{age_h}", NOW - age_h * HOUR_S))
    assert await did(retention().expire_claims) == {"answers": 1, "pods": 1}
    assert list(await connections.answers.since(0)) == ["call-23"]
    assert [pod.name for pod in await connections.pods.since(0)] == ["pod-23"]


async def test_old_calls_go_with_their_callbacks_and_newer_ones_stay(connections, retention):
    for days in (29, 31):
        record = call_record(CallState.ENDED, call_id=call_id_at(NOW - days * DAY_S))
        await connections.calls.create(record)
        for number in range(2):
            event = StoredEvent(str(number), "CallConnected", 1.0, {})
            await connections.calls.append_event(record.call_id, event)
    expire = retention(CALL_RETENTION_DAYS="30").expire_calls
    assert await did(expire) == {"calls": 1, "call_events": 2}
    assert await connections.calls.get(call_id_at(NOW - 31 * DAY_S)) is None
    assert await connections.calls.get(call_id_at(NOW - 29 * DAY_S)) is not None
    assert len(await connections.calls.events(call_id_at(NOW - 29 * DAY_S))) == 2


async def test_any_number_of_rows_goes_page_by_page_two_runs_at_once_and_one_that_is_killed(
    connections, retention, clock
):
    count = 5 * DELETED_AT_ONCE + 1
    await asyncio.gather(*(connections.answers.add(f"call-{n}", 0.0) for n in range(count)))
    killed = connections.answers.expire(NOW)
    assert await anext(killed) == DELETED_AT_ONCE
    await killed.aclose()
    expire = retention().expire_claims
    both = await asyncio.gather(did(expire), did(expire))
    assert max(done["answers"] for done in both) <= count - DELETED_AT_ONCE
    assert await connections.answers.since(-60) == {}


async def test_finished_recordings_go_when_their_day_is_long_enough_ago(connections, retention):
    # 1_800_000_000 is 2027-01-15, 08:00.
    for day in ("2027-01-04", "2027-01-05", "2027-01-15", "no-day"):
        await recorded(connections, f"demo/{day}/call-1")
    await recorded(connections, "other/2026-01-01/call-2")
    assert await did(retention().expire_recordings) == {}
    assert await did(retention(RECORDING_RETENTION_DAYS="10").expire_recordings) == {"recordings": 2}
    left = {name.split("/")[1] for name in await connections.recordings.names("")}
    assert left == {"2027-01-05", "2027-01-15", "no-day"}


async def test_a_recording_that_is_not_finished_stays_and_is_counted(connections, retention):
    await recorded(connections, "demo/2026-01-01/begun", "recording.flac", "transcript.json")
    await recorded(connections, "demo/2026-01-01/late-part")
    await recorded(
        connections, "unfinished/demo/2026-01-01/late-part", "parts/0001/000000000000-000000000001.wav"
    )
    await recorded(
        connections, "unfinished/demo/2026-01-01/only-parts", "parts/0001/000000000000-000000000001.wav"
    )
    before = await connections.recordings.names("")
    assert await did(retention(RECORDING_RETENTION_DAYS="1").expire_recordings) == {"recordings_left": 2}
    assert await connections.recordings.names("") == before


async def test_a_deletion_that_broke_off_goes_on(connections, retention, monkeypatch):
    await recorded(connections, "demo/2026-01-01/call-1")
    delete = connections.recordings.delete

    async def broken_off(names):
        await delete(names[:1])
        raise asyncio.CancelledError

    expire = retention(RECORDING_RETENTION_DAYS="1").expire_recordings
    monkeypatch.setattr(connections.recordings, "delete", broken_off)
    with pytest.raises(asyncio.CancelledError):
        await did(expire)
    monkeypatch.undo()
    assert len(await connections.recordings.names("")) == 2
    assert await did(expire) == {"recordings": 1}
    assert await connections.recordings.names("") == []


async def pushed(connections, count):
    """Push versions; the n-th names the sound `sound(n)`."""
    for number in range(1, count + 1):
        await connections.sounds.put(sound(number), b"RIFF")
        document = msgspec.json.encode({"greeting": sound(number)})
        await connections.profiles.use(
            await connections.profiles.add(document, profiles=1, routes=1),
            await connections.profiles.current(),
        )


def sound(number):
    return stored_name(str(number).encode())


async def versions(connections):
    return [version.number for version in await connections.profiles.versions()]


async def sounds(connections):
    return {entry.name for entry in await connections.sounds.all()}


async def test_old_versions_and_the_sounds_that_only_they_name_go(connections, retention, clock):
    count = KEPT_VERSIONS + 4
    await pushed(connections, count)
    await connections.profiles.use(2, await connections.profiles.current())
    clock.now = time.time() + KEPT_S - 60
    assert await did(retention().prune_profiles) == {}
    clock.now += 120
    assert await did(retention().prune_profiles) == {"versions": 3, "sounds": 3}
    kept = [2, *range(5, count + 1)]
    assert await versions(connections) == kept
    assert await sounds(connections) == {sound(number) for number in kept}
    assert [(v.profiles, v.routes) for v in await connections.profiles.versions()] == [(1, 1)] * len(kept)


async def test_a_sound_that_an_open_call_was_begun_with_stays_until_it_is_over(connections, retention, clock):
    await pushed(connections, 1)
    for number in (2, 3):
        await connections.sounds.put(sound(number), b"RIFF")
    clock.now = time.time() + KEPT_S + 60
    profile = msgspec.structs.replace(
        ECHO, agent=ScriptAgent(greeting=sound(2)), recording=Recording(announcement=sound(3))
    )
    record = call_record(
        CallState.STREAMING,
        call_id=call_id_at(clock.now - HOUR_S),
        times=CallTimes(created=clock.now - HOUR_S),
        profile=profile,
    )
    await connections.calls.create(record)
    assert await did(retention().prune_profiles) == {}
    await connections.calls.change(record.call_id, lambda r: replace(r, state=CallState.ENDED))
    assert await did(retention().prune_profiles) == {"sounds": 2}
    assert await sounds(connections) == {sound(1)}


async def test_what_is_put_in_force_or_pushed_again_meanwhile_stays(
    connections, retention, clock, monkeypatch
):
    await pushed(connections, KEPT_VERSIONS + 2)
    await connections.sounds.put(sound(0), b"RIFF")
    clock.now = time.time() + KEPT_S + 60
    listed_versions, listed_sounds = connections.profiles.versions, connections.sounds.all

    async def then_used():
        found = await listed_versions()
        await connections.profiles.use(1, await connections.profiles.current())
        return found

    async def then_pushed():
        found = await listed_sounds()
        await connections.sounds.put(sound(0), b"RIFF")
        return found

    monkeypatch.setattr(connections.profiles, "versions", then_used)
    monkeypatch.setattr(connections.sounds, "all", then_pushed)
    assert await did(retention().prune_profiles) == {"versions": 1, "sounds": 1}
    monkeypatch.undo()
    assert await connections.profiles.document(1)
    with pytest.raises(NotFound):
        await connections.profiles.document(2)
    assert sound(0) in await sounds(connections)


async def test_with_no_version_in_force_nothing_is_pruned(connections, retention, clock):
    await connections.sounds.put(sound(0), b"RIFF")
    clock.now = time.time() + KEPT_S + 60
    assert await did(retention().prune_profiles) == {}
