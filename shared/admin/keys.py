"""`keys`: the keys that our tokens are signed with, which are versions of two secrets in Key Vault."""

import argparse
import asyncio
import base64
import secrets
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from shared.adapters.connect import open_vault
from shared.adapters.key_vault import VaultSecrets
from shared.admin.parsers import Subparsers
from shared.config import TokenKeyTimes, vault_settings
from shared.security.keyring import (
    CALLBACK_KEY_SECRET,
    MEDIA_KEY_SECRET,
    SecretVersion,
    signing_version,
)
from shared.security.tokens import CLOCK_LEEWAY_S, LONGEST_LIFETIME_S

SECRETS = (MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET)
KEY_BYTES = 32
OUTAGE_S = 3600.0
"""How long a process may have been unable to read the vault, and have signed with the older key meanwhile."""

ROTATE_HELP = (
    "add a version to both secrets. It begins to sign when it is TOKEN_KEY_SIGNING_AGE_S old (600); until then, and "
    "for the tokens that it signed, the older one stays. --disable-old disables versions that no living token can "
    "name: those whose successor is older than the signing age, the longest life of a token (3 h), the clocks' "
    "leeway (5 s) and an hour in which a process may not have reached the vault, together. A successor that expires "
    "within 3 h does not count, for the older one signs again."
)


def add_commands(subjects: Subparsers) -> None:
    """Add `keys bootstrap`, `keys rotate` and `keys list`."""
    commands = subjects.add_parser("keys", help="what tokens are signed with").add_subparsers(required=True)
    bootstrap = commands.add_parser(
        "bootstrap", help="set the secrets that are missing; never touch one that is there"
    )
    bootstrap.set_defaults(run=lambda arguments: asyncio.run(_bootstrap(arguments)))
    rotate = commands.add_parser("rotate", help="add a version to both secrets", description=ROTATE_HELP)
    rotate.add_argument("--secret", choices=SECRETS, help="rotate this one alone")
    rotate.add_argument(
        "--disable-old", action="store_true", help="disable versions that no living token can name"
    )
    rotate.set_defaults(run=lambda arguments: asyncio.run(_rotate(arguments)))
    listing = commands.add_parser("list", help="list versions, and which one signs now; never a value")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=lambda arguments: asyncio.run(_list(arguments)))


async def _bootstrap(_: argparse.Namespace) -> int:
    settings, _times = vault_settings()
    status = 0
    async with open_vault(settings) as vault:
        for name in SECRETS:
            versions = await vault.versions(name)
            if not versions:
                print(f"{name}: set, version {await _add(vault, name)}")
            elif any(version.enabled for version in versions):
                print(f"{name}: is there")
            else:
                print(f"{name}: every version is disabled; `keys rotate` adds one", file=sys.stderr)
                status = 1
    return status


async def _rotate(arguments: argparse.Namespace) -> int:
    settings, times = vault_settings()
    async with open_vault(settings) as vault:
        for name in (arguments.secret,) if arguments.secret else SECRETS:
            print(f"{name}: added, version {await _add(vault, name)}; signs in {times.signing_age_s:.0f} s")
            if arguments.disable_old:
                for version in outlived(await vault.versions(name), time.time(), times):
                    await vault.disable_version(name, version.version)
                    print(f"{name}: disabled, version {version.version}")
    return 0


async def _list(arguments: argparse.Namespace) -> int:
    settings, times = vault_settings()
    async with open_vault(settings) as vault:
        rows = [row for name in SECRETS for row in _rows(name, await vault.versions(name), times)]
    if arguments.json:
        print(msgspec.json.encode(rows).decode())
        return 0
    for row in rows:
        print(f"{row['secret']:<20} {row['version']:<34} {row['created']}  {row['state']}")
    return 0


def outlived(versions: Sequence[SecretVersion], now: float, times: TokenKeyTimes) -> list[SecretVersion]:
    """Return the enabled versions that no living token can name, at `now` in Unix seconds.

    A version may have signed until its successor was old enough, and a little longer where a process could not read
    the vault; the last of those tokens lives as long as any. A successor that is about to expire hands the signing
    back, so it outlives nobody.
    """
    outlives_s = times.signing_age_s + OUTAGE_S + LONGEST_LIFETIME_S + CLOCK_LEEWAY_S
    good = sorted((v for v in versions if v.is_good(now)), key=lambda v: (v.begins, v.version))
    heirs = [at for at, v in enumerate(good) if v.outlasts_a_token(now) and now - v.begins > outlives_s]
    return good[: heirs[-1]] if heirs else []


async def _add(vault: VaultSecrets, name: str) -> str:
    return await vault.add_version(name, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())


def _rows(name: str, versions: Sequence[SecretVersion], times: TokenKeyTimes) -> list[dict[str, str]]:
    now = time.time()
    signs = signing_version(versions, now, times.signing_age_s)
    return [
        {
            "secret": name,
            "version": version.version,
            "created": datetime.fromtimestamp(version.created, UTC).isoformat(),
            "state": "signs" if version is signs else _state(version, now),
        }
        for version in versions
    ]


def _state(version: SecretVersion, now: float) -> str:
    if not version.enabled:
        return "disabled"
    return "verifies" if version.is_good(now) else "out of its time"
