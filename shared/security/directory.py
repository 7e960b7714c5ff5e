"""All accounts, in memory: found by the headers that a delivery carries.

Read in the background once they are older than two thirds of their maximum age, and waited for, a second at most,
beyond it: so a change takes effect within the maximum age. While storage is away the last known accounts are used,
for ten times that age: by default a disabled account lives on for 5 minutes of an outage at most. No call could be
answered meanwhile anyway, because its claim needs the same storage.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from shared.errors import StoreUnavailable
from shared.refresh import Refresher
from shared.security.accounts import Account, hash_secret, new_api_secret, secret_matches

MAX_AGE_S = 30.0
BACKGROUND = 2 / 3
"""Of the maximum age: then a read begins, and nobody waits."""
KEPT = 10
"""Times the maximum age that the last known accounts are used while storage is away."""
READS = 1 / 30
"""Of the maximum age between reads, a second: as often as storage may be asked, however much is refused."""
WAIT_S = 1.0

_NOBODY = hash_secret(new_api_secret())
"""Compared with when the API id is unknown, so that the answer takes as long."""


class Reason(StrEnum):
    """Why a delivery is not let in."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    WRONG = "wrong"
    DISABLED = "disabled"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class Shown:
    """A pair of credentials, and the names (in lower case) of the headers that carried it."""

    headers: tuple[str, str]
    api_id: str
    api_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The account whose API id was shown, and why it is not let in; no reason: it is."""

    account: Account | None
    reason: Reason | None


class Accounts:
    """The accounts as they were read at one time."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_headers: dict[tuple[str, str], dict[str, Account]] = {}
        self._secret_headers: dict[str, list[str]] = {}
        for account in accounts:
            headers = (account.api_id_header.lower(), account.api_secret_header.lower())
            if headers not in self._by_headers:
                self._by_headers[headers] = {}
                self._secret_headers.setdefault(headers[0], []).append(headers[1])
            self._by_headers[headers][account.api_id] = account

    def __bool__(self) -> bool:
        return bool(self._by_headers)

    def shown(self, headers: Mapping[str, str]) -> tuple[Shown, ...]:
        """Return every pair of credentials among the headers of a delivery, whose names have any case."""
        values = {name.lower(): value for name, value in headers.items() if value}
        return tuple(
            Shown((id_header, secret_header), api_id, values[secret_header])
            for id_header, api_id in values.items()
            for secret_header in self._secret_headers.get(id_header, ())
            if secret_header in values
        )

    def judge(self, shown: Sequence[Shown]) -> Verdict:
        """Return the first pair's verdict that lets in, else the one that came nearest to it."""
        worst = Verdict(None, Reason.UNKNOWN if shown else Reason.MISSING)
        for pair in shown:
            account = self._by_headers.get(pair.headers, {}).get(pair.api_id)
            hashes = (_NOBODY,) if account is None else account.secret_hashes
            matches = secret_matches(pair.api_secret, hashes)
            if account is None:
                continue
            if not matches:
                if worst.account is None:
                    worst = Verdict(account, Reason.WRONG)
            elif account.enabled:
                return Verdict(account, None)
            else:
                worst = Verdict(account, Reason.DISABLED)
        return worst


class AccountStore(Protocol):
    """Where accounts are kept."""

    async def all(self) -> list[Account]:
        """Return every account. Raises `StoreUnavailable`."""
        ...


class AccountDirectory:
    """Keeps the accounts fresh. `clock` tells seconds, `sleep` waits for some."""

    def __init__(
        self,
        store: AccountStore,
        *,
        max_age_s: float = MAX_AGE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._max_age_s = max_age_s
        self._kept_s = max_age_s * KEPT
        self._accounts = Accounts(())
        self.refresher = Refresher(
            self._refresh,
            max_age_s=max_age_s * BACKGROUND,
            outdated_s=max_age_s,
            wait_s=WAIT_S,
            min_interval_s=max_age_s * READS,
            clock=clock,
            sleep=sleep,
        )

    @property
    def is_outdated(self) -> bool:
        """Whether a change of the accounts may be missing that should have taken effect."""
        return self.refresher.age_s > self._max_age_s

    @property
    def known(self) -> Accounts:
        """What is known, without asking anybody."""
        return self._accounts

    async def current(self) -> Accounts:
        """Return the accounts from memory, unless they are too old.

        Raises:
            StoreUnavailable: they were never read, or too long ago, and storage does not answer.
        """
        await self.refresher.ensure()
        if self.refresher.age_s > self._kept_s:
            raise StoreUnavailable("the accounts could not be read for too long")
        return self._accounts

    async def anew(self) -> Accounts:
        """Return the accounts of a read that begins after this call, within about a second.

        Raises:
            StoreUnavailable: storage does not answer.
        """
        await self.refresher.read_anew()
        return self._accounts

    async def _refresh(self) -> None:
        self._accounts = Accounts(await self._store.all())
