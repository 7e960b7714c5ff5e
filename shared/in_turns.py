"""Many small jobs, a few at a time, none of which outlives whoever waits for them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_turns(work: Callable[[T], Awaitable[R]], items: Iterable[T], *, at_once: int) -> list[R]:
    """Do `work` for each item, `at_once` at a time, and return the results in order.

    The first exception is raised when all have ended; cancelling ends all.
    """
    turns = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with turns:
            return await work(item)

    results = await asyncio.gather(*map(one, items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
