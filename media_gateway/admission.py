"""The checks before a media socket's 101: synchronous, and from memory alone.

A listener factory cannot await, and a stranger must not make us ask anybody anything. A refused upgrade is a
MediaStreamingFailed to ACS; an accepted socket that is then closed may look like an interruption to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qs

from picows import WSUpgradeRequest

from media_gateway.admitted import Admitted
from shared.core.ownership import MediaClaim
from shared.security.acs_jwt import AcsTokenVerifier
from shared.security.keyring import KeyNotRead, Keyring
from shared.security.tokens import Audience, TokenClaims, TokenRejected, UnknownKey

MEDIA_PREFIX = "/media/"
CONNECTION_ID_HEADER = "x-ms-call-connection-id"
MAX_ID_CHARS = 128
"""A call connection id is a GUID."""


class Refused(Exception):
    """The socket is not let in. The reason is a text of ours."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Room(Protocol):
    """Whether there is room on this pod."""

    @property
    def is_draining(self) -> bool:
        """Whether nobody is let in any more."""

    @property
    def has_room(self) -> bool:
        """Whether one more may come."""

    def is_held(self, call_id: str) -> bool:
        """Whether the call is here already, and a socket only brings its media back."""


class Load(Protocol):
    """Whether this pod is in time."""

    @property
    def is_full(self) -> bool:
        """Whether one call more would cost those in progress."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Decides who may open a media socket here.

    Args:
        keys: Our media keys.
        acs_tokens: The check of ACS's own JWT; None where it is not configured.
        room: The calls of this pod.
        load: How late this pod is.
        on_unknown_key: Called when a token names a key that may be newer than our copy.
    """

    keys: Keyring
    acs_tokens: AcsTokenVerifier | None
    room: Room
    load: Load
    on_unknown_key: Callable[[], None]

    def check(self, request: WSUpgradeRequest) -> Admitted:
        """Return what the request proves.

        Raises:
            Refused: it proves too little (401), there is no such path (404), there is no place, or its proof
                cannot be judged yet (503).
        """
        path, _, query = request.path.decode("latin-1").partition("?")
        call_id = path.removeprefix(MEDIA_PREFIX)
        if not path.startswith(MEDIA_PREFIX) or not call_id or "/" in call_id:
            raise Refused(HTTPStatus.NOT_FOUND, "no such path")
        is_held = self.room.is_held(call_id)
        if self.room.is_draining and not is_held:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the process stops")
        claims = self._check_token(query, call_id)
        self._check_acs(request.headers.get("Authorization"))
        connection_id = self._connection_id(request)
        if not is_held and not self.room.has_room:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "no room")
        if not is_held and self.load.is_full:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "saturated")
        claim = MediaClaim(
            claims.account_id,
            claims.jti,
            connection_id,
            is_acs_verified=self.acs_tokens is not None,
            is_expired=claims.is_expired,
        )
        return Admitted(call_id, claim)

    def _connection_id(self, request: WSUpgradeRequest) -> str | None:
        """Return the id that ACS gives. A load tool may give none, where ACS need not prove itself."""
        connection_id = request.headers.get(CONNECTION_ID_HEADER)
        if connection_id is None and self.acs_tokens is None:
            return None
        if not connection_id or len(connection_id) > MAX_ID_CHARS or not connection_id.isascii():
            raise Refused(HTTPStatus.UNAUTHORIZED, "no call connection id")
        return str(connection_id)

    def _check_token(self, query: str, call_id: str) -> TokenClaims:
        if not self.keys.refresher.is_loaded:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "no keys yet")
        tokens = parse_qs(query).get("token", [])
        if len(tokens) != 1:
            raise Refused(HTTPStatus.UNAUTHORIZED, "not one token")
        try:
            # Media that begin again come with the URL of the answer, however long ago that was.
            claims = self.keys.verify(tokens[0], audience=Audience.MEDIA, may_be_expired=True)
        except TokenRejected as rejected:
            raise Refused(HTTPStatus.UNAUTHORIZED, f"token: {rejected.reason}") from None
        except KeyNotRead:
            # It may be good, so this is no 401; and it may be forged, so nobody waits for the vault here.
            self.on_unknown_key()
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "keys older than the token") from None
        if claims.call_id != call_id:
            raise Refused(HTTPStatus.UNAUTHORIZED, "token of another call")
        return claims

    def _check_acs(self, authorization: str | None) -> None:
        if self.acs_tokens is None:
            return
        if not self.acs_tokens.refresher.is_loaded:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "no keys of ACS yet")
        try:
            self.acs_tokens.verify(authorization)
        except UnknownKey as unknown:
            if not self.acs_tokens.refresher.is_newer_than(unknown.made_by):
                self.on_unknown_key()
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "ACS's keys older than its token") from None
            raise Refused(HTTPStatus.UNAUTHORIZED, f"token: {unknown.reason}") from None
        except TokenRejected as rejected:
            raise Refused(HTTPStatus.UNAUTHORIZED, f"token: {rejected.reason}") from None
