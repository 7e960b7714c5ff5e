"""Whose turn it is: the backends, what their probes say, and what goes through each. No I/O."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from emulator.ingress.relay import Relay


@dataclass(eq=False)
class Backend:
    """One of those that connections are passed on to.

    Attributes:
        url: by HTTP, without a path.
        is_ready: by its last probes.
        is_draining: gets no new connection any more, ready or not.
        answer: the text that its last probe got, or what went wrong with it.
        taken: how many connections it was given so far.
        relays: those that it has now.
    """

    url: str
    is_ready: bool = False
    is_draining: bool = False
    answer: str = "not asked yet"
    taken: int = 0
    relays: set[Relay] = field(default_factory=set, repr=False)
    _failures: int = 0

    def __post_init__(self) -> None:
        """Raises `ValueError`: not `http://host:port`."""
        parts = urlsplit(self.url)
        if parts.scheme != "http" or not parts.hostname or parts.port is None or parts.path:
            raise ValueError(f"a backend must be http://HOST:PORT, not {self.url}")
        self.host, self.port = parts.hostname, parts.port

    @property
    def state(self) -> str:
        """Whether it is ready, and if not, what it says."""
        return "ready" if self.is_ready else f"not ready: {self.answer}"

    def probed(self, answer: str, *, succeeded: bool, failures: int) -> bool:
        """Take a probe's result; so many failures in a row count. Return whether its readiness has changed."""
        before = self.is_ready
        self.answer = answer
        self._failures = 0 if succeeded else self._failures + 1
        self.is_ready = succeeded or (before and self._failures < failures)
        return self.is_ready != before


class Backends:
    """All of them, in the order of their turns."""

    def __init__(self) -> None:
        self._waiting: list[Backend] = []

    def __iter__(self) -> Iterator[Backend]:
        return iter(self._waiting)

    def __getitem__(self, url: str) -> Backend:
        """Raises `KeyError`."""
        for backend in self._waiting:
            if backend.url == url:
                return backend
        raise KeyError(url)

    def add(self, url: str) -> Backend:
        """Take one more, whose turn comes last.

        Raises:
            ValueError: it is there already, or no URL of a backend.
        """
        if any(backend.url == url for backend in self._waiting):
            raise ValueError(f"{url} is a backend already")
        backend = Backend(url)
        self._waiting.append(backend)
        return backend

    def remove(self, backend: Backend) -> None:
        """Forget one."""
        self._waiting.remove(backend)

    def next(self, tried: Collection[Backend]) -> Backend | None:
        """Return the ready one that has waited longest, leaving out those that were tried; its turn is over then."""
        for backend in self._waiting:
            if backend.is_ready and not backend.is_draining and backend not in tried:
                self._waiting.remove(backend)
                self._waiting.append(backend)
                return backend
        return None
