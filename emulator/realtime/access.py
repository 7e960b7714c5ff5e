"""Who may open a session: before the upgrade, as the services answer."""

import hmac
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, unquote

from picows import WSUpgradeRequest

from emulator.realtime.dialects import PATHS, Dialect
from emulator.realtime.settings import RealtimeSettings

MINUTE_S: Final = 60.0
SECRETS_IN_QUERY: Final = frozenset({"api-key", "api_key", "access_token", "authorization", "key", "token"})
"""Refused: URLs get into logs. Azure would take `api-key` here."""


class NotAdmitted(Exception):
    """An upgrade is refused.

    Attributes:
        status: of the answer.
        retry_after_s: when to try again, where that may help.
    """

    def __init__(self, status: HTTPStatus, reason: str, retry_after_s: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Upgrade:
    """What a client asks for. The query of a URL may hold no secret; headers are not kept.

    Attributes:
        dialect: of the service.
        query: of the URL; of a name that is there twice the last.
    """

    dialect: Dialect
    query: Mapping[str, str]


class Access:
    """Lets clients in.

    Args:
        settings: who is let in, and how often.
    """

    def __init__(self, settings: RealtimeSettings) -> None:
        self._settings = settings
        self._opened: deque[float] = deque()

    def admit(self, request: WSUpgradeRequest, now: float) -> Upgrade:
        """Check a request.

        Args:
            request: the request.
            now: monotonic time in seconds.

        Raises:
            NotAdmitted: it is not to be upgraded.
        """
        path, _, query_text = request.path.decode("latin-1").partition("?")
        dialect = PATHS.get(unquote(path))
        if dialect is None:
            raise NotAdmitted(HTTPStatus.NOT_FOUND, "no service has this path")
        query = dict(parse_qsl(query_text, keep_blank_values=True))
        if SECRETS_IN_QUERY & {name.lower() for name in query}:
            raise NotAdmitted(HTTPStatus.UNAUTHORIZED, "a secret is in the URL")
        if not self._is_known(dialect, request.headers):
            raise NotAdmitted(HTTPStatus.UNAUTHORIZED, "the key or token is wrong or missing")
        _check_query(dialect, query)
        if request.headers.get("OpenAI-Beta") is not None and dialect is not Dialect.VOICE_LIVE:
            raise NotAdmitted(HTTPStatus.BAD_REQUEST, "the beta's header asks for a protocol that is gone")
        self._count(now)
        return Upgrade(dialect, query)

    def _is_known(self, dialect: Dialect, headers: Mapping[str, str]) -> bool:
        key, tokens = self._settings.key, self._settings.tokens
        if key is None and not tokens:
            return True
        scheme, _, bearer = headers.get("Authorization", "").partition(" ")
        bearer = bearer if scheme.lower() == "bearer" else ""
        if dialect is Dialect.OPENAI:
            return key is not None and _same(bearer, key)
        has_key = key is not None and _same(headers.get("api-key", ""), key)
        return has_key or any(_same(bearer, token) for token in tokens)

    def _count(self, now: float) -> None:
        limit = self._settings.connections_per_minute
        if limit is None:
            return
        while self._opened and self._opened[0] <= now - MINUTE_S:
            self._opened.popleft()
        if len(self._opened) >= limit:
            wait_s = self._opened[0] + MINUTE_S - now if self._opened else MINUTE_S
            raise NotAdmitted(
                HTTPStatus.TOO_MANY_REQUESTS, "too many connections in a minute", int(wait_s) + 1
            )
        self._opened.append(now)


def _check_query(dialect: Dialect, query: Mapping[str, str]) -> None:
    has_agent = bool(query.get("agent-name") and query.get("agent-project-name"))
    if not query.get("model") and not (dialect is Dialect.VOICE_LIVE and has_agent):
        raise NotAdmitted(HTTPStatus.BAD_REQUEST, "no model is named in the URL")
    if dialect is Dialect.VOICE_LIVE and not query.get("api-version"):
        raise NotAdmitted(HTTPStatus.BAD_REQUEST, "no api-version is named in the URL")


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())
