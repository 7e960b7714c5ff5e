"""What counts as this machine: there the emulator permits plain http and ws, which Azure never does."""

import ipaddress
from urllib.parse import urlsplit


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
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == secure or (parts.scheme == plain and is_loopback(host)))
