"""The clients of all hubs: who they are, what they may do, what they are in, and what they still have to confirm."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from emulator.web_pubsub.content import Message
from emulator.web_pubsub.frames import Frame, Subprotocol, data
from emulator.web_pubsub.tokens import Claims

MAX_UNACKNOWLEDGED: Final = 1_000
"""Messages that a reliable client has not confirmed; with more its connection ends, and cannot be recovered.

Azure has such a limit too, and does the same; it does not say where the limit is.
"""

MAX_ACK_IDS: Final = 1_000
"""`ackId`s of a client that count as repeated; the oldest are forgotten."""

_ROLE: Final = "webpubsub."


class Permission(StrEnum):
    """What a client may do in groups."""

    JOIN_LEAVE_GROUP = "joinLeaveGroup"
    SEND_TO_GROUP = "sendToGroup"


class Overflow(Exception):
    """A client has not confirmed `MAX_UNACKNOWLEDGED` messages."""


class Connection:
    """One client, over all of its sockets.

    Args:
        connection_id: unknown to other clients, unique.
        hub: in lower case.
        subprotocol: which it speaks.
        claims: of its token.
        reconnection_token: for another socket of the same client; None when it is not reliable.

    Attributes:
        groups: which it is in, in the order in which it joined.
    """

    def __init__(
        self,
        connection_id: str,
        hub: str,
        subprotocol: Subprotocol,
        claims: Claims,
        reconnection_token: str | None,
    ) -> None:
        self.id = connection_id
        self.hub = hub
        self.subprotocol = subprotocol
        self.user_id = claims.user_id
        self.reconnection_token = reconnection_token
        self.groups: dict[str, None] = dict.fromkeys(claims.groups)
        self._grants = {_grant(role) for role in claims.roles if role.startswith(_ROLE)}
        self._sequence_id = 0
        self._unacknowledged: OrderedDict[int, Frame] = OrderedDict()
        self._ack_ids: OrderedDict[int, None] = OrderedDict()

    @property
    def is_reliable(self) -> bool:
        """Whether it may come back on another socket."""
        return self.subprotocol is Subprotocol.RELIABLE

    @property
    def unacknowledged(self) -> tuple[Frame, ...]:
        """What a reliable client has not confirmed, the oldest first: what another socket starts with."""
        return tuple(self._unacknowledged.values())

    def may(self, permission: Permission, group: str | None) -> bool:
        """Whether it has a permission for a group; for all groups when None."""
        return not self._grants.isdisjoint({(permission, None), (permission, group)})

    def grant(self, permission: Permission, group: str | None) -> None:
        """Permit something in a group, or in all when None."""
        self._grants.add((permission, group))

    def revoke(self, permission: Permission, group: str | None) -> None:
        """Take back what was granted for exactly this group, or for all when None."""
        self._grants.discard((permission, group))

    def frame(self, message: Message) -> Frame:
        """The frame that brings a message; a reliable client's is numbered, and kept until it is confirmed.

        Raises:
            Overflow: too many are kept already.
        """
        if not self.is_reliable:
            return data(message, self.subprotocol)
        if len(self._unacknowledged) >= MAX_UNACKNOWLEDGED:
            raise Overflow
        self._sequence_id += 1
        frame = data(message, self.subprotocol, self._sequence_id)
        self._unacknowledged[self._sequence_id] = frame
        return frame

    def acknowledge(self, sequence_id: int) -> None:
        """Forget everything up to this number, which the client says to have."""
        while self._unacknowledged and next(iter(self._unacknowledged)) <= sequence_id:
            self._unacknowledged.popitem(last=False)

    def has_done(self, ack_id: int) -> bool:
        """Whether a frame of this number has had its effect before."""
        return ack_id in self._ack_ids

    def remember_done(self, ack_id: int) -> None:
        """Note that the frame of this number has had its effect."""
        self._ack_ids[ack_id] = None
        if len(self._ack_ids) > MAX_ACK_IDS:
            self._ack_ids.popitem(last=False)


@dataclass(frozen=True)
class Target:
    """Some of the clients: those that fit everything that is given.

    Attributes:
        hub: in any case.
        excluded: ids of connections that are not meant.
    """

    hub: str | None = None
    group: str | None = None
    user_id: str | None = None
    connection_id: str | None = None
    excluded: frozenset[str] = field(default=frozenset())

    @property
    def kind(self) -> str:
        """What a message to it is sent to: `group`, `user`, `connection` or `all`."""
        if self.group is not None:
            return "group"
        if self.user_id is not None:
            return "user"
        return "connection" if self.connection_id is not None else "all"

    @property
    def name(self) -> str | None:
        """Of the group, user or connection; None for all."""
        return next(
            (name for name in (self.group, self.user_id, self.connection_id) if name is not None), None
        )

    def covers(self, connection: Connection) -> bool:
        """Whether a client is one of them."""
        return (
            (self.hub is None or self.hub.lower() == connection.hub)
            and (self.group is None or self.group in connection.groups)
            and self.user_id in (None, connection.user_id)
            and self.connection_id in (None, connection.id)
            and connection.id not in self.excluded
        )


class Connections:
    """All clients, those without a socket that may still come back included."""

    def __init__(self) -> None:
        self._by_id: dict[str, Connection] = {}

    def __iter__(self) -> Iterator[Connection]:
        """By age."""
        return iter(list(self._by_id.values()))

    def __contains__(self, connection: Connection) -> bool:
        return self._by_id.get(connection.id) is connection

    def add(self, connection: Connection) -> None:
        """Take a client in."""
        self._by_id[connection.id] = connection

    def remove(self, connection: Connection) -> None:
        """Forget a client."""
        self._by_id.pop(connection.id, None)

    def of(self, target: Target) -> list[Connection]:
        """The clients that are meant, by age."""
        return [connection for connection in self if target.covers(connection)]

    def groups(self) -> dict[tuple[str, str], list[Connection]]:
        """The members of each hub's groups that have any."""
        found: dict[tuple[str, str], list[Connection]] = {}
        for connection in self:
            for group in connection.groups:
                found.setdefault((connection.hub, group), []).append(connection)
        return found


def _grant(role: str) -> tuple[str, str | None]:
    """A permission, and the group that it is for or None for all."""
    permission, dot, group = role.removeprefix(_ROLE).partition(".")
    return permission, group if dot else None
