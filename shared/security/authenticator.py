"""Lets a delivery in by its account's credentials.

Good credentials that are known in memory are let in at once, whatever others do. Anything else waits for a read of
the accounts that begins after it came, because 401 is final for Event Grid, and the secret may have been rotated a
moment ago; there is one such read a second. What is still not good is slowed by a penalty, and then refused. Where
too many wait, the answer is a temporary fault, never 401, and a read begins, so that the next try finds memory fresh.
"""

from collections.abc import Mapping

from shared.errors import GatewayError, NotConfigured, StoreUnavailable, TooManyAttempts, Unauthorized
from shared.security.accounts import Account
from shared.security.attempts import NOBODY, Attempts
from shared.security.directory import AccountDirectory, Reason, Verdict

NO_HEADERS = "(missing)"
"""Stands for all deliveries without credentials; no account id has parentheses."""


class Authenticator:
    """Finds the account of a delivery."""

    def __init__(self, directory: AccountDirectory, attempts: Attempts) -> None:
        self._directory = directory
        self._attempts = attempts

    async def authenticate(self, headers: Mapping[str, str]) -> Account | None:
        """Return the enabled account that a delivery's headers prove; None: they hold no pair of any account.

        Raises:
            Unauthorized: the credentials are unknown or wrong, or the account is disabled.
            TooManyAttempts: they are not known to be good, and too many such deliveries are waiting.
            StoreUnavailable: they are not known to be good, and storage does not answer.
        """
        accounts = await self._directory.current()
        verdict = accounts.judge(accounts.shown(headers))
        if verdict.reason is None:
            return verdict.account
        if accounts and verdict.reason is Reason.MISSING:
            return None
        try:
            with self._attempts.place(_who(verdict)):
                accounts = await self._directory.anew()
                verdict = accounts.judge(accounts.shown(headers))
                if verdict.reason is None:
                    return verdict.account
                if verdict.reason is Reason.MISSING:
                    return None
                await self._attempts.punish(_who(verdict), verdict.reason)
        except TooManyAttempts:
            self._directory.refresher.nudge()
            raise
        raise Unauthorized("credentials are not good")

    def missing(self) -> GatewayError:
        """Count a delivery without credentials, and return what to answer it with.

        Where there is no account yet it is a temporary fault: nobody's credentials could have been known. It is one
        too while storage is away: an account may have got headers of its own meanwhile.
        """
        self._attempts.refused(NO_HEADERS, Reason.MISSING)
        if not self._directory.known:
            return NotConfigured("there is no account yet")
        if self._directory.is_outdated:
            return StoreUnavailable("the accounts could not be read lately")
        return Unauthorized("credentials are missing")


def _who(verdict: Verdict) -> str:
    return NOBODY if verdict.account is None else verdict.account.account_id
