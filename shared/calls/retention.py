"""Deleting what is old: rows, recordings, versions of the gateway document, and sounds.

Every deletion is of something that nobody writes any more, or is conditional on that; so two runs at once, or one
that is killed, do no harm, and what is left the next run finds again.
"""

import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import msgspec

from shared.adapters.connect import Connections
from shared.calls.lost_calls import LostCalls
from shared.config import UpkeepSettings
from shared.core.ids import partitions
from shared.core.upkeep import DAY_S, is_day_over, outdated_sounds, outdated_versions
from shared.gateway_document import STORED_SOUND

HOUR_S = 3600.0
UNFINISHED = "unfinished/"
"""Below it are the parts of recordings that are not made yet; see `docs/recording.md`."""
LAST_WRITTEN = "call.json"
"""Of a recording. What lacks it is not finished."""
NAMED_SOUND = re.compile(STORED_SOUND.pattern.encode())


class Retention:
    """Applies it. `clock` tells Unix seconds. All methods count in `done`, and raise `StoreUnavailable`."""

    def __init__(
        self,
        connections: Connections,
        lost_calls: LostCalls,
        settings: UpkeepSettings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._connections = connections
        self._lost_calls = lost_calls
        self._settings = settings
        self._clock = clock

    async def expire_claims(self, done: Counter[str]) -> None:
        """Delete what matters only while calls ring."""
        before = self._clock() - self._settings.claim_retention_hours * HOUR_S
        stores = self._connections
        await _count(done, "claims", stores.claims.expire(before))
        await _count(done, "answers", stores.answers.expire(before))
        await _count(done, "pods", stores.pods.expire(before))

    async def expire_calls(self, done: Counter[str]) -> None:
        """Delete old calls and their callbacks; none so old can be live."""
        before = self._clock() - self._settings.call_retention_days * DAY_S
        calls = self._connections.calls
        await _count(done, "call_events", calls.expire_events(before))
        for partition in partitions():
            await _count(done, "calls", calls.expire(partition, before))
        await _count(done, "ivr_calls", self._connections.ivr_calls.expire(before))

    async def expire_recordings(self, done: Counter[str]) -> None:
        """Delete old recordings, whole folders; one that is not finished, or has parts left, stays and is counted."""
        days = self._settings.recording_retention_days
        if not days:
            return
        recordings = self._connections.recordings
        for account in await recordings.folders(""):
            if account == UNFINISHED:
                continue
            for day in await recordings.folders(account):
                name = day.removeprefix(account).removesuffix("/")
                if is_day_over(name, days=days, now=self._clock()):
                    for folder in await recordings.folders(day):
                        await self._expire_recording(folder, done)

    async def _expire_recording(self, folder: str, done: Counter[str]) -> None:
        recordings = self._connections.recordings
        names = await recordings.names(folder)
        last = f"{folder}{LAST_WRITTEN}"
        if last not in names or await recordings.names(f"{UNFINISHED}{folder}"):
            done["recordings_left"] += 1
            return
        # It goes last, too: a deletion that breaks off leaves what looks finished, and is done again.
        await recordings.delete([*(name for name in names if name != last), last])
        done["recordings"] += 1

    async def prune_profiles(self, done: Counter[str]) -> None:
        """Delete versions of the gateway document that are long out of force, then sounds that nothing names."""
        profiles = self._connections.profiles
        current = await profiles.current()
        if current is None:
            return
        versions = {version.number: version for version in await profiles.versions()}
        changed = {number: version.changed.timestamp() for number, version in versions.items()}
        for number in outdated_versions(changed, in_force=current.version, now=self._clock()):
            done["versions"] += await profiles.remove(versions[number])
        await self._prune_sounds(done)

    async def _prune_sounds(self, done: Counter[str]) -> None:
        """Delete old sounds that no version and no open call names; one that is pushed meanwhile stays."""
        sounds = {sound.name: sound for sound in await self._connections.sounds.all()}
        changed = {name: sound.changed.timestamp() for name, sound in sounds.items()}
        if not outdated_sounds(changed, named=(), now=self._clock()):
            return
        named = await self._named_sounds()
        for name in outdated_sounds(changed, named=named, now=self._clock()):
            done["sounds"] += await self._connections.sounds.remove(sounds[name])

    async def _named_sounds(self) -> set[str]:
        """Return every sound that a version or an open call names, wherever in it."""
        profiles, calls = self._connections.profiles, self._connections.calls
        named: set[str] = set()
        for version in await profiles.versions():
            named |= _sounds_in(await profiles.document(version.number))
        for call_id in await self._lost_calls.open_calls():
            record = await calls.get(call_id)
            if record is not None:
                named |= _sounds_in(msgspec.json.encode(record.profile))
        return named


def _sounds_in(document: bytes) -> set[str]:
    return {name.decode() for name in NAMED_SOUND.findall(document)}


async def _count(done: Counter[str], what: str, pages: AsyncIterator[int]) -> None:
    async for deleted in pages:
        done[what] += deleted
