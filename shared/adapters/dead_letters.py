"""Events that Event Grid gave up, where its subscriptions write them: the container `deadletters`."""

from dataclasses import dataclass
from datetime import datetime

from shared.adapters.blobs import BlobContainer

CONTAINER = "deadletters"
MAX_COUNTED = 10_000
"""Blobs that are looked at; with more, whoever is told of so many need not know how many."""


@dataclass(frozen=True, slots=True)
class Letters:
    """How many dead letters there are, and when the oldest came; None where there is none."""

    count: int
    oldest: datetime | None


class BlobDeadLetters:
    """The container `deadletters`. All methods raise `StoreUnavailable`."""

    def __init__(self, container: BlobContainer) -> None:
        self._container = container

    async def look(self) -> Letters:
        """Count the dead letters, at most `MAX_COUNTED`: each is a blob, and may hold several events."""
        entries = await self._container.entries("", limit=MAX_COUNTED)
        return Letters(len(entries), min((entry.created for entry in entries), default=None))
