# ruff: noqa: INP001 - a script, no package
"""What azd's hooks do: set what a new deployment lacks, wait until it would take a call, and have calls delivered.

    python -m bicep.hooks.deployment seed        keys, profiles, accounts with Event Grid's credentials, identities
    python -m bicep.hooks.deployment ready       until both processes say that they are, and the doctor finds no fault
    python -m bicep.hooks.deployment subscribe   that; then Event Grid's subscriptions by azd, and the doctor once more

Settings come from azd's environment: the outputs of main.bicep have the names that the gateway reads. What is there
already is left alone, so all may run again at any time.
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

IDENTITIES = ("gateway", "ivr")
"""Users of ACS that calls are transferred to: from an IVR to the agents, and back to the IVR."""
PATIENCE_S = 600.0
"""For a role to take effect after its assignment, or for an app to start."""
PAUSE_S = 15.0
COMMAND_S = 120.0
PROVISION_S = 3600.0
REQUEST_S = 30.0


class NotYet(Exception):
    """It failed, and may succeed a little later; the text has no secret."""


def seed() -> None:
    """Set what is missing."""
    _in_time(lambda: _admin("keys", "bootstrap"))
    file = os.environ.get("GATEWAY_FILE") or "gateway.yaml"
    _in_time(lambda: _admin("profiles", "push", file))
    # Those in force: a file without routes leaves what the operator's commands have set.
    routes = json.loads(_in_time(lambda: _admin("numbers", "list", "--json")))
    for account in sorted({route["account"] for route in routes}):
        _in_time(lambda account=account: _seed_account(account))  # type: ignore[misc]
    for name in IDENTITIES:
        raw_id = _in_time(lambda name=name: _admin("identity", "create", "--as", name))  # type: ignore[misc]
        sys.stdout.write(f"identity {name}: {raw_id}")


def ready() -> None:
    """Wait until both processes can take a call. Event Grid's subscriptions come after that, and are not looked at."""
    media = os.environ["MEDIA_BASE_URL"].replace("ws", "http", 1)
    for base_url in (os.environ["CALLBACK_BASE_URL"], media):
        _in_time(lambda base_url=base_url: _ask(f"{base_url}/readyz"))  # type: ignore[misc]
    sys.stdout.write(_in_time(lambda: _admin("doctor", "--skip", "event-grid")))


def subscribe() -> None:
    """Have azd make the subscriptions that the routes need, unless a run before did; the doctor looks at all then."""
    ready()
    filters = _in_time(lambda: _admin("numbers", "filters", "--json")).strip()
    is_subscribed = os.environ.get("SUBSCRIBE") == "true"
    if not is_subscribed or json.loads(os.environ.get("EVENT_FILTERS") or "[]") != json.loads(filters):
        _azd("env", "set", "EVENT_FILTERS", filters)
        _azd("env", "set", "SUBSCRIBE", "true")
        if not _azd("provision", "--no-prompt"):
            # Or the next run would ask for them before it has deployed anything, or take them for made.
            _azd("env", "set", "SUBSCRIBE", "false")
            sys.exit("Event Grid's subscriptions could not be made")
    sys.stdout.write(_in_time(lambda: _admin("doctor")))


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


def _azd(*arguments: str) -> bool:
    """Run azd, which prints where we do; False: it failed."""
    command = ["azd", *arguments]
    return subprocess.run(command, timeout=PROVISION_S, check=False).returncode == 0  # noqa: S603 - our own command


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
    {"seed": seed, "ready": ready, "subscribe": subscribe}[sys.argv[1]]()
