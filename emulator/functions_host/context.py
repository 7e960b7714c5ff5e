"""The `context` argument of a handler.

As in the worker, these classes have the members of `func.Context` and its parts without inheriting from them.
"""

import re
import secrets
import threading
from dataclasses import dataclass, field

_TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True)
class TraceContext:
    """W3C trace context of an invocation."""

    trace_parent: str
    trace_state: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RetryContext:
    """The host never retries HTTP functions."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


@dataclass(frozen=True)
class Context:
    """What a handler learns about its invocation."""

    invocation_id: str
    function_name: str
    function_directory: str
    trace_context: TraceContext
    thread_local_storage: threading.local
    retry_context: RetryContext = field(default_factory=RetryContext)


def new_trace_context(trace_parent: str | None, trace_state: str | None) -> TraceContext:
    """Return the context of a new span under the caller's, or of a new trace where there is none."""
    found = _TRACE_PARENT.fullmatch(trace_parent or "")
    trace_id, flags = (found[1], found[3]) if found else (secrets.token_hex(16), "00")
    return TraceContext(f"00-{trace_id}-{secrets.token_hex(8)}-{flags}", trace_state or "")
