"""Input variables: what comes in with a call as its custom context."""

from collections.abc import Mapping

MAX_VARIABLES = 100
MAX_NAME_CHARS = 64
MAX_VALUE_CHARS = 1024
"""ACS's own limits for a VoIP header; a context past them did not come through the documented API."""


def input_variables(voip_headers: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a call: its VoIP headers, without those past the limits."""
    fitting = {
        name: value
        for name, value in voip_headers.items()
        if 0 < len(name) <= MAX_NAME_CHARS and len(value) <= MAX_VALUE_CHARS
    }
    return dict(list(fitting.items())[:MAX_VARIABLES])
