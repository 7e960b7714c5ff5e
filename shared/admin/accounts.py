"""`accounts`: who may deliver calls."""

import argparse
import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential

from shared.adapters.account_store import TableAccountStore
from shared.adapters.tables import create_tables, open_tables
from shared.admin.account_options import REDIRECT, REJECT, add_options, with_options
from shared.admin.parsers import Subparsers
from shared.config import storage_settings
from shared.errors import BadRequest, Conflict, NotFound
from shared.security.accounts import (
    MIN_SECRET_CHARS,
    Account,
    hash_secret,
    new_api_id,
    new_api_secret,
    rotation_cancelled,
    rotation_finished,
    with_next_secret,
)

ACCOUNT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MAX_ACCOUNTS = 5000
"""Every process of the Functions app keeps all of them in memory."""
HEADER_VALUE = re.compile(r"[!-~]([ -~]{0,4094}[!-~])?")
"""What Event Grid sends as a delivery property, up to 4096 bytes."""


def add_commands(subjects: Subparsers) -> None:
    """Add `accounts create|show|list|set|rotate|disable|enable`."""
    commands = subjects.add_parser("accounts", help="who may deliver calls").add_subparsers(required=True)

    create = _command(commands, "create", _create, "make an account and print its credentials, once")
    create.add_argument("--name", required=True, help="name for people")
    create.add_argument("--api-id", help="keep the API id of an existing subscription")
    create.add_argument(
        "--secret-from-stdin", action="store_true", help="keep the API secret of an existing subscription"
    )
    add_options(create)

    _command(commands, "show", _show, "show an account, with the callers it blocks")
    _command(commands, "list", _list, "list accounts", of_one=False)

    change = _command(commands, "set", _set, "change an account")
    change.add_argument("--name", help="name for people")
    add_options(change)

    rotate = _command(commands, "rotate", _rotate, "add a second secret and print it, once; then finish")
    how = rotate.add_mutually_exclusive_group()
    how.add_argument("--secret-from-stdin", action="store_true", help="bring the next secret along")
    how.add_argument("--finish", action="store_true", help="drop the older secret")
    how.add_argument("--cancel", action="store_true", help="drop the newer secret")

    for name, enabled in (("disable", False), ("enable", True)):
        switch = _command(commands, name, _switch, f"{name} an account")
        switch.set_defaults(enabled=enabled)


def _command(
    commands: Subparsers, name: str, work: Callable[..., Any], what: str, *, of_one: bool = True
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what)
    if of_one:
        parser.add_argument("--account", required=True, help="id that routes name: a-z, 0-9 and hyphens")
    parser.add_argument("--json", action="store_true", help="print JSON")

    async def run(arguments: argparse.Namespace) -> int:
        if of_one and not ACCOUNT_ID.fullmatch(arguments.account):
            raise BadRequest("--account takes a-z, 0-9 and hyphens, 63 at most")
        await work(arguments)
        return 0

    parser.set_defaults(run=lambda arguments: asyncio.run(run(arguments)))
    return parser


async def _create(arguments: argparse.Namespace) -> None:
    secret = _secret(arguments)
    account = Account(
        account_id=arguments.account,
        name=arguments.name,
        api_id=arguments.api_id or new_api_id(),
        secret_hashes=(hash_secret(secret),),
        created=time.time(),
    )
    if not HEADER_VALUE.fullmatch(account.api_id):
        raise BadRequest("the API id must be what a header can hold, 4096 characters at most")
    account = with_options(account, arguments)
    async with _tables() as tables:
        await create_tables(tables)
        store = TableAccountStore(tables)
        if len(await store.all()) >= MAX_ACCOUNTS:
            raise Conflict(f"there are {MAX_ACCOUNTS} accounts already")
        await store.create(account)
    _print_credentials(account, secret, arguments)


async def _show(arguments: argparse.Namespace) -> None:
    async with _tables() as tables:
        account = await TableAccountStore(tables).get(arguments.account)
    if account is None:
        raise NotFound("no such account")
    _print_account(account, arguments)


async def _list(arguments: argparse.Namespace) -> None:
    async with _tables() as tables:
        accounts = sorted(await TableAccountStore(tables).all(), key=lambda account: account.account_id)
    if arguments.json:
        print(msgspec.json.encode([_public(account) for account in accounts]).decode())
        return
    for account in accounts:
        state = "enabled" if account.enabled else "disabled"
        print(f"{account.account_id:<24} {account.api_id:<26} {state:<9} {account.name}")


async def _set(arguments: argparse.Namespace) -> None:
    await _change(arguments, lambda account: with_options(account, arguments))


async def _switch(arguments: argparse.Namespace) -> None:
    await _change(arguments, lambda account: replace(account, enabled=arguments.enabled))


async def _rotate(arguments: argparse.Namespace) -> None:
    if arguments.finish or arguments.cancel:
        await _change(arguments, rotation_finished if arguments.finish else rotation_cancelled)
        return
    secret = _secret(arguments)
    hashed = hash_secret(secret)
    async with _tables() as tables:
        account = await TableAccountStore(tables).change(
            arguments.account, lambda account: with_next_secret(account, secret, hashed)
        )
    _print_credentials(account, secret, arguments)


async def _change(arguments: argparse.Namespace, mutate: Callable[[Account], Account]) -> None:
    async with _tables() as tables:
        account = await TableAccountStore(tables).change(arguments.account, mutate)
    _print_account(account, arguments, with_personal_data=False)


def _secret(arguments: argparse.Namespace) -> str:
    secret = sys.stdin.readline().strip() if arguments.secret_from_stdin else new_api_secret()
    if len(secret) < MIN_SECRET_CHARS:
        raise BadRequest(f"the secret must have {MIN_SECRET_CHARS} characters or more")
    if not HEADER_VALUE.fullmatch(secret):
        raise BadRequest("the secret must be what a header can hold, 4096 characters at most")
    return secret


def _public(account: Account) -> dict[str, Any]:
    """What may be shown of an account without personal data: no secret, no hash, no number."""
    return {
        "account": account.account_id,
        "name": account.name,
        "api_id": account.api_id,
        "enabled": account.enabled,
        "created": account.created,
        "live_secrets": len(account.secret_hashes),
        "api_id_header": account.api_id_header,
        "api_secret_header": account.api_secret_header,
        "max_calls": account.max_calls,
        "overflow": REJECT if account.overflow_to is None else "redirect",
        "blocked": len(account.blocked_callers),
    }


def _print_account(
    account: Account, arguments: argparse.Namespace, *, with_personal_data: bool = True
) -> None:
    fields = _public(account)
    if with_personal_data:
        fields["blocked_callers"] = sorted(account.blocked_callers)
        if account.overflow_to is not None:
            fields["overflow"] = REDIRECT + account.overflow_to
    _print_fields(fields, arguments)


def _print_credentials(account: Account, secret: str, arguments: argparse.Namespace) -> None:
    fields = {"account": account.account_id, "api_id": account.api_id, "api_secret": secret}
    _print_fields(fields, arguments)
    if not arguments.json:
        print("The secret is shown this once; only a hash of it is kept.", file=sys.stderr)


def _print_fields(fields: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(msgspec.json.encode(fields).decode())
        return
    width = max(map(len, fields)) + 1
    for name, value in fields.items():
        text = " ".join(value) if isinstance(value, list) else value
        print(f"{name:<{width}}{'none' if text is None else text}")


@asynccontextmanager
async def _tables() -> AsyncIterator[TableServiceClient]:
    async with DefaultAzureCredential() as credential, open_tables(storage_settings(), credential) as tables:
        yield tables
