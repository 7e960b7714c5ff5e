"""Whom the local stack's callers can call: what the gateway file routes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from emulator.numbers import CALLED
from emulator.settings import DEFAULT_RESOURCE_ID
from emulator.wire.identifiers import PHONE_PREFIX

GATEWAY_FILE = "gateway.yaml"

_NUMBER = re.compile(r"\+\d{3,15}")
_IDENTITY_PREFIX = f"8:acs:{DEFAULT_RESOURCE_ID}_"


@dataclass(frozen=True)
class Addresses:
    """What can be called: E.164 numbers, and raw ids of ACS users of the emulated resource."""

    phone_numbers: tuple[str, ...] = (CALLED,)
    identities: tuple[str, ...] = ()
    of_flows: frozenset[str] = frozenset()
    """Raw ids of those whose calls a flow answers; all others are the agents'."""

    @property
    def raw_ids(self) -> tuple[str, ...]:
        """All of them as events name them."""
        return (*(PHONE_PREFIX + number for number in self.phone_numbers), *self.identities)


def routed_addresses(root: Path) -> Addresses:
    """Return what the routes of the gateway file name, in its order; the example number when they name nobody.

    Left out is what the emulated resource cannot have: `*`, bots, and users of other resources. A file that cannot
    be read names nobody: the gateway itself says what is wrong with it.
    """
    try:
        content = yaml.safe_load((root / GATEWAY_FILE).read_text(encoding="utf-8"))
        routes = [(str(route["to"]), "flow" in route) for route in content["routes"]]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return Addresses()
    called = _unique(to.removeprefix(PHONE_PREFIX) for to, _ in routes)
    numbers = tuple(filter(_NUMBER.fullmatch, called))
    identities = tuple(to for to in called if to.startswith(_IDENTITY_PREFIX))
    if not numbers and not identities:
        return Addresses()
    of_flows = {to.removeprefix(PHONE_PREFIX) for to, is_of_flow in routes if is_of_flow}
    raw_ids = {PHONE_PREFIX + number for number in numbers if number in of_flows} | of_flows.intersection(
        identities
    )
    return Addresses(numbers, identities, frozenset(raw_ids))


def profiles_called(root: Path) -> Mapping[str, str]:
    """Return the profiles that routes of the gateway file lead to, each with the first that can be called for it.

    Raises:
        ValueError: the file cannot be read.
    """
    try:
        content = yaml.safe_load((root / GATEWAY_FILE).read_text(encoding="utf-8"))
        routes = [
            (str(route["profile"]), str(route["to"])) for route in content["routes"] if "flow" not in route
        ]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(f"{GATEWAY_FILE} has no routes that can be read") from error
    found: dict[str, str] = {}
    for profile, to in routes:
        if _NUMBER.fullmatch(to.removeprefix(PHONE_PREFIX)) or to.startswith(_IDENTITY_PREFIX):
            found.setdefault(profile, to.removeprefix(PHONE_PREFIX))
    return found


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
