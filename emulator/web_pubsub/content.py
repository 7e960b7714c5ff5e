"""What messages carry, in one form for the three ways in which they come and go."""

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from emulator.wire.json_text import NotJson, decode_json


class DataType(StrEnum):
    """How data is to be understood."""

    JSON = "json"
    TEXT = "text"
    BINARY = "binary"


class ContentRefused(ValueError):
    """Data is not what it is said to be; the text says what is wrong, without the data."""


@dataclass(frozen=True)
class Content:
    """Data of a message.

    Attributes:
        data: JSON text and text are UTF-8.
    """

    type: DataType
    data: bytes

    @classmethod
    def of_body(cls, kind: DataType, body: bytes) -> "Content":
        """Data as a request's body has it.

        Raises:
            ContentRefused: it is not JSON, or not UTF-8.
        """
        try:
            if kind is DataType.JSON:
                decode_json(body)
            elif kind is DataType.TEXT:
                body.decode()
        except NotJson as error:
            raise ContentRefused(str(error)) from None
        except UnicodeDecodeError:
            raise ContentRefused("it is not UTF-8") from None
        return cls(kind, body)

    @classmethod
    def of_member(cls, kind: DataType, member: msgspec.Raw) -> "Content":
        """Data as it stands in a JSON frame: binary data is base64 text.

        Raises:
            ContentRefused: it is of another type than it is said to be.
        """
        if kind is DataType.JSON:
            return cls.of_body(kind, bytes(member))
        try:
            text = msgspec.json.decode(member, type=str)
            return cls(
                kind, text.encode() if kind is DataType.TEXT else base64.b64decode(text, validate=True)
            )
        except msgspec.DecodeError:
            raise ContentRefused("it is no text") from None
        except (binascii.Error, ValueError):
            raise ContentRefused("it is not base64 text") from None

    def member(self) -> msgspec.Raw | str:
        """The data for a JSON frame."""
        match self.type:
            case DataType.JSON:
                return msgspec.Raw(self.data)
            case DataType.TEXT:
                return self.data.decode()
            case DataType.BINARY:
                return base64.b64encode(self.data).decode()

    def shown(self) -> Any:
        """The data for people: JSON values, text, or base64 text."""
        return msgspec.json.decode(self.data) if self.type is DataType.JSON else self.member()


@dataclass(frozen=True)
class Message:
    """What a client is sent.

    Attributes:
        group: through which it came; None when a server sent it to all, a user or a connection.
        from_user_id: the client that sent it, if one did and has a user id.
    """

    content: Content
    group: str | None = None
    from_user_id: str | None = None
