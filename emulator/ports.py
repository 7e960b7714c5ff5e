"""The ports of the local stack: one table, shifted or replaced as a whole."""

import argparse
import random
import socket
from dataclasses import dataclass, fields

LOOPBACK = "127.0.0.1"
MAX_PORT = 65535
_FREE_FROM, _FREE_TO = 20000, 30000
_FREE_TRIES = 200


@dataclass(frozen=True)
class Ports:
    """Where each part of the stack listens, on the loopback address.

    `emulator` is ACS's REST API, its OpenID keys, Event Grid, the phone socket and the emulator's own API.
    `functions` is what `func start` uses too. `storage_blob` and `storage_table` are the emulator's fault proxies,
    by which the gateway reaches Azurite, whose own ports are `blob`, `queue` and `table`. `realtime` is the stand-in of
    a realtime voice service, where one is asked for.
    """

    emulator: int = 8061
    key_vault: int = 8062
    functions: int = 7071
    media: int = 8063
    storage_blob: int = 8064
    storage_table: int = 8065
    realtime: int = 8066
    blob: int = 10000
    queue: int = 10001
    table: int = 10002

    def shifted(self, offset: int) -> "Ports":
        """Return the table with every port moved by `offset`, so that two stacks can stand side by side.

        Raises:
            ValueError: a port would not be one any more.
        """
        lowest, highest = (limit(port for _, port in self.items()) for limit in (min, max))
        if not 1 - lowest <= offset <= MAX_PORT - highest:
            raise ValueError(f"ports can be moved by {1 - lowest} to {MAX_PORT - highest}")
        return Ports(**{name: port + offset for name, port in self.items()})

    def items(self) -> list[tuple[str, int]]:
        """Return (name, port) pairs in the order of the table."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]

    def in_use(self) -> list[tuple[str, int]]:
        """Return the entries on which something listens already."""
        return [(name, port) for name, port in self.items() if not is_free(port)]


def port_number(text: str) -> int:
    """Read a port of a command line; 0 stands for a free one.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdecimal() and int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"must be a number from 0 to {MAX_PORT}")
    return int(text)


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run that are still in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports() -> Ports:
    """Return a table of ports that nothing listens on.

    Raises:
        RuntimeError: not enough free ports were found.
    """
    return Ports(*free_port_numbers(len(fields(Ports))))


def free_port_numbers(count: int) -> set[int]:
    """Return so many ports that nothing listens on.

    They come from below the range that systems take ephemeral ports from, so that no client or test takes one
    in the moment before its server listens.

    Raises:
        RuntimeError: not enough free ports were found.
    """
    found: set[int] = set()
    for _ in range(_FREE_TRIES):
        port = random.randrange(_FREE_FROM, _FREE_TO)  # noqa: S311 - spreads stacks over the range, hides nothing
        if is_free(port):
            found.add(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"found only {len(found)} free ports between {_FREE_FROM} and {_FREE_TO}")
