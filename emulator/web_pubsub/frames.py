"""The frames of the JSON subprotocols, plain and reliable, and those of clients without one."""

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from emulator.web_pubsub.content import Content, ContentRefused, DataType, Message

MAX_GROUP_NAME: Final = 1_024

GroupName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_GROUP_NAME)]
Number = Annotated[int, msgspec.Meta(ge=0)]

Frame = str | bytes
"""One WebSocket message, of text or binary."""


class Subprotocol(StrEnum):
    """How a client speaks; the values are WebSocket subprotocols."""

    NONE = ""
    JSON = "json.webpubsub.azure.v1"
    RELIABLE = "json.reliable.webpubsub.azure.v1"


class FrameRefused(ValueError):
    """A client's frame is none of its subprotocol; the text says why, without its content."""


class _Sent(msgspec.Struct, frozen=True, rename="camel", tag_field="type", omit_defaults=True):
    """A frame by its `type`; members that are not known are let through, as in Azure."""


class JoinGroup(_Sent, frozen=True, tag="joinGroup"):
    """The client wants what is sent to a group."""

    group: GroupName
    ack_id: Number | None = None


class LeaveGroup(_Sent, frozen=True, tag="leaveGroup"):
    """The client does not want it any more."""

    group: GroupName
    ack_id: Number | None = None


class SendToGroup(_Sent, frozen=True, tag="sendToGroup"):
    """The client sends a message to a group, whether it is in it or not."""

    group: GroupName
    data_type: DataType
    data: msgspec.Raw
    no_echo: bool = False
    ack_id: Number | None = None

    def content(self) -> Content:
        """What it sends.

        Raises:
            FrameRefused: the data is not of its type.
        """
        return _content(self.data_type, self.data)


class SendEvent(_Sent, frozen=True, tag="event"):
    """The client sends something to the server behind the service."""

    event: str
    data_type: DataType
    data: msgspec.Raw
    ack_id: Number | None = None

    def content(self) -> Content:
        """What it sends.

        Raises:
            FrameRefused: the data is not of its type.
        """
        return _content(self.data_type, self.data)


class SequenceAck(_Sent, frozen=True, tag="sequenceAck"):
    """The client has everything up to this number."""

    sequence_id: Number


class Ping(_Sent, frozen=True, tag="ping"):
    """The client wants to know whether the connection works."""


ClientFrame = JoinGroup | LeaveGroup | SendToGroup | SendEvent | SequenceAck | Ping

_FRAMES: Final[msgspec.json.Decoder[ClientFrame]] = msgspec.json.Decoder(ClientFrame)


class AckError(msgspec.Struct, frozen=True):
    """Why a frame had no effect.

    Attributes:
        name: `Forbidden`, `Duplicate` or `InternalServerError`.
    """

    name: str
    message: str


class _Ack(_Sent, frozen=True, tag="ack"):
    ack_id: int
    success: bool
    error: AckError | None = None


class _Connected(_Sent, frozen=True, kw_only=True, tag="system"):
    event: str
    user_id: str | None = None
    connection_id: str
    reconnection_token: str | None = None


class _Disconnected(_Sent, frozen=True, tag="system"):
    event: str
    message: str


class _Data(_Sent, frozen=True, kw_only=True, tag="message"):
    sequence_id: int | None = None
    from_: str = msgspec.field(name="from")
    group: str | None = None
    data_type: DataType
    data: msgspec.Raw | str
    from_user_id: str | None = None


class _Pong(_Sent, frozen=True, tag="pong"):
    pass


def read_frame(text: str) -> ClientFrame:
    """Read a client's frame.

    Raises:
        FrameRefused: it is none.
    """
    try:
        return _FRAMES.decode(text)
    except msgspec.ValidationError:
        raise FrameRefused("a member is missing or of another type") from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise FrameRefused("it is not JSON") from None


def ack(ack_id: int, error: AckError | None = None) -> Frame:
    """The answer to a frame that wants one."""
    return _text(_Ack(ack_id=ack_id, success=error is None, error=error))


def connected(connection_id: str, user_id: str | None, reconnection_token: str | None) -> Frame:
    """The first frame to a client; the token is that of reliable ones."""
    return _text(
        _Connected(
            event="connected",
            user_id=user_id,
            connection_id=connection_id,
            reconnection_token=reconnection_token,
        )
    )


def disconnected(reason: str) -> Frame:
    """The last frame to a client that the service closes."""
    return _text(_Disconnected(event="disconnected", message=reason))


def pong() -> Frame:
    """The answer to a ping."""
    return _text(_Pong())


def data(message: Message, subprotocol: Subprotocol, sequence_id: int | None = None) -> Frame:
    """A message, as a client of this subprotocol gets it; without one it is the bare data."""
    content = message.content
    if subprotocol is Subprotocol.NONE:
        return content.data if content.type is DataType.BINARY else content.data.decode()
    return _text(
        _Data(
            sequence_id=sequence_id,
            from_="server" if message.group is None else "group",
            group=message.group,
            data_type=content.type,
            data=content.member(),
            from_user_id=message.from_user_id,
        )
    )


def _content(kind: DataType, member: msgspec.Raw) -> Content:
    try:
        return Content.of_member(kind, member)
    except ContentRefused as error:
        raise FrameRefused(f"its data is not {kind}: {error}") from None


def _text(frame: msgspec.Struct) -> str:
    return msgspec.json.encode(frame).decode()
