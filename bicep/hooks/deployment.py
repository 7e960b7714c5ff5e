# ruff: noqa: INP001 - a script, no package
"""What azd's hooks do: set what a new deployment lacks, and wait until it would take a call.

    python -m bicep.hooks.deployment seed     keys, accounts with Event Grid's credentials, profiles
    python -m bicep.hooks.deployment ready    until both processes say that they are, and the doctor finds no fault

Settings come from azd's environment: the outputs of main.bicep have the names that the gateway reads. What is there
already is left alone, so both may run again at any time.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TypeVar

from shared.adapters.connect import open_vault
from shared.adapters.key_vault import VaultSecrets
from shared.config import vault_settings
from shared.errors import TemporaryFault
from shared.security.accounts import new_api_id, new_api_secret

T = TypeVar("T")

GATEWAY_FILE = "gateway.yaml"
PATIENCE_S = 600.0
"""For a role to take effect after its assignment, or for an app to start."""
PAUSE_S = 15.0
COMMAND_S = 120.0
REQUEST_S = 30.0


class NotYet(Exception):
    """It failed, and may succeed a little later; the text has no secret."""


def seed() -> None:
    """Set what is missing."""
    _in_time(lambda: _admin("keys", "bootstrap"))
    for account in os.environ["GATEWAY_ACCOUNTS"].split():
        _in_time(lambda account=account: _seed_account(account))  # type: ignore[misc]
    _in_time(lambda: _admin("profiles", "push", GATEWAY_FILE))


def ready() -> None:
    """Wait until both processes can take a call, and one would get to them."""
    media = os.environ["MEDIA_BASE_URL"].replace("ws", "http", 1)
    for base_url in (os.environ["CALLBACK_BASE_URL"], media):
        _in_time(lambda base_url=base_url: _ask(f"{base_url}/readyz"))  # type: ignore[misc]
    # Event Grid's subscriptions are made when the webhook answers, which is after this.
    left_out = () if os.environ.get("SUBSCRIBE") == "true" else ("--skip", "event-grid")
    sys.stdout.write(_in_time(lambda: _admin("doctor", *left_out)))


def _seed_account(account: str) -> None:
    is_there = any(row["account"] == account for row in json.loads(_admin("accounts", "list", "--json")))
    try:
        api_id, secret = asyncio.run(_credentials(account, may_make=not is_there))
    except TemporaryFault as fault:
        raise NotYet(str(fault)) from fault
    if not is_there:
        # Its output is the secret once more.
        arguments = ("--account", account, "--name", account, "--api-id", api_id, "--secret-from-stdin")
        _admin("accounts", "create", *arguments, given=secret)


async def _credentials(account: str, *, may_make: bool) -> tuple[str, str]:
    """Return the pair that the vault keeps for Event Grid: it is there before the account is, or a crash loses it."""
    settings, _ = vault_settings()
    async with open_vault(settings) as vault:
        return (
            await _kept(vault, f"{account}-api-id", new_api_id, may_make=may_make),
            await _kept(vault, f"{account}-api-secret", new_api_secret, may_make=may_make),
        )


async def _kept(vault: VaultSecrets, name: str, make: Callable[[], str], *, may_make: bool) -> str:
    value = await vault.value(name)
    if value is None:
        if not may_make:
            sys.exit(
                f"The account is there, and the vault has no secret {name}: set it to what the account has."
            )
        value = make()
        await vault.add_version(name, value)
    return value


def _admin(*arguments: str, given: str = "") -> str:
    """Run a command of the operator's and return what it printed."""
    command = [sys.executable, "-m", "shared.admin", *arguments]
    done = subprocess.run(  # noqa: S603 - our own command
        command, input=given, capture_output=True, text=True, timeout=COMMAND_S, check=False
    )
    said = (done.stderr or done.stdout).strip()
    if done.returncode == 1:
        raise NotYet(f"{' '.join(arguments[:2])}: {said}")
    if done.returncode:
        sys.exit(f"{' '.join(arguments[:2])} failed: {said}")
    return done.stdout


def _ask(url: str) -> None:
    try:
        with urllib.request.urlopen(url, timeout=REQUEST_S):  # noqa: S310 - an output of our deployment
            return
    except urllib.error.HTTPError as error:
        with error:
            raise NotYet(
                f"{url} answers {error.code}: {error.read(2000).decode(errors='replace')}"
            ) from error
    except OSError as error:
        raise NotYet(f"{url} does not answer: {error}") from error


def _in_time(attempt: Callable[[], T]) -> T:
    """Try until it succeeds, for ten minutes."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return attempt()
        except NotYet as fault:
            if time.monotonic() > deadline:
                sys.exit(f"Not within {PATIENCE_S:.0f} s: {fault}")
            sys.stderr.write(f"not yet: {fault}\n")
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    {"seed": seed, "ready": ready}[sys.argv[1]]()
