"""The tokens of Web PubSub: what a server proves itself with, and what opens a client's socket."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from yarl import URL

ALGORITHM: Final = "HS256"


class TokenRefused(Exception):
    """The token does not prove what it has to; the text says why, without the token."""


@dataclass(frozen=True)
class Claims:
    """What a client's token gives it.

    Attributes:
        roles: for example `webpubsub.sendToGroup` or `webpubsub.joinLeaveGroup.pod-1`.
        groups: which it joins by connecting.
    """

    user_id: str | None = None
    roles: Collection[str] = ()
    groups: Collection[str] = ()


def check_request_token(token: str, url: str, *, access_key: str) -> None:
    """Check a token that a server has signed for one request.

    Args:
        token: without `Bearer`.
        url: the request's, with its query: the audience.
        access_key: as text; its bytes sign, not those that its base64 stands for.

    Raises:
        TokenRefused: it is forged, expired, or for another request.
    """
    _read(token, url, access_key)


def read_client_token(token: str, url: str, *, access_key: str) -> Claims:
    """Check a client's access token, and tell what it gives.

    Args:
        token: of the query, or of the `Authorization` header without `Bearer`.
        url: of the hub's clients, `http://.../client/hubs/{hub}`: the audience.
        access_key: that signed it.

    Raises:
        TokenRefused: it is forged, expired, or for another hub or host.
    """
    content = _read(token, url, access_key)
    user_id = content.get("sub")
    return Claims(
        user_id=user_id if isinstance(user_id, str) else None,
        roles=_texts(content.get("role")),
        groups=_texts(content.get("webpubsub.group")),
    )


def client_token(claims: Claims, url: str, *, access_key: str, lifetime_seconds: float) -> str:
    """A token for a client, as the service makes them for servers that have no access key."""
    now = int(time.time())
    content: dict[str, Any] = {"aud": url, "iat": now, "exp": now + int(lifetime_seconds)}
    if claims.user_id is not None:
        content["sub"] = claims.user_id
    if claims.roles:
        content["role"] = list(claims.roles)
    if claims.groups:
        content["webpubsub.group"] = list(claims.groups)
    return jwt.encode(content, access_key, algorithm=ALGORITHM)


def _read(token: str, url: str, access_key: str) -> Mapping[str, Any]:
    try:
        content = jwt.decode(
            token,
            access_key,
            algorithms=[ALGORITHM],
            # Audiences are compared as URLs: clients differ in what they percent-encode.
            options={"require": ["aud", "exp"], "verify_aud": False},
        )
    except jwt.PyJWTError as error:
        raise TokenRefused(f"The token is not valid: {type(error).__name__}.") from None
    if not any(_same_url(audience, url) for audience in _texts(content["aud"])):
        raise TokenRefused("The token's audience is not the URL of the request.")
    return content


def _same_url(one: str, other: str) -> bool:
    try:
        urls = URL(one), URL(other)
        # Spaces of a query are percent-encoded by one client, and pluses by another.
        return urls[0].query == urls[1].query and urls[0].with_query(None) == urls[1].with_query(None)
    except ValueError:
        return False


def _texts(claim: object) -> tuple[str, ...]:
    """A claim that is one text or several."""
    values = claim if isinstance(claim, list) else [claim]
    return tuple(value for value in values if isinstance(value, str))
