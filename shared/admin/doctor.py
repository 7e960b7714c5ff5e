"""`doctor`: whether a call would be answered, and what to do if not."""

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from shared.admin.checks.catalogue import CHECKS, NAMES, SETTINGS, examine_all
from shared.admin.checks.contract import Finding, Outcome
from shared.admin.parsers import Subparsers

COLOURS: Mapping[Outcome, str] = {Outcome.PASS: "32", Outcome.FAIL: "31", Outcome.SKIP: "33"}
NAME_WIDTH = 14

DESCRIPTION = (
    "Looks at settings, services, addresses, subscriptions and agents, and ends by a call of its own. What whoever "
    "runs it has no right to, or what cannot be seen from here, is skipped, with the reason. Exit status: 0 nothing "
    "failed, 1 something did, 2 the settings are not good, so that nothing else was looked at."
)


def add_commands(subjects: Subparsers) -> None:
    """Add `doctor`."""
    checks = "\n".join(f"  {check.name:<{NAME_WIDTH}} {check.proves}" for check in CHECKS)
    doctor = subjects.add_parser(
        "doctor",
        help="check that a call would be answered",
        description=DESCRIPTION,
        epilog=f"checks:\n  {SETTINGS:<{NAME_WIDTH}} both processes can start with the settings\n{checks}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = doctor.add_mutually_exclusive_group()
    where.add_argument(
        "--local",
        dest="wants_local",
        action="store_const",
        const=True,
        help="fail unless it is a local stack",
    )
    where.add_argument(
        "--azure", dest="wants_local", action="store_const", const=False, help="fail unless it is in Azure"
    )
    doctor.add_argument(
        "--skip", action="append", default=[], choices=NAMES, metavar="CHECK", help="leave it out; repeatable"
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=lambda arguments: asyncio.run(_doctor(arguments)))


async def _doctor(arguments: argparse.Namespace) -> int:
    findings = await examine_all(os.environ, wants_local=arguments.wants_local, without=arguments.skip)
    if arguments.json:
        print(msgspec.json.encode(findings).decode())
    else:
        is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(report(findings, is_coloured=is_coloured))
    return status_of(findings)


def report(findings: Sequence[Finding], *, is_coloured: bool) -> str:
    """Return the findings for people, one a line, and what to do below each that failed."""
    lines = []
    for finding in findings:
        word = f"{finding.outcome:<4}"
        if is_coloured:
            word = f"\x1b[{COLOURS[finding.outcome]}m{word}\x1b[0m"
        lines.append(f"{word}  {finding.check:<{NAME_WIDTH}} {finding.found}")
        if finding.advice:
            lines.append(f"{'':<{NAME_WIDTH + 7}}-> {finding.advice}")
    counts = Counter(finding.outcome for finding in findings)
    lines.append(
        f"{counts[Outcome.PASS]} passed, {counts[Outcome.FAIL]} failed, {counts[Outcome.SKIP]} skipped"
    )
    return "\n".join(lines)


def status_of(findings: Sequence[Finding]) -> int:
    """Return the exit status."""
    failed = [finding.check for finding in findings if finding.outcome is Outcome.FAIL]
    return 2 if SETTINGS in failed else 1 if failed else 0
