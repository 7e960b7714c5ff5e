"""What a schema cannot say of a realtime agent's settings; checked when a document is pushed, not during a call."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from shared.core.profiles import BUILT_IN_TOOLS, Dialect
from shared.core.tool_hosts import LOOPBACK_HOSTS, is_allowed_header

Place = tuple[str | int, ...]

SECRET_PARAMETERS = frozenset({"api-key", "api_key", "key", "token", "access_token", "authorization"})
"""URLs land in logs, ours and others'."""


def realtime_faults(settings: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield (place, text) of each fault; a place of the wrong shape is the schema's business, and skipped."""
    endpoint, dialect = settings.get("endpoint"), settings.get("dialect")
    query, auth = _object(settings.get("query")), _object(settings.get("auth"))
    is_local = isinstance(endpoint, str) and _is_loopback(endpoint)
    if isinstance(endpoint, str) and (fault := _url_fault(endpoint)):
        yield ("endpoint",), fault
    if isinstance(endpoint, str) and endpoint.startswith("ws://") and not is_local:
        yield ("endpoint",), "may be ws:// only for a loopback host"
    if not auth and not is_local:
        yield ("auth",), "is missing: only a service on loopback asks for none"
    if auth.get("kind") == "entra" and dialect == Dialect.OPENAI.value:
        yield ("auth", "kind"), "must be key: OpenAI knows no Entra token"
    if "model" not in settings and not (dialect == Dialect.VOICE_LIVE.value and "agent-name" in query):
        yield ("model",), "is missing; only a Voice Live agent (agent-name in query) goes without"
    for name in query:
        if name.lower() in SECRET_PARAMETERS:
            yield ("query", name), "must not be in a URL; use auth"
        elif name == "model":
            yield ("query", name), "has a setting of its own: model"
    yield from _tool_faults(settings.get("tools"))


def _tool_faults(tools: object) -> Iterator[tuple[Place, str]]:
    names: set[object] = set(BUILT_IN_TOOLS)
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        name, url = (_object(tool).get(member) for member in ("name", "url"))
        if name in names:
            yield ("tools", index, "name"), "is taken: by another tool, or one that every agent has"
        if isinstance(name, str):
            names.add(name)
        if isinstance(url, str) and (fault := _url_fault(url)):
            yield ("tools", index, "url"), fault
        if isinstance(url, str) and url.startswith("http://") and not _is_loopback(url):
            yield ("tools", index, "url"), "may be http:// only for a loopback host"
        for kind in ("headers", "secret_headers"):
            for header in _object(_object(tool).get(kind)):
                if not is_allowed_header(header):
                    yield ("tools", index, kind, header), "is not a tool's to set"


def _url_fault(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        is_complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_complete = False
    if not is_complete:
        return "is no URL"
    return "must not have a user or a password: URLs land in logs" if "@" in parts.netloc else None


def _is_loopback(url: str) -> bool:
    try:
        return urlsplit(url).hostname in LOOPBACK_HOSTS
    except ValueError:
        return False


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
