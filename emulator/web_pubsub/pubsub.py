"""Azure Web PubSub as a whole: clients that come, go and come back, and messages to them."""

import asyncio
import secrets
import uuid
from typing import Final

from emulator.faults.messages import send_as_often_as_told, wait_as_told
from emulator.faults.operations import WEB_PUBSUB_DELIVER
from emulator.faults.registry import Faults, Occasion, Strike
from emulator.tasks import Tasks
from emulator.web_pubsub import frames
from emulator.web_pubsub.connections import Connection, Connections, Overflow, Permission, Target
from emulator.web_pubsub.content import Content, Message
from emulator.web_pubsub.frames import AckError, ClientFrame, Subprotocol
from emulator.web_pubsub.sent import Sent, SentMessages
from emulator.web_pubsub.tokens import Claims
from emulator.web_pubsub.wire import Close, Wire

GOING_AWAY: Final = 1001
POLICY_VIOLATION: Final = 1008
"""To a client: the connection is gone, do not try to recover it."""

MAX_STRUCK_DELIVERIES: Final = 10_000
"""Deliveries that a fault keeps waiting at a time; further ones are dropped and counted."""


class WebPubSub:
    """The service; hubs are there once somebody names them.

    Args:
        faults: rules that strike deliveries.
        recovery_seconds: how long a reliable client that lost its socket may take to come back.

    Attributes:
        dropped_deliveries: lost because a fault kept too many others waiting.
        overflowed: clients that were cut or closed because they did not read or confirm what they were sent.
        is_closed: whether it takes nobody in any more.
    """

    def __init__(self, faults: Faults, *, recovery_seconds: float) -> None:
        self.dropped_deliveries = 0
        self.overflowed = 0
        self.is_closed = False
        self._faults = faults
        self._recovery_seconds = recovery_seconds
        self._connections = Connections()
        self._wires: dict[str, Wire] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}
        self._sent = SentMessages()
        self._tasks = Tasks()

    def connections(self, hub: str | None = None, *, group: str | None = None) -> list[Connection]:
        """The clients of a hub and group, or all; those without a socket that may still come back included."""
        return self.of(Target(hub, group))

    def groups(self, hub: str | None = None) -> dict[tuple[str, str], list[Connection]]:
        """The members of all groups, by hub and group."""
        return {
            key: members
            for key, members in self._connections.groups().items()
            if hub is None or key[0] == hub.lower()
        }

    def messages(self, hub: str | None = None) -> list[Sent]:
        """The latest messages, the oldest first."""
        return [sent for sent in self._sent if hub is None or sent.hub == hub.lower()]

    @property
    def forgotten_messages(self) -> int:
        """How many older messages there were."""
        return self._sent.forgotten

    def is_connected(self, connection: Connection) -> bool:
        """Whether a client has a socket now."""
        return connection.id in self._wires

    def cut(
        self,
        hub: str | None = None,
        *,
        group: str | None = None,
        connection_id: str | None = None,
        recoverable: bool = True,
    ) -> int:
        """Break sockets without a goodbye, as a network does.

        Args:
            hub: whose clients, with `group` and `connection_id`; all when None.
            group: the members of this group only.
            connection_id: this client only.
            recoverable: whether a reliable client may come back as the same; False is as if it had come too late.

        Returns:
            How many sockets were broken.
        """
        broken = 0
        for connection in self.of(Target(hub, group, connection_id=connection_id)):
            wire = self._wires.get(connection.id)
            if wire is not None:
                wire.cut()
                self.lost(connection, wire)
                broken += 1
            if not recoverable:
                self._forget(connection)
        return broken

    def connect(self, hub: str, subprotocol: Subprotocol, claims: Claims, wire: Wire) -> Connection:
        """Take in a new client."""
        is_reliable = subprotocol is Subprotocol.RELIABLE
        connection = Connection(
            uuid.uuid4().hex,
            hub.lower(),
            subprotocol,
            claims,
            secrets.token_urlsafe() if is_reliable else None,
        )
        self._connections.add(connection)
        self._attach(connection, wire)
        return connection

    def recover(self, hub: str, connection_id: str, reconnection_token: str, wire: Wire) -> Connection | None:
        """Give a client another socket, and send what it has not confirmed; None when it is not known or not itself."""
        connection = next(iter(self.of(Target(hub, connection_id=connection_id))), None)
        if connection is None or connection.reconnection_token is None:
            return None
        if not secrets.compare_digest(connection.reconnection_token.encode(), reconnection_token.encode()):
            return None
        former = self._wires.get(connection.id)
        if former is not None:
            former.cut()
        self._attach(connection, wire)
        for frame in connection.unacknowledged:
            wire.put(frame)
        return connection

    def lost(self, connection: Connection, wire: Wire) -> None:
        """A client's socket is gone; a reliable client may come back with another."""
        if self._wires.get(connection.id) is not wire:
            return
        del self._wires[connection.id]
        if connection.is_reliable:
            self._expiries[connection.id] = asyncio.get_running_loop().call_later(
                self._recovery_seconds, self._forget, connection
            )
        else:
            self._forget(connection)

    def left(self, connection: Connection, wire: Wire) -> None:
        """A client has said goodbye."""
        if self._wires.get(connection.id) is wire:
            self._forget(connection)

    def receive(self, connection: Connection, frame: ClientFrame) -> None:
        """Do what a client of a JSON subprotocol wants, and acknowledge it; nothing once it was told goodbye.

        Raises:
            FrameRefused: data is not of its type.
        """
        if connection not in self._connections:
            return
        match frame:
            case frames.SequenceAck():
                connection.acknowledge(frame.sequence_id)
            case frames.Ping():
                self._answer(connection, frames.pong())
            case _:
                if frame.ack_id is not None and connection.has_done(frame.ack_id):
                    error: AckError | None = AckError(
                        "Duplicate", f"Message with ack-id: {frame.ack_id} has been processed"
                    )
                else:
                    error = self._do(connection, frame)
                if frame.ack_id is None:
                    return
                if error is None:
                    connection.remember_done(frame.ack_id)
                self._answer(connection, frames.ack(frame.ack_id, error))

    def receive_event(self, connection: Connection, event: str, content: Content) -> None:
        """Note what a client sends to the server behind the service; there is none."""
        self._sent.add(Sent(connection.hub, "event", event, content, connection.user_id, 0))

    def of(self, target: Target) -> list[Connection]:
        """The clients that are meant, by age."""
        return self._connections.of(target)

    def send(self, hub: str, target: Target, content: Content, *, from_user_id: str | None = None) -> None:
        """Send a message to all that are meant now; returns at once.

        Args:
            hub: its name.
            target: for whom it is.
            content: what it carries.
            from_user_id: of the client that sends it, if one does and has a user id.
        """
        receivers = self.of(target)
        self._sent.add(Sent(hub.lower(), target.kind, target.name, content, from_user_id, len(receivers)))
        message = Message(content, target.group, from_user_id)
        for connection in receivers:
            self._deliver(connection, message, target)

    def close_connections(self, target: Target, reason: str, *, code: int = POLICY_VIOLATION) -> None:
        """Say goodbye to all that are meant, after what they were sent before."""
        for connection in self.of(target):
            wire = self._wires.get(connection.id)
            if wire is not None:
                if connection.subprotocol is not Subprotocol.NONE:
                    wire.put(frames.disconnected(reason))
                wire.put(Close(code, reason))
            self._forget(connection)

    async def close(self) -> None:
        """Drop what is under way, and say goodbye to everybody."""
        self.is_closed = True
        await self._tasks.close()
        self.close_connections(Target(), "The service goes away.", code=GOING_AWAY)

    def _attach(self, connection: Connection, wire: Wire) -> None:
        expiry = self._expiries.pop(connection.id, None)
        if expiry is not None:
            expiry.cancel()
        self._wires[connection.id] = wire
        if connection.subprotocol is not Subprotocol.NONE:
            wire.put(frames.connected(connection.id, connection.user_id, connection.reconnection_token))

    def _forget(self, connection: Connection) -> None:
        self._connections.remove(connection)
        self._wires.pop(connection.id, None)
        expiry = self._expiries.pop(connection.id, None)
        if expiry is not None:
            expiry.cancel()

    def _do(
        self,
        connection: Connection,
        frame: frames.JoinGroup | frames.LeaveGroup | frames.SendToGroup | frames.SendEvent,
    ) -> AckError | None:
        """What came of a frame: None when it had its effect."""
        if isinstance(frame, frames.SendEvent):
            self.receive_event(connection, frame.event, frame.content())
            return AckError("InternalServerError", "The hub has no event handler.")
        is_sending = isinstance(frame, frames.SendToGroup)
        needed = Permission.SEND_TO_GROUP if is_sending else Permission.JOIN_LEAVE_GROUP
        if not connection.may(needed, frame.group):
            return AckError("Forbidden", f"The client does not have the permission {needed} for the group.")
        match frame:
            case frames.JoinGroup():
                connection.groups[frame.group] = None
            case frames.LeaveGroup():
                connection.groups.pop(frame.group, None)
            case frames.SendToGroup():
                excluded = frozenset({connection.id} if frame.no_echo else ())
                target = Target(connection.hub, frame.group, excluded=excluded)
                self.send(connection.hub, target, frame.content(), from_user_id=connection.user_id)
        return None

    def _answer(self, connection: Connection, frame: frames.Frame) -> None:
        wire = self._wires.get(connection.id)
        if wire is not None and not wire.put(frame):
            self.overflowed += 1

    def _deliver(self, connection: Connection, message: Message, target: Target) -> None:
        occasion = _occasion(connection, target)
        strike = self._faults.take(occasion)
        if strike is None:
            self._hand_over(connection, message)
        elif len(self._tasks) >= MAX_STRUCK_DELIVERIES:
            self.dropped_deliveries += 1
        else:
            self._tasks.start(
                self._deliver_as_told(connection, message, occasion, strike), name="web-pubsub-delivery"
            )

    async def _deliver_as_told(
        self, connection: Connection, message: Message, occasion: Occasion, strike: Strike
    ) -> None:
        async def hand_over() -> None:
            self._hand_over(connection, message)

        if await wait_as_told(self._faults, strike, occasion):
            await send_as_often_as_told(strike, hand_over, self._tasks)

    def _hand_over(self, connection: Connection, message: Message) -> None:
        if connection not in self._connections:
            return
        try:
            frame = connection.frame(message)
        except Overflow:
            self.overflowed += 1
            self.close_connections(
                Target(connection_id=connection.id), "Too many messages are not acknowledged."
            )
            return
        self._answer(connection, frame)


def _occasion(connection: Connection, target: Target) -> Occasion:
    """A delivery by whom it is for, so that a draw is the same in every run; ids of connections are not."""
    kind, name = target.kind, target.name if target.kind != "connection" else None
    whom = f"{connection.hub} {kind} {name or ''}"
    return Occasion(
        WEB_PUBSUB_DELIVER,
        target.group or "",
        thing=f"{whom} to {connection.user_id or ''}",
        about=f"a message to {whom}".strip(),
    )
