"""What the agent says in one conversation, item by item: its audio, its words, and how much of it was heard.

No I/O and no clock. Items are told of by the service while it makes them, faster than they are heard.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from media_gateway.agents.contract import AgentSink, Role
from media_gateway.agents.realtime.events import AudioDelta

MAX_REMEMBERED = 64
"""Items, responses that were interrupted, tool calls; a service has one or two of each in the making."""
MAX_WORDS = 8_000
"""Characters of one item, some nine minutes of speech; what comes past them is left out, and noted."""

T = TypeVar("T")


@dataclass(slots=True, repr=False, eq=False)
class Item:
    """Something the agent says."""

    item_id: str
    response_id: str
    samples: int = 0
    words: str = ""
    has_more_words: bool = False
    """Whether there were more than are kept."""
    is_whole: bool = False
    """Whether all of its audio has come."""
    is_written: bool = False
    """Whether its words went to the transcript."""


class SaidItems:
    """The items of one conversation, the latest `MAX_REMEMBERED` of them.

    Args:
        rate_hz: Of the service's audio.
        sink: Gets the words of each item once.
    """

    def __init__(self, rate_hz: int, sink: AgentSink) -> None:
        self._rate_hz = rate_hz
        self._sink = sink
        self._items: OrderedDict[str, Item] = OrderedDict()

    def item_of(self, delta: AudioDelta) -> Item:
        """Return the item that a piece of audio is of, for its `samples` to be counted there."""
        return self._items.get(delta.item_id) or self._new_item(delta.item_id, delta.response_id)

    def audio_is_done(self, item_id: str) -> None:
        """Take that no more audio comes for an item."""
        if item_id in self._items:
            self._items[item_id].is_whole = True

    def add_words(self, item_id: str, response_id: str, words: str) -> None:
        """Take some more words of an item."""
        item = self._items.get(item_id) or self._new_item(item_id, response_id)
        self._put_words(item, item.words + words)

    def words_are_done(self, item_id: str, response_id: str, words: str) -> None:
        """Take all words of an item, if the service says them again, and write them down."""
        item = self._items.get(item_id) or self._new_item(item_id, response_id)
        self._put_words(item, words or item.words)
        self._write(item_id, item)

    def response_is_over(self, response_id: str | None, *, is_whole: bool) -> None:
        """Write down what words there are of a response. `is_whole`: nothing more of it comes."""
        for item_id, item in self._items.items():
            if item.response_id == response_id:
                item.is_whole |= is_whole
                self._write(item_id, item)

    def all_is_over(self) -> None:
        """Write down what words there are of everything."""
        for item_id, item in self._items.items():
            self._write(item_id, item)

    def is_heard_of(self, response_id: str | None) -> bool:
        """Whether a response has any audio."""
        return any(item.samples for item in self._items.values() if item.response_id == response_id)

    def cut_at_ms(self, item_id: str, heard_ms: int) -> int | None:
        """Return where an item that was cut ends now, for the service; None where it was heard whole, or is unknown.

        Never more than came of it: services take that for an error.
        """
        item = self._items.get(item_id)
        if item is None:
            return None
        said_ms = item.samples * 1000 // self._rate_hz
        return None if item.is_whole and heard_ms >= said_ms else min(heard_ms, said_ms)

    def _new_item(self, item_id: str, response_id: str) -> Item:
        item = Item(item_id, response_id)
        remember(self._items, item_id, item)
        return item

    def _put_words(self, item: Item, words: str) -> None:
        if len(words) > MAX_WORDS and not item.has_more_words:
            item.has_more_words = True
            self._sink.note("agent_words_cut")
        item.words = words[:MAX_WORDS]

    def _write(self, item_id: str, item: Item) -> None:
        words = item.words.strip()
        if words and not item.is_written:
            item.is_written = True
            self._sink.transcript(Role.AGENT, words, item_id=item_id)


def remember(known: OrderedDict[str, T], name: str, value: T) -> None:
    """Keep something by its name, and no more than `MAX_REMEMBERED`: the oldest goes."""
    known[name] = value
    if len(known) > MAX_REMEMBERED:
        known.popitem(last=False)
