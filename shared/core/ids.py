"""Identifiers that we make."""

import hashlib
import secrets

import uuid_utils


def new_call_id() -> str:
    """Return a UUIDv7: sorts by time, and its last bits are random enough to partition by."""
    return str(uuid_utils.uuid7())


def partition_of(call_id: str) -> str:
    """Return the table partition of a call: 256 of them, spread by the random end of the id."""
    return call_id[-2:]


def partitions() -> list[str]:
    """Return every partition of calls."""
    return [f"{number:02x}" for number in range(256)]


def first_call_id(at: float) -> str:
    """Return what sorts after the ids of calls made before `at` (Unix seconds), and before all others."""
    milliseconds = f"{round(at * 1000):012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}"


def new_token_id() -> str:
    """Return a `jti`: 128 random bits."""
    return secrets.token_urlsafe(16)


def new_traceparent() -> str:
    """Return a sampled W3C trace context for a call that came without one."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def claim_key(incoming_call_context: str) -> str:
    """Return the key of a ringing call: the SHA-256 of its context, which is itself a secret."""
    return hashlib.sha256(incoming_call_context.encode()).hexdigest()
