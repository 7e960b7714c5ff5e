"""The media gateway's fixtures."""

from tests.support.media import agent, gateway
from tests.support.media_survival import agents

__all__ = ["agent", "agents", "gateway"]
