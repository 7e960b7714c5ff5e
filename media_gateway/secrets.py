"""Values of Key Vault secrets that agents and their tools need: read at first use, and kept fresh from then on.

A call waits for the vault only where it must: for a secret's first read, for one that a service has just refused,
and for one that nobody has used for long.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from media_gateway.outside import SecretValues
from shared.errors import GatewayError, NotConfigured, VaultUnavailable
from shared.refresh import Refresher
from shared.security.keyring import CALLBACK_KEY_SECRET, MEDIA_KEY_SECRET

SECRET_MAX_AGE_S = 300.0
"""A secret that was used is read again, in the background, when it is used after this."""
SECRET_READ_S = 4.0
"""For one read."""
SECRET_INTERVAL_S = 1.0
"""Between two reads of one secret, however many calls doubt it."""
DOUBT_WAIT_S = 2.0
"""For a new read of a value that is in doubt. Then it is used all the same: what is away may not have changed."""
MAX_SECRETS = 500
"""Names that are kept. They come from profiles, which operators push; past it a new one is refused, and counted."""

OWN_KEYS = frozenset({MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET})
"""Whoever may push a profile may send its secrets to a host of his choice: not these."""


class Secrets:
    """All secrets of the process. Owns one task for each that is being read, however many calls wait for it.

    Args:
        vault: Key Vault.
        counters: `secrets_refused` counts names beyond `MAX_SECRETS`.
        clock: Seconds.
    """

    def __init__(
        self, vault: SecretValues, counters: Counter[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._vault = vault
        self._counters = counters
        self._clock = clock
        self._secrets: dict[str, _Secret] = {}

    async def value(self, name: str) -> str:
        """Return the value of the secret's latest version.

        Raises:
            VaultUnavailable: the vault did not answer in time, or refused, and never gave a value before.
            NotConfigured: there is no such secret, it is not for agents, or there are too many.
        """
        secret = self._secrets.get(name) or self._add(name)
        return await secret.fresh()

    def forget(self, name: str) -> None:
        """Doubt the value, because a service refused it: it is read anew before it is used again."""
        if name in self._secrets:
            self._secrets[name].doubt()

    async def close(self) -> None:
        """End what is being read."""
        await asyncio.gather(*(secret.refresher.close() for secret in self._secrets.values()))

    def _add(self, name: str) -> "_Secret":
        if name in OWN_KEYS:
            raise NotConfigured("a key of the gateway itself is no secret of an agent")
        if len(self._secrets) >= MAX_SECRETS:
            self._counters["secrets_refused"] += 1
            raise NotConfigured(f"more than {MAX_SECRETS} secrets are in use")
        secret = self._secrets[name] = _Secret(name, self._vault, self._clock)
        return secret


class _Secret:
    """One secret, as it was read last."""

    def __init__(self, name: str, vault: SecretValues, clock: Callable[[], float]) -> None:
        self._name = name
        self._vault = vault
        self._clock = clock
        self._value: str | None = None
        self._doubted_at = float("-inf")
        self.refresher = Refresher(
            self._read,
            max_age_s=SECRET_MAX_AGE_S,
            clock=clock,
            wait_s=DOUBT_WAIT_S,
            min_interval_s=SECRET_INTERVAL_S,
        )

    async def fresh(self) -> str:
        """Return the value. Raises `GatewayError`."""
        await self.refresher.ensure()
        if not self.refresher.is_newer_than(self._doubted_at):
            try:
                async with asyncio.timeout(DOUBT_WAIT_S):
                    await self.refresher.newer_than(self._doubted_at)
            except (GatewayError, TimeoutError):
                pass  # the refresher has logged it
        if self._value is None:
            raise self._missing()
        return self._value

    def doubt(self) -> None:
        """Want a read that begins from now on."""
        self._doubted_at = self._clock()

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(SECRET_READ_S):
                self._value = await self._vault.value(self._name)
        except TimeoutError:
            raise VaultUnavailable("Key Vault did not answer in time") from None
        if self._value is None:
            raise self._missing()

    def _missing(self) -> NotConfigured:
        return NotConfigured(f"Key Vault has no secret '{self._name}'")
