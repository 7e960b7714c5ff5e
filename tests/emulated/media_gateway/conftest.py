"""The media gateway's fixtures."""

from tests.support.media import agent, gateway

__all__ = ["agent", "gateway"]
