"""The way out through a message socket, as those see it who send for every frame.

An object of its own, for it is compiled (`tools/compile.py`) and the socket, of a picows class, is not.
"""

from collections.abc import Callable


class Outlet:
    """Belongs to one `MessageSocket`, which alone changes it."""

    def __init__(self) -> None:
        self.send: Callable[[bytes], None] = nowhere
        """Sends a text message; before the upgrade and after the end, nothing happens."""
        self.is_writable = False
        """Whether sending is of use: False while the peer does not read, and after the end."""


def nowhere(message: bytes) -> None:
    """Send nothing: there is no connection, or it is being closed."""
