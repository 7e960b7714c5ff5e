"""`accounts`: who may deliver calls."""

import argparse
import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential

from shared.adapters.account_store import TableAccountStore
from shared.adapters.tables import create_tables, open_tables
from shared.admin.parsers import Subparsers
from shared.config import storage_settings
from shared.errors import BadRequest
from shared.security.accounts import MIN_SECRET_CHARS, Account, hash_secret, new_api_id, new_api_secret

ACCOUNT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def add_commands(subjects: Subparsers) -> None:
    """Add `accounts create` and `accounts list`."""
    commands = subjects.add_parser("accounts", help="who may deliver calls").add_subparsers(required=True)
    create = commands.add_parser("create", help="make an account and print its credentials, once")
    create.add_argument("--account", required=True, help="id that routes name: a-z, 0-9 and hyphens")
    create.add_argument("--name", required=True, help="name for people")
    create.add_argument("--api-id", help="keep the API id of an existing subscription")
    create.add_argument(
        "--secret-from-stdin", action="store_true", help="keep the API secret of an existing subscription"
    )
    create.add_argument("--json", action="store_true", help="print JSON")
    create.set_defaults(run=lambda arguments: asyncio.run(_create(arguments)))
    listing = commands.add_parser("list", help="list accounts")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=lambda arguments: asyncio.run(_list(arguments)))


async def _create(arguments: argparse.Namespace) -> int:
    if not ACCOUNT_ID.fullmatch(arguments.account):
        raise BadRequest("--account takes a-z, 0-9 and hyphens, 63 at most")
    secret = sys.stdin.readline().strip() if arguments.secret_from_stdin else new_api_secret()
    if len(secret) < MIN_SECRET_CHARS:
        raise BadRequest(f"the secret must have {MIN_SECRET_CHARS} characters or more")
    account = Account(
        account_id=arguments.account,
        name=arguments.name,
        api_id=arguments.api_id or new_api_id(),
        secret_hashes=(hash_secret(secret),),
        created=time.time(),
    )
    async with _tables() as tables:
        await create_tables(tables)
        await TableAccountStore(tables).create(account)
    credentials = {"account": account.account_id, "api_id": account.api_id, "api_secret": secret}
    if arguments.json:
        print(msgspec.json.encode(credentials).decode())
    else:
        print("\n".join(f"{name:<11} {value}" for name, value in credentials.items()))
        print("The secret is shown this once; only a hash of it is kept.", file=sys.stderr)
    return 0


async def _list(arguments: argparse.Namespace) -> int:
    async with _tables() as tables:
        accounts = sorted(await TableAccountStore(tables).all(), key=lambda account: account.account_id)
    rows = [
        {
            "account": a.account_id,
            "name": a.name,
            "api_id": a.api_id,
            "enabled": a.enabled,
            "created": a.created,
        }
        for a in accounts
    ]
    if arguments.json:
        print(msgspec.json.encode(rows).decode())
        return 0
    for account in accounts:
        state = "enabled" if account.enabled else "disabled"
        print(f"{account.account_id:<24} {account.api_id:<26} {state:<9} {account.name}")
    return 0


@asynccontextmanager
async def _tables() -> AsyncIterator[TableServiceClient]:
    async with DefaultAzureCredential() as credential, open_tables(storage_settings(), credential) as tables:
        yield tables
