"""How Call Automation words the outcome of a transfer.

The far side's SIP code comes with 560 before it where that side is on a phone; others have subcodes of their own
(Azure's table of Call Automation's codes, 8538 to 8544).
"""

from collections.abc import Mapping
from typing import Final

from emulator.transfers import TransferOutcome
from emulator.wire.callback_events import ResultInformation
from emulator.wire.identifiers import Identifier, IdentifierKind

ACCEPTED: Final = ResultInformation(200, 0, "The transfer operation completed successfully.")

_FAILED: Mapping[TransferOutcome, ResultInformation] = {
    TransferOutcome.BUSY: ResultInformation(486, 8539, "The callee is busy."),
    TransferOutcome.DECLINED: ResultInformation(603, 8538, "The callee declined the call."),
    TransferOutcome.NOT_ANSWERED: ResultInformation(480, 8541, "The callee is unavailable."),
    TransferOutcome.CALLER_ID_REFUSED: ResultInformation(403, 510403, "Call blocked."),
    TransferOutcome.CONFLICT: ResultInformation(409, 8607, "Another transfer of the call is under way."),
    TransferOutcome.CALL_ENDED: ResultInformation(400, 8528, "Action failed, the call was terminated."),
}

_FAILED_AT_PHONES: Mapping[TransferOutcome, ResultInformation] = {
    TransferOutcome.BUSY: ResultInformation(486, 560486, "Busy here."),
    TransferOutcome.DECLINED: ResultInformation(603, 560603, "Decline."),
    TransferOutcome.NOT_ANSWERED: ResultInformation(480, 560480, "No answer."),
}


def failure(outcome: TransferOutcome, target: Identifier) -> ResultInformation:
    """What CallTransferFailed says of a transfer to this target."""
    if target.kind is IdentifierKind.PHONE_NUMBER and outcome in _FAILED_AT_PHONES:
        return _FAILED_AT_PHONES[outcome]
    return _FAILED[outcome]
