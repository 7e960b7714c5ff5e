"""The media gateway's fixtures."""

from tests.support.call_control import acs, call, ear, emulator, files
from tests.support.media import agent, gateway
from tests.support.media_survival import agents

__all__ = ["acs", "agent", "agents", "call", "ear", "emulator", "files", "gateway"]
