"""The events of the server, on their way out."""

from typing import Any

import msgspec

from emulator.realtime.client_events import Refused

encode = msgspec.json.Encoder().encode


class Events:
    """Writes a session's events and numbers everything in it.

    Args:
        label: in every id, so that those of two sessions differ.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._count = 0
        self._out: list[bytes] = []

    def new_id(self, kind: str) -> str:
        """Return an id such as `item_5f2a81c0_17`."""
        self._count += 1
        return f"{kind}_{self._label}_{self._count}"

    def add(self, kind: str, **members: Any) -> None:
        """Write one event; its type stands first in the text."""
        self._out.append(encode({"type": kind, "event_id": self.new_id("event"), **members}))

    def add_raw(self, message: bytes) -> None:
        """Write a message as it is."""
        self._out.append(message)

    def error(
        self, code: str, message: str, *, param: str | None = None, event_id: str | None = None
    ) -> None:
        """Write an `error` event; `event_id` is the client's own, of what was wrong."""
        error = {"type": "invalid_request_error", "code": code, "message": message}
        self.add("error", error=error | {"param": param, "event_id": event_id})

    def refuse(self, refused: Refused) -> None:
        """Write the `error` event that answers a wrong event."""
        self.error(refused.code, str(refused), param=refused.param, event_id=refused.event_id)

    def take(self) -> list[bytes]:
        """Return what was written since the last time."""
        out, self._out = self._out, []
        return out
