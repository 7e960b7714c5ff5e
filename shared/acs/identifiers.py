"""Who takes part in a call, as ACS names them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.acs.shapes import optional_text, text

PHONE_PREFIX = "4:"


@dataclass(frozen=True, slots=True)
class Identifier:
    """A participant. The raw id is personal data where it holds a phone number."""

    raw_id: str
    kind: str

    def __repr__(self) -> str:
        return f"Identifier(kind={self.kind!r})"


def read_identifier(source: Mapping[str, Any], *, where: str) -> Identifier:
    """Read an identifier; `kind` is told by the raw id where the sender leaves it out (SDK requests do)."""
    raw_id = text(source, "rawId", where=where)
    kind = optional_text(source, "kind", where=where)
    return Identifier(raw_id, kind or ("phoneNumber" if raw_id.startswith(PHONE_PREFIX) else "unknown"))


def without_leg(raw_id: str) -> str:
    """Return a phone number's raw id without the suffix that tells its legs in one call apart (`4:+1..._2`)."""
    return raw_id.partition("_")[0] if raw_id.startswith(PHONE_PREFIX) else raw_id


def to_address(raw_id: str) -> str:
    """Return a phone number (`+1...`) as people write it; another raw id stays as it is."""
    return without_leg(raw_id).removeprefix(PHONE_PREFIX)


def to_raw_id(number_or_raw_id: str) -> str:
    """Return the raw id of `+14255550100`; a raw id (`4:...`, `8:acs:...`, `28:...`) stays as it is."""
    return PHONE_PREFIX + number_or_raw_id if number_or_raw_id.startswith("+") else number_or_raw_id
