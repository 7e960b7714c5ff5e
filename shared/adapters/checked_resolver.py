"""Where the name of a host leads that a tool, or a step of a flow, calls: looked at for each connection.

It must not lead inside.
"""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from shared.core.tool_hosts import ToolHosts


class AddressRefused(OSError):
    """The name leads to an address that a tool must not reach."""


class CheckedResolver(AbstractResolver):
    """Gives the addresses of a name only if a tool may reach all of them.

    What it returns is what is connected to, so a name that leads elsewhere a moment later gains nothing. Addresses
    in a URL do not come here: those are allowed only where they stand in the list.
    """

    def __init__(self, resolver: AbstractResolver, hosts: ToolHosts) -> None:
        self._resolver = resolver
        self._hosts = hosts

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of `host`. Raises `AddressRefused`, and `OSError` where there are none."""
        found = await self._resolver.resolve(host, port, family)
        if not all(self._hosts.allows_address(host, address["host"], port) for address in found):
            raise AddressRefused("the name leads to an address that is not public")
        return found

    async def close(self) -> None:
        """Let go of the resolver."""
        await self._resolver.close()
