"""What was said in a call, by whom and when, and how much of it was heard.

Texts come when the services that make them are done: an agent's often before its audio is heard, a caller's a second
or more after it was spoken. So an entry is put together from several reports, in any order, and a text counts for the
time at which it was spoken: what was spoken within a pause is not kept, however late its text comes.

Pure: times are milliseconds of the call's line.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from msgspec import Struct

from media_gateway.agents.contract import Role
from media_gateway.recording.tracks import MAX_PAUSES

MAX_ENTRIES = 2000
"""Past it nothing new is written down, and counted: a call of an hour has some hundreds."""
MAX_TEXT = 20_000
"""Characters of one entry; what comes past them is left out, and counted."""
MAX_TEXTS = 500_000
"""Characters of all entries, which come in parts: those of an hour of speech are a tenth of that."""
LATE_TEXT_MS = 5000
"""How late a caller's text may come. Where nobody told when it was spoken, what comes within this after a pause is
taken for a part of the pause, for rather too little is kept than a card number."""


class Kind(StrEnum):
    """How something was said."""

    SPEECH = "speech"
    DIGITS = "digits"


class Entry(Struct, kw_only=True):
    """Something said in one go."""

    number: int
    """Of the transcript's: an entry with the same number takes the place of an earlier one."""
    role: Role
    kind: Kind = Kind.SPEECH
    text: str = ""
    start_ms: int
    """When the agent began to be heard; of a caller, when the text came, unless somebody told when it began."""
    end_ms: int
    interrupted: bool = False
    heard_ms: int | None = None
    """Of an agent's that was interrupted, how much of its audio was heard."""
    heard_text: str = ""


@dataclass(slots=True, eq=False)
class _Item:
    """What is known of an item so far. Times in milliseconds."""

    number: int
    role: Role
    texts: list[str] = field(default_factory=list)
    length: int = 0
    told_ms: int | None = None
    """When its first text came."""
    began_ms: int | None = None
    end_ms: int = 0
    heard_ms: int | None = None
    said_ms: int = 0
    is_changed: bool = False


