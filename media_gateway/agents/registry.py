"""Which adapter speaks for which kind of profile."""

from pathlib import Path
from typing import assert_never

from media_gateway.agents.contract import Agent
from media_gateway.agents.echo import Echo
from media_gateway.agents.script import Script
from shared.core.profiles import AgentSettings, EchoAgent, ScriptAgent


def make_agent(settings: AgentSettings, base_dir: Path) -> Agent:
    """Return a new agent for one call; file names in `settings` are relative to `base_dir`."""
    match settings:
        case EchoAgent():
            return Echo(settings)
        case ScriptAgent():
            return Script(settings, base_dir)
        case _:
            assert_never(settings)
