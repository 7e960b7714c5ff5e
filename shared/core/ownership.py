"""Which pod holds a call: decided by conditional updates of the call's row, each of which raises its epoch.

| who comes                                              | gets the call where                                |
|--------------------------------------------------------|----------------------------------------------------|
| the first socket, its token in time                    | the call is not over                               |
| a socket of a token that was used or has expired       | one of `_may_come_again`'s conditions holds        |
| a pod that finds the owner dead, without a socket yet  | the owner is still the one that it found dead      |
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from shared.core.call import CallRecord, WrongConnection, advance, bind_connection
from shared.core.call_state import CallEvent, CallState, next_state

MEDIA_GRANT_S = 15.0
"""For a media socket to come after somebody asked ACS for it. ACS opens it within a second or two, or not at all."""


class Refusal(StrEnum):
    """Why a media socket does not get the call."""

    WRONG_TOKEN = "wrong_token"  # noqa: S105 - a reason, not a secret
    TOKEN_USED = "token_used"  # noqa: S105 - a reason, not a secret
    """By a socket whose pod, for all that is known, still holds the call."""
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a reason, not a secret
    """Unused, and nothing else speaks for the socket."""
    WRONG_CONNECTION = "wrong_connection"
    NO_CONNECTION = "no_connection"
    """The socket names none and has to; or the call is not bound to one yet."""
    NOT_ANSWERED = "not_answered"
    CALL_ENDING = "call_ending"
    CALL_OVER = "call_over"
    TAKEN_SINCE = "taken_since"
    """A later socket has got the call."""


class MediaRefused(Exception):
    """The media socket loses: its call belongs to another, or is over."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class MediaClaim:
    """What a media socket brings forward for a call; its token's signature, audience and call id are right."""

    account_id: str
    jti: str
    call_connection_id: str | None
    """The one that the socket names; None where it names none."""
    is_acs_verified: bool = False
    """Whether ACS's own JWT came with it and is good."""
    is_expired: bool = False
    """Whether the token is past its lifetime: ACS opens sockets anew with the URL of the answer."""


def take_ownership(
    record: CallRecord, claim: MediaClaim, *, pod: str, now: float, is_owner_dead: bool
) -> CallRecord:
    """Give the call to `pod`: consume the media token, bind the connection, raise the epoch.

    Args:
        record: the call as its row has it.
        claim: the socket's.
        pod: who holds the socket.
        now: Unix seconds.
        is_owner_dead: whether the record's owner is known to beat no more.

    Raises:
        MediaRefused: with the reason; the caller closes its socket.
    """
    if record.state.is_final:
        raise MediaRefused(Refusal.CALL_OVER)
    if claim.account_id != record.account_id or claim.jti != record.media_jti:
        raise MediaRefused(Refusal.WRONG_TOKEN)
    if claim.is_expired or record.media_jti_used:
        _check_comes_again(record, claim, now=now, is_owner_dead=is_owner_dead)
    # A first socket that names no connection takes the one that the call is bound to: its token is the call's alone.
    connection_id = claim.call_connection_id or record.call_connection_id
    if connection_id is None:
        raise MediaRefused(Refusal.NO_CONNECTION)
    try:
        bound = bind_connection(record, connection_id)
    except WrongConnection:
        raise MediaRefused(Refusal.WRONG_CONNECTION) from None
    return _owned_by(replace(bound, media_jti_used=True, media_asked="", media_grant_until=None), pod, now)


def _check_comes_again(record: CallRecord, claim: MediaClaim, *, now: float, is_owner_dead: bool) -> None:
    """Refuse a token that was used or has expired, unless its call has lost its media, or ACS itself brings it."""
    if record.state is CallState.RINGING:
        raise MediaRefused(Refusal.NOT_ANSWERED)
    if record.state is CallState.ENDING:
        raise MediaRefused(Refusal.CALL_ENDING)
    if claim.call_connection_id is None or record.call_connection_id is None:
        raise MediaRefused(Refusal.NO_CONNECTION)
    if claim.call_connection_id != record.call_connection_id:
        raise MediaRefused(Refusal.WRONG_CONNECTION)
    if not _may_come_again(record, claim, now=now, is_owner_dead=is_owner_dead):
        raise MediaRefused(Refusal.TOKEN_USED if record.media_jti_used else Refusal.TOKEN_EXPIRED)


def _may_come_again(record: CallRecord, claim: MediaClaim, *, now: float, is_owner_dead: bool) -> bool:
    # ACS's JWT proves who speaks, and our token which call is meant.
    if claim.is_acs_verified:
        return True
    if record.media_grant_until is not None and now <= record.media_grant_until:
        return True
    return record.owner is not None and (is_owner_dead or record.state is CallState.INTERRUPTED)


def take_over(record: CallRecord, *, dead: str, pod: str, now: float) -> CallRecord:
    """Give a call of a dead pod to `pod`, which is to see that its media come back, or else end it.

    Until `media_grant_until` a socket gets the call whatever it proves beyond its token. Returns the record as it is
    where `dead` does not hold the call any more, or it is over.
    """
    if record.state.is_final or record.owner != dead:
        return record
    if next_state(record.state, CallEvent.MEDIA_LOST) is not None:
        record = advance(record, CallEvent.MEDIA_LOST, now)
    return _owned_by(replace(record, media_grant_until=now + MEDIA_GRANT_S), pod, now)


def _owned_by(record: CallRecord, pod: str, now: float) -> CallRecord:
    if record.owner is not None and record.owner != pod:
        record = advance(record, CallEvent.TAKEN_OVER, now)
    return replace(record, owner=pod, epoch=record.epoch + 1)


class OwnershipLost(Exception):
    """Another pod took the call over; whoever held it must write nothing more."""


def require_epoch(record: CallRecord, epoch: int) -> CallRecord:
    """Return the record if `epoch` is still the call's; every write of an owner goes through here.

    Raises:
        OwnershipLost: the epoch is an older one.
    """
    if record.epoch != epoch:
        raise OwnershipLost
    return record
