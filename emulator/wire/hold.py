"""The bodies of requests to put a participant on hold, and to take them back."""

import msgspec

from emulator.wire.identifiers import Identifier
from emulator.wire.play import PlaySource


class HoldRequest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`:hold`, with something to hear meanwhile, or nothing."""

    target_participant: Identifier
    play_source_info: PlaySource | None = None
    operation_context: str | None = None
    operation_callback_uri: str | None = None


class UnholdRequest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`:unhold`."""

    target_participant: Identifier
    operation_context: str | None = None
    operation_callback_uri: str | None = None
