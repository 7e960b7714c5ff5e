"""How the ingress behaves."""

from dataclasses import dataclass

from emulator.ports import LOOPBACK


@dataclass(frozen=True, kw_only=True)
class IngressSettings:
    """What can be set; durations in seconds.

    Attributes:
        host: address to listen on.
        port: 0 takes a free one.
        idle_s: a connection on which no byte has moved for so long, either way, is cut. 240 s at Container Apps'
            default ingress, for WebSockets too.
        probe_s: how often each backend's `/readyz` is asked.
        probe_timeout_s: how long it may take to answer.
        probe_failures: how many in a row make a ready backend one that is not; one success makes it ready.
    """

    host: str = LOOPBACK
    port: int = 0
    idle_s: float = 240.0
    probe_s: float = 1.0
    probe_timeout_s: float = 1.0
    probe_failures: int = 3
