"""One tree of errors, and one table that says what each means to whoever asked.

A temporary fault is never a 4xx: Event Grid and ACS give up on most of those for good.
"""

from dataclasses import dataclass
from http import HTTPStatus


class GatewayError(Exception):
    """Base of all errors that reach an edge. The text is safe to show: it holds no secret and no personal data."""


class BadRequest(GatewayError):
    """The request cannot be understood; sending it again will not help."""


class BodyRequired(GatewayError):
    """A body is needed, and none came (the Functions host drops bodies sent without a Content-Length)."""


class BodyTooLarge(GatewayError):
    """The body is larger than any real event or callback."""


class Unauthorized(GatewayError):
    """Credentials or token are missing, unknown, wrong or expired."""


class Forbidden(GatewayError):
    """The credentials are good, but not for this call."""


class NotFound(GatewayError):
    """No such call, account, version or path."""


class Conflict(GatewayError):
    """The thing to be created is there already, or somebody else changed it meanwhile."""


class TemporaryFault(GatewayError):
    """Something we need is away; the same request may succeed later."""


class StoreUnavailable(TemporaryFault):
    """Storage did not answer, or answered with a fault of its own."""


class StoreRefused(StoreUnavailable):
    """Storage refused the request itself: the same request will be refused again, until somebody mends the reason."""


class VaultUnavailable(TemporaryFault):
    """Key Vault did not answer, and no key is known from before."""


class IdentityUnavailable(TemporaryFault):
    """Entra gave no token of this process's identity."""


class SignalsUnavailable(TemporaryFault):
    """Web PubSub did not take a signal, or gave no address to receive them at; the store has all that they tell."""


class AcsUnavailable(TemporaryFault):
    """Call Automation did not answer, throttled us, or refused for a reason that is ours to mend."""


class AcsRefused(AcsUnavailable):
    """Call Automation refused the request itself: the same request will be refused again."""

    def __init__(self, text: str, *, code: int = 0, sub_code: int = 0) -> None:
        super().__init__(text)
        self.code = code
        """HTTP status; 0: not known."""
        self.sub_code = sub_code


class NotConfigured(TemporaryFault):
    """Settings are missing or wrong: the operator must mend them, and the caller may try again then."""


class TooManyAttempts(TemporaryFault):
    """So many deliveries with credentials that are not good are waiting that no more can be looked into."""


class CallGone(GatewayError):
    """ACS no longer knows the call: the caller gave up, or it was answered elsewhere."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error means outside: HTTP status, whether a retry can help, and its label in metrics."""

    status: HTTPStatus
    retry: bool
    metric: str


MEANINGS: tuple[tuple[type[GatewayError], Meaning], ...] = (
    (BadRequest, Meaning(HTTPStatus.BAD_REQUEST, retry=False, metric="bad_request")),
    (BodyRequired, Meaning(HTTPStatus.LENGTH_REQUIRED, retry=False, metric="body_required")),
    (BodyTooLarge, Meaning(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, retry=False, metric="body_too_large")),
    (Unauthorized, Meaning(HTTPStatus.UNAUTHORIZED, retry=False, metric="unauthorized")),
    (Forbidden, Meaning(HTTPStatus.FORBIDDEN, retry=False, metric="forbidden")),
    (NotFound, Meaning(HTTPStatus.NOT_FOUND, retry=False, metric="not_found")),
    (Conflict, Meaning(HTTPStatus.CONFLICT, retry=False, metric="conflict")),
    (CallGone, Meaning(HTTPStatus.GONE, retry=False, metric="call_gone")),
    (StoreRefused, Meaning(HTTPStatus.SERVICE_UNAVAILABLE, retry=True, metric="store_refused")),
    (StoreUnavailable, Meaning(HTTPStatus.SERVICE_UNAVAILABLE, retry=True, metric="store_unavailable")),
    (VaultUnavailable, Meaning(HTTPStatus.SERVICE_UNAVAILABLE, retry=True, metric="vault_unavailable")),
    (
        IdentityUnavailable,
        Meaning(HTTPStatus.SERVICE_UNAVAILABLE, retry=True, metric="identity_unavailable"),
    ),
    (
        SignalsUnavailable,
        Meaning(HTTPStatus.SERVICE_UNAVAILABLE, retry=True, metric="signals_unavailable"),
    ),
    (AcsRefused, Meaning(HTTPStatus.SERVICE_UNAVAILABLE, retry=True, metric="acs_refused")),
    (AcsUnavailable, Meaning(HTTPStatus.SERVICE_UNAVAILABLE, retry=True, metric="acs_unavailable")),
    (NotConfigured, Meaning(HTTPStatus.INTERNAL_SERVER_ERROR, retry=True, metric="not_configured")),
    (TooManyAttempts, Meaning(HTTPStatus.INTERNAL_SERVER_ERROR, retry=True, metric="too_many_attempts")),
    (TemporaryFault, Meaning(HTTPStatus.INTERNAL_SERVER_ERROR, retry=True, metric="temporary_fault")),
    (GatewayError, Meaning(HTTPStatus.INTERNAL_SERVER_ERROR, retry=True, metric="internal")),
)
"""The first row whose class fits decides, so subclasses stand before their parents."""


def meaning(error: BaseException) -> Meaning:
    """Return what `error` means outside; an error that is not ours is a fault of ours, and worth a retry."""
    for kind, what in MEANINGS:
        if isinstance(error, kind):
            return what
    return Meaning(HTTPStatus.INTERNAL_SERVER_ERROR, retry=True, metric="internal")
