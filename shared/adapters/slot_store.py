"""Numbered places in Table storage, each held by one call at a time: exact limits that all processes share.

A place is a row, taken by a conditional insert or, when its holder's time is over, by a conditional replace. So
two processes never give the same place away, none has to lock anything, and what a dead process held comes free
by itself. A pool of `size` places thereby limits what goes on at a time; places that are never released, but held
for a minute, limit what begins in any minute.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import compress
from typing import Any
from weakref import WeakValueDictionary

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableServiceClient

from shared.adapters.tables import INSERT_AGAIN, etag_of, store_faults
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

MAX_SIZE = 1000
"""Places of a pool: they are read in one page for every call."""
MAX_CONFLICTS = 16
LOOKED_INTO = 4
"""Places of a full pool whose holders are looked into, in case one ended without giving its place back."""


class TableSlotStore:
    """The table `slots`. All methods but `give_back` raise `StoreUnavailable`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table = service.get_table_client("slots")
        self._pools: WeakValueDictionary[str, _Pool] = WeakValueDictionary()

    async def take(
        self,
        pool: str,
        size: int,
        *,
        holder: str,
        now: float,
        until: float,
        journey: str = "",
        is_over: Callable[[str], Awaitable[bool]] | None = None,
    ) -> str | None:
        """Take a place and return its name, or None where all are taken; a holder gets the place it has.

        A pool that was made smaller gives no place beyond its size; who holds one keeps it. Where all are taken, a
        call gets the place of another one of its journey, which is about to end: it was transferred.

        Args:
            pool: its name.
            size: how many places it has, at most `MAX_SIZE`.
            holder: the call's id.
            now: Unix seconds.
            until: Unix seconds after which the place is free again.
            journey: the correlation id of the call; empty: it has none.
            is_over: says of a holder whether it has ended; asked about the oldest ones of a full pool.
        """
        shared = self._pools.setdefault(pool, _Pool())
        for _ in range(MAX_CONFLICTS):
            look = await self._look(shared, pool, size, now, is_over)
            if (held := look.held.get(holder)) is not None:
                return _slot(pool, held)
            if look.free:
                name = look.free.pop()
            elif journey in look.of_journeys:
                name = look.of_journeys[journey]
            else:
                return None
            if await self._write(pool, name, holder, until, journey, look.rows.get(name)):
                return _slot(pool, name)
        raise StoreUnavailable("the places of a pool change too often")

    async def keep(self, slot: str, holder: str, until: float) -> None:
        """Hold a place for longer, unless somebody else has it by now."""
        pool, _, name = slot.partition("/")
        row = await self._read(pool, name)
        if row is not None and row["holder"] == holder:
            await self._write(pool, name, holder, until, row.get("journey", ""), row)

    async def release(self, slot: str, holder: str) -> None:
        """Give a place back, unless somebody else has it by now."""
        pool, _, name = slot.partition("/")
        for _ in range(MAX_CONFLICTS):
            row = await self._read(pool, name)
            if row is None or row["holder"] != holder:
                return
            async with store_faults():
                try:
                    await self._table.delete_entity(
                        pool, name, etag=etag_of(row), match_condition=MatchConditions.IfNotModified
                    )
                except ResourceModifiedError:
                    # Perhaps only kept for longer, by whoever marks the call as answered while it ends.
                    continue
                except ResourceNotFoundError:
                    pass
                return

    async def give_back(self, slot: str, holder: str) -> None:
        """Release the place of a call that is over. Raises nothing, for the place comes free by itself.

        That is at the latest when the call could have lasted no longer.
        """
        try:
            await self.release(slot, holder)
        except StoreUnavailable:
            logger.info("a call's place could not be given back", extra={"call_id": holder})

    async def _look(
        self,
        shared: "_Pool",
        pool: str,
        size: int,
        now: float,
        is_over: Callable[[str], Awaitable[bool]] | None,
    ) -> "_Look":
        """Look at a pool, or share a look that began after this was asked for."""
        asked_at = time.monotonic()
        async with shared.looking:
            if shared.look is None or shared.look.begun_at < asked_at:
                begun_at = time.monotonic()
                async with store_faults():
                    query = self._table.query_entities("PartitionKey eq @p", parameters={"p": pool})
                    rows = {row["RowKey"]: row async for row in query}
                live = {name: row for name, row in rows.items() if row["until"] > now}
                if len(live) < size:
                    names = [name for name in map(_row_key, range(size)) if name not in live]
                    room = size - len(live)
                else:
                    names = await _ended(live, size, is_over)
                    room = max(0, size - len(live) + len(names))
                # In any order, so that processes at once seldom choose the same.
                free = random.sample(names, min(room, len(names)))
                held = {row["holder"]: name for name, row in live.items()}
                of_journeys = {row["journey"]: name for name, row in live.items() if "journey" in row}
                shared.look = _Look(begun_at, rows, held, of_journeys, free)
            return shared.look

    async def _read(self, pool: str, name: str) -> Mapping[str, Any] | None:
        async with store_faults():
            try:
                return await self._table.get_entity(pool, name)
            except ResourceNotFoundError:
                return None

    async def _write(
        self,
        pool: str,
        name: str,
        holder: str,
        until: float,
        journey: str,
        before: Mapping[str, Any] | None,
    ) -> bool:
        """Write a place if nobody wrote it since it was read; False for the loser."""
        entity = {"PartitionKey": pool, "RowKey": name, "holder": holder, "until": until}
        if journey:
            entity["journey"] = journey
        async with store_faults():
            try:
                if before is None:
                    await self._table.create_entity(entity, **INSERT_AGAIN)
                else:
                    await self._table.update_entity(
                        entity,
                        mode=UpdateMode.REPLACE,
                        etag=etag_of(before),
                        match_condition=MatchConditions.IfNotModified,
                    )
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
                return False
            return True


@dataclass(frozen=True, slots=True)
class _Look:
    """What a pool looked like. `begun_at` is seconds of `time.monotonic`."""

    begun_at: float
    rows: Mapping[str, Mapping[str, Any]]
    held: Mapping[str, str]
    """The names of the places that are taken, by holder."""
    of_journeys: Mapping[str, str]
    """And by journey."""
    free: list[str]
    """Places that may be taken: each goes to one of those who share the look, and so no two try the same."""


class _Pool:
    """What all in this process share who want a place of the same pool at the same time.

    If each looked for itself, a hundred calls at once would keep the process busy for longer than a limit may take,
    and be admitted as unknown.
    """

    def __init__(self) -> None:
        self.looking = asyncio.Lock()
        self.look: _Look | None = None


def _row_key(number: int) -> str:
    return f"{number:04}"


def _slot(pool: str, name: str) -> str:
    return f"{pool}/{name}"


async def _ended(
    live: Mapping[str, Mapping[str, Any]], size: int, is_over: Callable[[str], Awaitable[bool]] | None
) -> list[str]:
    """Return the places within `size` whose holders have ended, among the oldest of them."""
    if is_over is None:
        return []
    within = sorted((name for name in live if int(name) < size), key=lambda name: live[name]["until"])
    oldest = within[:LOOKED_INTO]
    over = await asyncio.gather(*(is_over(live[name]["holder"]) for name in oldest))
    return list(compress(oldest, over))
