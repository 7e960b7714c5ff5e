"""What was sent, for people and tests to look at."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from emulator.web_pubsub.content import Content

MAX_SENT: Final = 1_000
"""Messages that can still be looked at; beyond that the oldest are forgotten and counted."""


@dataclass(frozen=True)
class Sent:
    """A message that was sent, whether somebody got it or not.

    Attributes:
        hub: in lower case.
        to: `all`, `group`, `user` or `connection`; `event` for what a client sent to the server behind the service.
        name: of the group, user, connection or event.
        from_user_id: the client that sent it, if one did and has a user id.
        receivers: how many clients it was for.
    """

    hub: str
    to: str
    name: str | None
    content: Content
    from_user_id: str | None
    receivers: int

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "hub": self.hub,
            "to": self.to,
            "name": self.name,
            "dataType": str(self.content.type),
            "data": self.content.shown(),
            "fromUserId": self.from_user_id,
            "receivers": self.receivers,
        }


class SentMessages:
    """The latest messages.

    Attributes:
        forgotten: how many older ones there were.
    """

    def __init__(self) -> None:
        self.forgotten = 0
        self._sent: deque[Sent] = deque(maxlen=MAX_SENT)

    def __iter__(self) -> Iterator[Sent]:
        """The oldest first."""
        return iter(list(self._sent))

    def add(self, sent: Sent) -> None:
        """Keep one; the oldest goes when there are too many."""
        self.forgotten += len(self._sent) == MAX_SENT
        self._sent.append(sent)
