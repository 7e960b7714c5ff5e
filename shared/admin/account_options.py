"""What can be set on an account, read from the command line and checked."""

import argparse
import re
from dataclasses import replace

from shared.acs.identifiers import PHONE_PREFIX, to_raw_id
from shared.errors import BadRequest
from shared.security.accounts import Account

MAX_CALLS = 1000
"""The places of an account are read for every call of it; without a limit only the pods' room counts."""
MAX_BLOCKED_CALLERS = 1000
"""Every process keeps all accounts in memory, and reads them anew every 20 s."""

REJECT = "reject"
REDIRECT = "redirect:"

_PHONE = re.compile(r"4:\+[1-9][0-9]{6,14}")
_RAW_ID = re.compile(r"[0-9]{1,2}:[!-~]{1,250}")
_IDENTITY = re.compile(
    r"8:(acs|gcch-acs|dod-acs|spool|orgid|teamsvisitor|gcch|dod):[!-~]{1,250}|28:(orgid|gcch|dod):[!-~]{1,250}"
)
"""Users of ACS and of Teams, and Teams' apps."""

_HEADER = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]{1,64}")
_TAKEN_HEADERS = frozenset({
    "age", "authorization", "cache-control", "client-ip", "connection", "cookie", "correlation-context",
    "date", "disguised-host", "etag", "expect", "forwarded", "from", "host", "keep-alive", "max-forwards",
    "origin", "pragma", "range", "referer", "request-context", "request-id", "set-cookie", "te",
    "traceparent", "tracestate", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via",
    "warning", "x-request-id",
})  # fmt: skip
_TAKEN_PREFIXES = (
    "accept", "access-control-", "aeg-", "ce-", "content-", "if-", "proxy-", "sec-", "was-", "webhook-",
    "x-appservice-", "x-arr-", "x-azure-", "x-client-", "x-forwarded-", "x-functions-", "x-ms-", "x-original-",
    "x-site-", "x-waws-",
)  # fmt: skip
"""Headers of HTTP, of Event Grid (which refuses `aeg-` itself), and of the platform in front of the app."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `create` and `set` share."""
    parser.add_argument("--max-calls", metavar="N|none", help="calls at a time; none: no limit but the pods'")
    parser.add_argument(
        "--block-caller", action="append", default=[], metavar="NUMBER", help="+E.164 or raw id; repeatable"
    )
    parser.add_argument(
        "--unblock-caller", action="append", default=[], metavar="NUMBER", help="+E.164 or raw id; repeatable"
    )
    parser.add_argument(
        "--overflow",
        metavar="reject|redirect:TARGET",
        help="what becomes of a call that there is no room for; the target is +E.164 or a raw id",
    )
    parser.add_argument("--api-id-header", metavar="NAME", help="header of the API id")
    parser.add_argument("--api-secret-header", metavar="NAME", help="header of the API secret")


def with_options(account: Account, arguments: argparse.Namespace) -> Account:
    """Return the account with every option that was given.

    Raises:
        BadRequest: an option does not hold what it should.
    """
    if arguments.name is not None:
        account = replace(account, name=arguments.name)
    if arguments.max_calls is not None:
        account = replace(account, max_calls=_max_calls(arguments.max_calls))
    if arguments.overflow is not None:
        account = replace(account, overflow_to=_overflow_to(arguments.overflow))
    return _with_headers(_with_blocked(account, arguments), arguments)


def _max_calls(text: str) -> int | None:
    if text == "none":
        return None
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= MAX_CALLS:
        raise BadRequest(f"--max-calls takes 1 to {MAX_CALLS}, or none")
    return int(text)


def _overflow_to(text: str) -> str | None:
    if text == REJECT:
        return None
    target = to_raw_id(text.removeprefix(REDIRECT))
    if not text.startswith(REDIRECT) or not (_PHONE.fullmatch(target) or _IDENTITY.fullmatch(target)):
        raise BadRequest(
            "--overflow takes reject, or redirect: and a phone number or the raw id of an ACS or Teams identity"
        )
    return target


def _with_blocked(account: Account, arguments: argparse.Namespace) -> Account:
    blocked = account.blocked_callers | {_caller(text) for text in arguments.block_caller}
    blocked -= {_caller(text) for text in arguments.unblock_caller}
    if len(blocked) > MAX_BLOCKED_CALLERS:
        raise BadRequest(f"an account blocks {MAX_BLOCKED_CALLERS} callers at most")
    return replace(account, blocked_callers=blocked)


def _caller(text: str) -> str:
    raw_id = to_raw_id(text)
    pattern = _PHONE if raw_id.startswith(PHONE_PREFIX + "+") else _RAW_ID
    if not pattern.fullmatch(raw_id):
        raise BadRequest("a caller is a phone number as +14255550100, or a raw id")
    return raw_id


def _with_headers(account: Account, arguments: argparse.Namespace) -> Account:
    api_id, api_secret = arguments.api_id_header, arguments.api_secret_header
    if api_id is None and api_secret is None:
        return account
    names = [(name or kept).lower() for name, kept in
             ((api_id, account.api_id_header), (api_secret, account.api_secret_header))]  # fmt: skip
    for name in names:
        if not _HEADER.fullmatch(name):
            raise BadRequest("a header's name has letters, digits and hyphens, 64 at most")
        if name in _TAKEN_HEADERS or name.startswith(_TAKEN_PREFIXES):
            raise BadRequest("the header's name belongs to HTTP, to Event Grid or to the platform")
    if names[0] == names[1]:
        raise BadRequest("the two headers must have different names")
    return replace(account, api_id_header=names[0], api_secret_header=names[1])
