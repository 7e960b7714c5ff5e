"""What was said in a call so far: for an agent that takes over from one that was lost."""

from collections import deque

from media_gateway.agents.contract import MAX_CONVERSATION_CHARS, MAX_CONVERSATION_LINES, Role, Said


class ConversationSoFar:
    """The newest lines of a conversation, as many as `CallInfo.conversation` may have: the oldest go."""

    def __init__(self) -> None:
        self._lines: deque[Said] = deque()
        self._chars = 0
        self.dropped = 0
        """Lines that are left out."""

    def add(self, role: Role, text: str) -> None:
        """Take what was said last; of a text that is too long by itself, its end is kept."""
        kept = text.strip()[-MAX_CONVERSATION_CHARS:]
        if not kept:
            return
        self._lines.append(Said(role, kept))
        self._chars += len(kept)
        while len(self._lines) > MAX_CONVERSATION_LINES or self._chars > MAX_CONVERSATION_CHARS:
            self._chars -= len(self._lines.popleft().text)
            self.dropped += 1

    def lines(self) -> tuple[Said, ...]:
        """Return what was said, oldest first."""
        return tuple(self._lines)
