"""What a callback of ACS means: to the call's state machine, by its type, and to the call's cause, by its codes.

Sources: the service's tables of Call Automation and PSTN response codes. Codes that are in no table are kept like the
others, and have the general meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from shared.core.call_state import CallEvent, Cause

T = TypeVar("T")

EVENT_OF_CALLBACK: Mapping[str, CallEvent] = {
    "CallConnected": CallEvent.CALL_CONNECTED,
    "CallDisconnected": CallEvent.CALL_DISCONNECTED,
    "AnswerFailed": CallEvent.ANSWER_FAILED,
    "CallTransferAccepted": CallEvent.TRANSFER_ACCEPTED,
    "CallTransferFailed": CallEvent.TRANSFER_FAILED,
    # Started and Stopped say nothing that the media socket does not say first, where a pod has it.
    "MediaStreamingFailed": CallEvent.MEDIA_STREAMING_FAILED,
}
"""By the callback's type without `Microsoft.Communication.`; every other type is kept and moves nothing."""


@dataclass(frozen=True, slots=True)
class AcsResult:
    """The numbers of a callback's `resultInformation`; 0 where there is none. Its text may hold a phone number."""

    code: int = 0
    """Like an HTTP or SIP status."""
    sub_code: int = 0
    """The reason: four or five digits are the service's own, 54xxxx and 56xxxx end in the far side's SIP status."""
    sip_code: int = 0
    """SIP status of the carrier or session border controller, where it gave one."""


class TransferFailure(StrEnum):
    """Why a transfer failed, as the agent hears it."""

    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    """There is no such number or user, or none that can be rung."""
    FAILED = "failed"
    """For a reason that is not the target's, or not known."""


_SIDES_OF_THE_TELEPHONE_NETWORK = frozenset({540, 560})
"""Thousands of the sub-codes of inbound and outbound legs."""

_DISCONNECTED: Mapping[int, Cause] = {
    0: Cause.CALLER_HUNG_UP,
    200: Cause.CALLER_HUNG_UP,
    487: Cause.CALLER_HUNG_UP,
    497: Cause.CALLER_HUNG_UP,
    # Ended by the service after a transfer; it may overtake CallTransferAccepted.
    7015: Cause.TRANSFERRED,
    8513: Cause.NETWORK_LOST,
    8537: Cause.NETWORK_LOST,
    **dict.fromkeys((408, 410, 430, 480, 481, 490, 491, 496, 498), Cause.NETWORK_LOST),
    **dict.fromkeys((500, 502, 503, 504), Cause.NETWORK_LOST),
}
_ANSWER_FAILED: Mapping[int, Cause] = {
    487: Cause.CALLER_GONE,
    497: Cause.CALLER_GONE,
    # The call is not there, over, cancelled, or was taken by somebody else.
    **dict.fromkeys((8501, 8522, 8528, 8542, 8585, 10003), Cause.CALLER_GONE),
    # Not answered in time.
    **dict.fromkeys((4506, 8586, 8587, 10004), Cause.RING_EXPIRED),
    # 487 like the caller's own, but ours: no media could be agreed on.
    4501: Cause.ANSWER_FAILED,
}
CAUSES_OF_CODES: Mapping[CallEvent, tuple[Mapping[int, Cause], Cause]] = {
    CallEvent.CALL_DISCONNECTED: (_DISCONNECTED, Cause.DISCONNECTED),
    CallEvent.ANSWER_FAILED: (_ANSWER_FAILED, Cause.ANSWER_FAILED),
}
"""Of the callbacks whose codes tell the cause: by code, and the one that every other code means."""

TRANSFER_FAILURES: Mapping[int, TransferFailure] = {
    **dict.fromkeys((486, 600, 8539, 8540), TransferFailure.BUSY),
    **dict.fromkeys((603, 8538, 10024), TransferFailure.DECLINED),
    **dict.fromkeys((408, 480, 487, 8541, 8542), TransferFailure.NO_ANSWER),
    **dict.fromkeys((404, 410, 430, 484, 604), TransferFailure.UNREACHABLE),
    # 480 like an answer that did not come, but the user is not there to be rung.
    **dict.fromkeys((8543, 8544, 10076, 10077, 10078), TransferFailure.UNREACHABLE),
    # 404 too, but of our own call or of who was to be transferred.
    8522: TransferFailure.FAILED,
}


def is_old_media(data: Mapping[str, Any], asked: str) -> bool:
    """Whether MediaStreamingFailed tells of media from before those that ACS was asked for last.

    Args:
        data: the callback's.
        asked: the operation context of that request; empty for the media that the answer began.
    """
    return bool(asked) and data.get("operationContext") != asked


def cause_of_codes(event: CallEvent, result: AcsResult) -> Cause | None:
    """Return the cause that ACS's codes give to the end of a call; None for an event that they say nothing of."""
    if event not in CAUSES_OF_CODES:
        return None
    table, otherwise = CAUSES_OF_CODES[event]
    return _looked_up(table, result, otherwise)


def transfer_failure(result: AcsResult) -> TransferFailure:
    """Return what the codes of CallTransferFailed mean to the agent."""
    return _looked_up(TRANSFER_FAILURES, result, TransferFailure.FAILED)


def _looked_up(table: Mapping[int, T], result: AcsResult, otherwise: T) -> T:
    """Look for the most exact of a result's numbers that the table has."""
    numbers = [result.sub_code, result.sip_code]
    side, status = divmod(result.sub_code, 1000)
    if side in _SIDES_OF_THE_TELEPHONE_NETWORK:
        numbers.append(status)
    known = [table[number] for number in numbers if number and number in table]
    return known[0] if known else table.get(result.code, otherwise)
