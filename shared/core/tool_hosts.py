"""Which hosts the tools of profiles may call: what the operator lists, and nothing by default.

Whoever may push a profile chooses the URL of its tools, and the pod may reach what he cannot: the network around it,
and the platform's metadata. So the operator's list decides, and the address that a name leads to is looked at too.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
HTTPS_PORT = 443
FORBIDDEN_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""They say how a request is sent, which is not a profile's business; in lower case."""

_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
"""All else is local, multicast, or an IPv4 address in disguise: mapped, compatible, or translated (NAT64)."""
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # Azure's platform: DNS, and the agent's wire server, in every virtual network
            "192.0.0.0/24",  # protocol assignments, of which Python counts some as global
            "2002::/16",  # 6to4: an IPv4 address in disguise
        ),
    )
)
_NAME = re.compile(
    r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True)
class ToolHosts:
    """Host and port of what may be called; a host may begin with `*.`, which stands for one or more labels."""

    entries: frozenset[tuple[str, int]] = frozenset()

    def allows(self, host: str, port: int) -> bool:
        """Whether a URL may name this host (a name in lower case, or an address without brackets)."""
        if (host, port) in self.entries:
            return True
        return any(
            suffix.startswith("*.") and host.endswith(suffix[1:]) and len(host) >= len(suffix)
            for suffix, allowed_port in self.entries
            if allowed_port == port
        )

    def allows_address(self, host: str, address: str, port: int) -> bool:
        """Whether a connection may be made to `address`, to which the allowed `host` leads.

        It must be public, or stand in the list itself: a name is the business of whoever runs its DNS, and must
        not lead inside. `localhost` may be what it says.
        """
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        if (str(found), port) in self.entries or (host in LOOPBACK_HOSTS and found.is_loopback):
            return True
        return is_public(found)


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether anybody in the internet could connect to it as well."""
    if address.version == 6 and address not in _GLOBAL_V6:
        return False
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in _NOT_PUBLIC)
    )


def is_allowed_header(name: str) -> bool:
    """Whether a tool may set this header."""
    return _HEADER.fullmatch(name) is not None and name.lower() not in FORBIDDEN_HEADERS


def parse_host(entry: str) -> tuple[str, int]:
    """Return host and port of an entry of the list: `api.example.com`, `10.0.0.4:8443`, `[::1]:80`, `*.example.com`.

    Without a port it is that of https.

    Raises:
        ValueError: it is none of these. All hosts of a top-level domain are none, either.
    """
    parts = urlsplit(f"//{entry}")
    host, port = parts.hostname, parts.port
    if not host or port == 0 or parts.netloc != entry or "@" in entry:
        raise ValueError("no host")
    try:
        host = str(ipaddress.ip_address(host))
    except ValueError:
        is_number = host.rpartition(".")[2].isdecimal()
        if _NAME.fullmatch(host) is None or is_number or (host.startswith("*.") and host.count(".") < 2):
            raise ValueError("no host") from None
    return host, HTTPS_PORT if port is None else port
