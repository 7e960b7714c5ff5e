"""What counts as this machine: there the emulator permits plain http and ws, which Azure never does."""

import ipaddress
import re
from urllib.parse import urlsplit

_UNFIT = re.compile(r"[\x00-\x20\x7f\s]")
"""What no URL has; some parsers drop it silently, and it would go out as it is."""


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address is this machine itself."""
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_permitted(url: str, *, secure: str, plain: str) -> bool:
    """Whether a URL has the secure scheme, or the plain one on a loopback address."""
    if _UNFIT.search(url):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # reading the port checks it
    except ValueError:
        return False
    return bool(host) and (parts.scheme == secure or (parts.scheme == plain and is_loopback(host)))