class Transcript:
    """The transcript of one call, as far as one pod has it."""

    def __init__(self) -> None:
        self._items: dict[tuple[Role, str], _Item] = {}
        self._digits: list[Entry] = []
        self._digits_told = 0
        self._numbers = 0
        self._length = 0
        self._paused_ms: int | None = None
        self._pauses: list[tuple[int, int]] = []
        self.left_out = 0
        """Texts that were not written down because there were too many, or too long."""

    def said(self, role: Role, item_id: str, text: str, at_ms: int) -> None:
        """Write down words of an item; several are joined in order."""
        item = self._item(role, item_id)
        if item is None or item.length + len(text) > MAX_TEXT or self._length + len(text) > MAX_TEXTS:
            self.left_out += 1
            return
        if role is Role.CALLER and self._may_be_of_a_pause(item.began_ms, at_ms):
            return
        if item.told_ms is None:
            item.told_ms = at_ms
        item.texts.append(text)
        item.length += len(text)
        self._length += len(text)
        item.is_changed = True

    def began(self, role: Role, item_id: str, at_ms: int) -> None:
        """Note when a caller's item began, where that is known; of an agent's, `plays` tells."""
        item = self._item(role, item_id)
        if item is not None and item.began_ms is None:
            item.began_ms = at_ms

    def plays(self, item_id: str, from_ms: int, to_ms: int) -> None:
        """Note that audio of an agent's item is heard; runs for every piece of audio."""
        item = self._item(Role.AGENT, item_id)
        if item is not None:
            if item.began_ms is None:
                item.began_ms = from_ms
            item.end_ms = to_ms
            item.is_changed = True

    def cut(self, item_id: str, heard_ms: int, said_ms: int, at_ms: int) -> None:
        """Note that an agent's item was interrupted, and how much of its audio had been heard."""
        item = self._items.get((Role.AGENT, item_id))
        if item is not None:
            item.heard_ms, item.said_ms = heard_ms, said_ms
            item.end_ms = min(item.end_ms, at_ms)
            item.is_changed = True

    def digits(self, text: str, at_ms: int) -> None:
        """Write down keys that the caller pressed."""
        if self._paused_ms is not None:
            return
        if self._numbers == MAX_ENTRIES:
            self.left_out += 1
            return
        self._numbers += 1
        entry = Entry(
            number=self._numbers,
            role=Role.CALLER,
            kind=Kind.DIGITS,
            text=text,
            start_ms=at_ms,
            end_ms=at_ms,
            heard_text=text,
        )
        self._digits.append(entry)

    def pause(self, at_ms: int) -> None:
        """Keep nothing that is said from now on."""
        if self._paused_ms is None:
            self._paused_ms = at_ms

    def resume(self, at_ms: int) -> None:
        """Keep what is said from now on. After `MAX_PAUSES`, a pause lasts until the end."""
        if self._paused_ms is not None and len(self._pauses) < MAX_PAUSES:
            self._pauses.append((self._paused_ms, at_ms))
            self._paused_ms = None

    def changes(self, *, final: bool = False) -> list[Entry]:
        """Return what is new or different since the last time; an agent's words once they are heard, or at the end."""
        found = self._digits[self._digits_told :]
        self._digits_told = len(self._digits)
        for item in self._items.values():
            is_caller = item.role is Role.CALLER
            if item.is_changed and item.texts and (final or is_caller or item.began_ms is not None):
                item.is_changed = False
                if is_caller or not self._is_within_a_pause(item):
                    found.append(_entry(item))
        return found

    def _item(self, role: Role, item_id: str) -> _Item | None:
        """Return an item, a new one where there is room."""
        item = self._items.get((role, item_id))
        if item is None and self._numbers < MAX_ENTRIES:
            self._numbers += 1
            item = self._items[role, item_id] = _Item(self._numbers, role)
        return item

    def _may_be_of_a_pause(self, began_ms: int | None, at_ms: int) -> bool:
        """Whether words of the caller's that come at `at_ms` may have been spoken within a pause."""
        if self._paused_ms is not None:
            return True
        if not self._pauses:
            return False
        return self._pauses[-1][1] > (at_ms - LATE_TEXT_MS if began_ms is None else began_ms)

    def _is_within_a_pause(self, item: _Item) -> bool:
        """Whether an agent's item began within a pause; where it was never heard, whether its words came in one."""
        began_ms = item.began_ms if item.began_ms is not None else item.told_ms
        if began_ms is None:
            return False
        if self._paused_ms is not None and began_ms >= self._paused_ms:
            return True
        return any(begin <= began_ms < end for begin, end in self._pauses)


def heard_text(text: str, heard_ms: int, said_ms: int) -> str:
    """Return the words that were heard of a text, when `heard_ms` of its `said_ms` were.

    Speech is taken for even: so it is an estimate, cut between two words, and rather short. Where no words are told
    apart by spaces, it is cut between two characters.
    """
    if heard_ms >= said_ms > 0:
        return text
    end = max(0, len(text) * heard_ms // said_ms) if said_ms > 0 else 0
    heard = text[:end]
    if not text[end : end + 1].isspace() and any(character.isspace() for character in text):
        while heard and not heard[-1].isspace():
            heard = heard[:-1]
    return heard.rstrip()


def _entry(item: _Item) -> Entry:
    text = "".join(item.texts)
    entry = Entry(
        number=item.number,
        role=item.role,
        text=text,
        start_ms=item.told_ms or 0,
        end_ms=item.told_ms or 0,
        heard_text=text,
    )
    if item.began_ms is not None:
        entry.start_ms = item.began_ms
    if item.role is Role.AGENT:
        entry.end_ms = max(item.end_ms, entry.start_ms)
        if item.heard_ms is not None or item.began_ms is None:
            entry.heard_ms = item.heard_ms or 0
            entry.heard_text = heard_text(text, entry.heard_ms, item.said_ms)
            entry.interrupted = item.heard_ms is not None
    return entry
