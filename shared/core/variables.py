"""Variables: pairs of text that come in with a call as its custom context, and that leave with it."""

from collections.abc import Mapping

import msgspec

MAX_VARIABLES = 100
MAX_NAME_CHARS = 64
MAX_VALUE_CHARS = 1024
"""ACS's own limits for a VoIP header; a context past them did not come through the documented API."""
MAX_JSON_BYTES = 256 * 1024
"""Of all variables together: what has to be escaped grows sixfold, and a row of Table storage holds 1 MiB."""


def within_limits(pairs: Mapping[str, str]) -> dict[str, str]:
    """Return the pairs that a call may carry, without those past the limits."""
    variables: dict[str, str] = {}
    size = 0
    for name, value in pairs.items():
        if not (0 < len(name) <= MAX_NAME_CHARS and len(value) <= MAX_VALUE_CHARS):
            continue
        size += len(msgspec.json.encode((name, value)))
        if len(variables) == MAX_VARIABLES or size > MAX_JSON_BYTES:
            break
        variables[name] = value
    return variables
