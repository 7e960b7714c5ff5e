"""Custom context that an application sends along with a call: its limits, and how the other side gets it.

Source: Azure's page on custom context for Call Automation, and the changelog of the Python SDK 1.5.0 (`X-` keys).
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from emulator.wire.errors import AcsError, bad_argument
from emulator.wire.incoming_call import CustomContext

MAX_VOIP_HEADERS: Final = 1_000
MAX_VOIP_VALUE: Final = 1_024
MAX_SIP_HEADERS: Final = 5
"""Besides the one for user-to-user information."""

MAX_SIP_VALUE: Final = 256
MAX_KEY: Final = 64
"""Characters; of SIP keys with their prefix."""

_USER_TO_USER: Final = "user-to-user"
_USER_TO_USER_RECEIVED: Final = "userToUser"

# Names of SIP headers do not depend on case; all of X-MS- but X-MS-Custom- is reserved.
_SIP_KEY = re.compile(r"X-(?:MS-Custom-|(?!MS-))[\w.!%*+~-]+", re.IGNORECASE | re.ASCII)
_SIP_VALUE = re.compile(r"[\w=;.!%*+~-]*", re.ASCII)


class CustomCallingContext(msgspec.Struct, frozen=True, rename="camel"):
    """`customCallingContext` of a request."""

    voip_headers: dict[str, str] = msgspec.field(default_factory=dict)
    sip_headers: dict[str, str] = msgspec.field(default_factory=dict)


def as_received(sent: CustomCallingContext) -> CustomContext:
    """The headers as the call's next IncomingCall event has them, where user-to-user information has another name.

    Raises:
        AcsError: 400 with the header at fault, or the map with too many, as its target.
    """
    sip = {
        _USER_TO_USER_RECEIVED if key.lower() == _USER_TO_USER else key: value
        for key, value in sent.sip_headers.items()
    }
    _check_number(sent.voip_headers, MAX_VOIP_HEADERS, "voipHeaders")
    _check_number(sip.keys() - {_USER_TO_USER_RECEIVED}, MAX_SIP_HEADERS, "sipHeaders")
    for key, value in sent.voip_headers.items():
        if not key or len(key) > MAX_KEY or len(value) > MAX_VOIP_VALUE:
            raise _at_fault(
                "voipHeaders", key, f"a key has 1 to {MAX_KEY} characters, a value {MAX_VOIP_VALUE}"
            )
    for key, value in sent.sip_headers.items():
        if key.lower() != _USER_TO_USER and (len(key) > MAX_KEY or not _SIP_KEY.fullmatch(key)):
            raise _at_fault("sipHeaders", key, f"a key is X-MS-Custom-... or X-..., of {MAX_KEY} characters")
        if len(value) > MAX_SIP_VALUE or not _SIP_VALUE.fullmatch(value):
            raise _at_fault("sipHeaders", key, f"a value has {MAX_SIP_VALUE} letters, digits and =;.!%*_+~-")
    return CustomContext(sip_headers=sip, voip_headers=dict(sent.voip_headers))


def _check_number(headers: Mapping[str, str] | set[str], most: int, member: str) -> None:
    if len(headers) > most:
        raise bad_argument(f"There are more than {most} headers.", f"customCallingContext.{member}")


def _at_fault(member: str, key: str, rule: str) -> AcsError:
    return bad_argument(
        f"The header is not valid: {rule} at most.", f"customCallingContext.{member}.{key[:MAX_KEY]}"
    )
