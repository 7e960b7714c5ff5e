"""The items of a conversation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from emulator.realtime.client_events import Refused

MAX_ITEMS: Final = 1000
"""More are kept of no session; the oldest are forgotten, and counted."""

FIRST: Final = "root"
"""Stands for what goes before the first item, where a client inserts one."""


@dataclass
class Item:
    """One item.

    Attributes:
        document: as it is shown.
        audio_ms: how much an assistant has said in it, or less where it was truncated; 0 where it has not spoken.
        before: id of the item that it was put behind.
    """

    document: dict[str, Any]
    audio_ms: float = 0.0
    before: str | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.document["id"])


class Conversation:
    """Items in order."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self.forgotten = 0

    @property
    def items(self) -> list[Mapping[str, Any]]:
        """All that are kept, as they are shown."""
        return [item.document for item in self._items.values()]

    def append(self, item: Item) -> None:
        """Put an item at the end."""
        item.before = next(reversed(self._items), None)
        self._items[item.id] = item
        if len(self._items) > MAX_ITEMS:
            del self._items[next(iter(self._items))]
            self.forgotten += 1

    def insert(self, item: Item, after: str | None) -> None:
        """Put a client's item behind another, or at the end.

        Raises:
            Refused: there is no such other item, or one of the same id, or no call that the item is the output of,
                or a part of it is not for who says it.
        """
        shown = item.document
        if item.id in self._items:
            raise Refused("invalid_value", "There is an item of this id already.", "item.id")
        if shown["type"] == "function_call_output" and shown["call_id"] not in self._calls():
            raise Refused("invalid_tool_call_id", "There is no function call of this id.", "item.call_id")
        if shown["type"] == "message":
            _check_parts(shown)
        if after is None:
            self.append(item)
            return
        ids = list(self._items)
        if after != FIRST and after not in ids:
            raise Refused("invalid_value", "There is no item of this id.", "previous_item_id")
        place = 0 if after == FIRST else ids.index(after) + 1
        entries = list(self._items.items())
        self._items = dict([*entries[:place], (item.id, item), *entries[place:]])
        item.before = None if after == FIRST else after

    def find(self, item_id: str, purpose: str) -> Item:
        """Return an item.

        Raises:
            Refused: there is none; `purpose` (truncate, delete, retrieve) is in its code.
        """
        item = self._items.get(item_id)
        if item is None:
            raise Refused(f"item_{purpose}_invalid_item_id", "There is no item of this id.", "item_id")
        return item

    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Forget what an assistant's item says after that time, and what it says in words.

        Raises:
            Refused: there is no such item, it was not spoken, or it is shorter.
        """
        item = self.find(item_id, "truncate")
        if not item.audio_ms:
            raise Refused("invalid_value", "The item has no audio of an assistant.", "item_id")
        if audio_end_ms > item.audio_ms:
            text = f"Audio content of {item.audio_ms:.0f}ms is already shorter than {audio_end_ms}ms"
            raise Refused("invalid_value", text, "audio_end_ms")
        item.audio_ms = audio_end_ms
        for part in item.document["content"]:
            part["transcript"] = None

    def delete(self, item_id: str) -> None:
        """Forget an item.

        Raises:
            Refused: there is none.
        """
        del self._items[self.find(item_id, "delete").id]

    def _calls(self) -> set[str]:
        shown = (item.document for item in self._items.values())
        return {each["call_id"] for each in shown if each["type"] == "function_call"}


def _check_parts(message: Mapping[str, Any]) -> None:
    """See to it that only what an assistant says is output."""
    for place, part in enumerate(message["content"]):
        if part["type"].startswith("input_") == (message["role"] == "assistant"):
            text = f"Invalid value: '{part['type']}' is not for the role {message['role']}."
            raise Refused("invalid_value", text, f"item.content[{place}].type")
