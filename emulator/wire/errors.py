"""Errors in the shape in which Call Automation answers them.

`code` is the numeric subcode as text where ACS has one; it may be a word.
"""

import msgspec


class AcsError(Exception):
    """A refusal by Call Automation.

    Attributes:
        status: the HTTP status.
        code: the subcode as text, for example `8522`, or a word.
        message: free text; clients must not match on it.
        target: the member of the request that is at fault, if one is.
    """

    def __init__(self, status: int, code: str, message: str, *, target: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target

    def body(self) -> bytes:
        """The JSON that goes with the status."""
        error = CommunicationError(code=self.code, message=self.message, target=self.target)
        return msgspec.json.encode(CommunicationErrorResponse(error))


class CommunicationError(msgspec.Struct, frozen=True, kw_only=True):
    """The inside of an error answer."""

    code: str
    message: str
    target: str | None = None
    details: tuple["CommunicationError", ...] = ()
    innererror: "CommunicationError | None" = None


class CommunicationErrorResponse(msgspec.Struct, frozen=True):
    """An error answer."""

    error: CommunicationError


def bad_argument(message: str, target: str | None = None) -> AcsError:
    """The request's body or query is not valid."""
    return AcsError(400, "8523", message, target=target)


def call_not_found() -> AcsError:
    """There is no such call, or there is none any more."""
    return AcsError(404, "8522", "Call not found.")


def participant_not_found() -> AcsError:
    """Nobody of the call is whom the request names."""
    return AcsError(404, "8522", "Participant not found.")


def call_not_established() -> AcsError:
    """The call exists but is not connected yet."""
    return AcsError(400, "8501", "Action is invalid when call is not in Established state.")


def invalid_in_this_state(message: str) -> AcsError:
    """The action does not fit the state of the call."""
    return AcsError(400, "8585", message)


def media_operation_active(message: str) -> AcsError:
    """A media operation of this kind is under way already."""
    return AcsError(400, "8500", message)


def missing_configuration(message: str) -> AcsError:
    """The answer did not give what this operation needs."""
    return AcsError(405, "8522", message)


def nothing_to_say(target: str) -> AcsError:
    """A text or SSML to be spoken is empty."""
    return AcsError(400, "8582", "The text to play is empty.", target=target)


def not_supported(message: str) -> AcsError:
    """ACS does not do this."""
    return AcsError(405, "8520", message)


def not_emulated(message: str) -> AcsError:
    """ACS does this, this emulator does not."""
    return AcsError(501, "NotImplemented", message)


def signature_refused(message: str) -> AcsError:
    """The access-key signature of the request is missing or wrong."""
    return AcsError(401, "7509", message)


def token_refused(message: str) -> AcsError:
    """The Entra bearer token of the request is wrong."""
    return AcsError(401, "7501", message)
