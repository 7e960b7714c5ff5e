"""The IncomingCall event and the identifiers that come with a call."""

import base64
import gzip
import json
import secrets

import msgspec

from emulator.wire.identifiers import Identifier

INCOMING_CALL = "Microsoft.Communication.IncomingCall"

_CONTEXT_SECRET_BYTES = 700


class CustomContext(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Headers that came with the call; either map may be missing."""

    sip_headers: dict[str, str] | None = None
    voip_headers: dict[str, str] | None = None


class IncomingCallData(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """`data` of an IncomingCall event."""

    to: Identifier
    from_: Identifier = msgspec.field(name="from")
    server_call_id: str
    caller_display_name: str
    custom_context: CustomContext | None = None
    incoming_call_context: str
    correlation_id: str


def incoming_call_subject(data: IncomingCallData) -> str:
    """`subject` of an IncomingCall event."""
    return f"/caller/{data.from_.id}/recipient/{data.to.id}"


def new_incoming_call_context() -> str:
    """An opaque handle of one ringing leg: an unsigned JWT around gzipped text, 1 to 4 KB as the real one."""
    inside = gzip.compress(secrets.token_urlsafe(_CONTEXT_SECRET_BYTES).encode(), mtime=0)
    claims = {"cc": base64.b64encode(inside).decode()}
    return f"{_base64url({'alg': 'none', 'typ': 'JWT'})}.{_base64url(claims)}."


def new_server_call_id() -> str:
    """An opaque id of a call's conversation: unpadded base64 of a long URL, 150 to 250 characters."""
    url = f"https://conversations.acs-emulator.example/api/v2/conv/{secrets.token_urlsafe(40)}?i={secrets.randbelow(256)}"
    return base64.b64encode(url.encode()).decode().rstrip("=")


def _base64url(content: dict[str, str]) -> str:
    text = json.dumps(content, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")
