"""Which pod holds a call: decided by one conditional update of the call's row."""

from dataclasses import replace
from enum import StrEnum

from shared.core.call import CallRecord, WrongConnection, bind_connection


class Refusal(StrEnum):
    """Why a media socket does not get the call."""

    WRONG_TOKEN = "wrong_token"  # noqa: S105 - a reason, not a secret
    TOKEN_USED = "token_used"  # noqa: S105 - a reason, not a secret
    WRONG_CONNECTION = "wrong_connection"
    NO_CONNECTION = "no_connection"
    """The socket names none, and the call is not bound to one yet."""
    CALL_OVER = "call_over"


class MediaRefused(Exception):
    """The media socket loses: its call belongs to another, or is over."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


def take_ownership(
    record: CallRecord, *, account_id: str, jti: str, call_connection_id: str | None, pod: str
) -> CallRecord:
    """Give the call to `pod`: consume the media token, bind the connection, raise the epoch.

    A socket that names no connection takes the one that the call is bound to: its token is the call's alone.

    Raises:
        MediaRefused: with the reason; the caller closes its socket.
    """
    if record.state.is_final:
        raise MediaRefused(Refusal.CALL_OVER)
    if account_id != record.account_id or jti != record.media_jti:
        raise MediaRefused(Refusal.WRONG_TOKEN)
    if record.media_jti_used:
        raise MediaRefused(Refusal.TOKEN_USED)
    connection_id = call_connection_id or record.call_connection_id
    if connection_id is None:
        raise MediaRefused(Refusal.NO_CONNECTION)
    try:
        record = bind_connection(record, connection_id)
    except WrongConnection:
        raise MediaRefused(Refusal.WRONG_CONNECTION) from None
    return replace(record, media_jti_used=True, owner=pod, epoch=record.epoch + 1)


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
