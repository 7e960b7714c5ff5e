"""What a fresh stack needs before its first call: signing keys, an account, an Event Grid subscription."""

import asyncio
import base64
import contextlib
import json
import secrets
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp

from emulator.ports import LOOPBACK, Ports
from emulator.routed import Addresses

SECRETS = ("media-token-key", "callback-token-key")
REALTIME_SECRET = "realtime-api-key"  # noqa: S105 - a secret's name
KEY_BYTES = 32
ACCOUNT = "demo"
SUBSCRIPTION = "local-gateway"
WEBHOOK_PATH = "/mg-genagent-acs/v1/acs-events"
IVR_SUBSCRIPTION = "local-ivr"
IVR_WEBHOOK_PATH = "/mg-genagent-acs/v1/ivr-events"
INCOMING_CALL = "Microsoft.Communication.IncomingCall"
ACCOUNT_FILE = "account.json"
DELIVERY_ATTEMPTS = 3
"""With Event Grid's waits of 10 and 30 s: a caller hears the ringing no longer than that."""
TTL_MINUTES = 1
FILTER_VALUES = 25
"""As many as Event Grid takes in one subscription."""
ADMIN_TIMEOUT_S = 20.0

_KEY_VAULT_API = "7.6"


class SeedingError(Exception):
    """A part refused what it was to be given; the text says which and how."""


@dataclass(frozen=True)
class Credentials:
    """What Event Grid shows to be let in. Kept out of `repr`."""

    api_id: str
    api_secret: str

    def __repr__(self) -> str:
        """Name the account, not its secret."""
        return f"Credentials({self.api_id!r})"


async def put_signing_keys(session: aiohttp.ClientSession, ports: Ports, ca_file: Path) -> None:
    """Store a new random key for each kind of token in the emulated Key Vault.

    Raises:
        SeedingError: Key Vault did not take it.
    """
    keys = {name: base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() for name in SECRETS}
    await put_secrets(session, ports, ca_file, keys)


async def put_secrets(
    session: aiohttp.ClientSession, ports: Ports, ca_file: Path, values: Mapping[str, str]
) -> None:
    """Store secrets, by name, in the emulated Key Vault.

    Raises:
        SeedingError: Key Vault did not take one.
    """
    trust = await asyncio.to_thread(ssl.create_default_context, cafile=str(ca_file))
    for name, value in values.items():
        url = f"https://{LOOPBACK}:{ports.key_vault}/secrets/{name}?api-version={_KEY_VAULT_API}"
        headers = {"Authorization": "Bearer local"}
        async with session.put(url, json={"value": value}, headers=headers, ssl=trust) as response:
            if response.status != HTTPStatus.OK:
                raise SeedingError(f"Key Vault answered {response.status} to the secret {name}")


async def create_account(root: Path, environment: Mapping[str, str], keep_in: Path | None) -> Credentials:
    """Make the account that the demo's routes belong to, by the operator's own command.

    Args:
        root: the gateway's folder.
        environment: all of the command's environment, the gateway's settings in it.
        keep_in: the folder of a storage that outlives the stack, as the account in it does; the credentials are kept
            there, so that they go when it goes.

    Raises:
        SeedingError: the command failed; the text has what it said.
    """
    kept = keep_in / ACCOUNT_FILE if keep_in else None
    if kept is not None and kept.exists():
        return _credentials(kept.read_text())
    arguments = ("accounts", "create", "--name", ACCOUNT, "--account", ACCOUNT, "--json")
    output = await run_admin(root, environment, *arguments)
    if kept is not None:
        kept.parent.mkdir(exist_ok=True)
        kept.touch(mode=0o600)
        kept.write_text(output)
    return _credentials(output)


async def run_admin(root: Path, environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command of the operator's; return what it printed.

    Args:
        root: the gateway's folder.
        environment: all of the command's environment, the gateway's settings in it.
        arguments: the command.

    Raises:
        SeedingError: it failed; the text has what it said.
    """
    name = " ".join(arguments[:2])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.admin", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=root,
        env=environment,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(ADMIN_TIMEOUT_S):
            output, errors = await process.communicate()
    except TimeoutError:
        raise SeedingError(f"{name} was not done within {ADMIN_TIMEOUT_S:.0f} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        raise SeedingError(f"{name} failed: {errors.decode(errors='replace').strip()}")
    return output.decode()


async def subscribe(
    session: aiohttp.ClientSession, ports: Ports, credentials: Credentials, addresses: Addresses
) -> None:
    """Have Event Grid deliver incoming calls to the Functions app, with the account's headers.

    Calls of flows go to a webhook of their own. The app must be up: creating a subscription includes the handshake with
    its webhook. An event that comes too late is about a caller who is gone, and one for somebody else's number is not
    the app's, hence the limits.

    Raises:
        SeedingError: Event Grid or the webhook refused.
    """
    agents = [raw_id for raw_id in addresses.raw_ids if raw_id not in addresses.of_flows]
    flows = [raw_id for raw_id in addresses.raw_ids if raw_id in addresses.of_flows]
    parts = [*_parts(SUBSCRIPTION, WEBHOOK_PATH, agents), *_parts(IVR_SUBSCRIPTION, IVR_WEBHOOK_PATH, flows)]
    for name, path, called in parts:
        subscription = {
            "endpoint": f"http://{LOOPBACK}:{ports.functions}{path}",
            "headers": {"asapp-api-id": credentials.api_id, "asapp-api-secret": credentials.api_secret},
            "filter": _filter(called),
            "maxDeliveryAttempts": DELIVERY_ATTEMPTS,
            "eventTimeToLiveInMinutes": TTL_MINUTES,
        }
        url = f"http://{LOOPBACK}:{ports.emulator}/eventgrid/subscriptions/{name}"
        async with session.put(url, json=subscription) as response:
            if response.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
                raise SeedingError(f"Event Grid refused the subscription: {await response.text()}")


def _parts(name: str, path: str, called: Sequence[str]) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Yield the subscriptions of a webhook: name, path, and who is called, of whom each takes so many."""
    for number, start in enumerate(range(0, len(called), FILTER_VALUES), 1):
        yield name if number == 1 else f"{name}-{number}", path, called[start : start + FILTER_VALUES]


def _filter(called: Sequence[str]) -> dict[str, object]:
    to = {"operatorType": "StringIn", "key": "data.to.rawId", "values": list(called)}
    return {"includedEventTypes": [INCOMING_CALL], "advancedFilters": [to]}


def _credentials(text: str) -> Credentials:
    try:
        content = json.loads(text)
        return Credentials(content["api_id"], content["api_secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise SeedingError("the account's credentials could not be read") from error
