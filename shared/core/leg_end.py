"""When what ACS says of the end of our leg is its last word.

CallDisconnected and CallTransferAccepted of one transfer come in any order. So amid a transfer the end of the leg says
little by itself: the caller has hung up, or the target has them. Who holds the call waits a moment for the other
callback; of a call that no pod holds, whoever takes it over does.
"""

from shared.core.call import CallRecord
from shared.core.call_state import CallEvent, CallState, Cause
from shared.core.callbacks import AcsResult, cause_of_codes

_ENDS_OF_TRANSFERS = frozenset({CallEvent.TRANSFER_FAILED, CallEvent.TRANSFER_ACCEPTED})


def is_last_word(record: CallRecord, event: CallEvent, result: AcsResult | None) -> bool:
    """Whether nothing that ACS may tell yet changes how the call has ended.

    Args:
        record: the call before the event.
        event: CALL_DISCONNECTED or TRANSFER_ACCEPTED.
        result: what ACS said of it; None where it only did not know the call any more.
    """
    if event is not CallEvent.CALL_DISCONNECTED or not _is_amid_transfer(record):
        return True
    return result is not None and cause_of_codes(event, result) is Cause.TRANSFERRED


def _is_amid_transfer(record: CallRecord) -> bool:
    """Whether a transfer was asked for, by whatever pod, whose end the row does not tell; nor is the call ending."""
    if record.state is CallState.ENDING or record.state.is_final:
        return False
    for entry in reversed(record.history):
        if entry.event is CallEvent.TRANSFER_REQUESTED:
            return True
        if entry.event in _ENDS_OF_TRANSFERS:
            return False
    return record.state is CallState.TRANSFERRING
