"""Which adapter speaks for which kind of profile."""

from typing import assert_never

from media_gateway.agents.contract import Agent
from media_gateway.agents.echo import Echo
from media_gateway.agents.script import Script
from media_gateway.sounds import Sounds
from shared.core.profiles import AgentSettings, EchoAgent, ScriptAgent


def make_agent(settings: AgentSettings, sounds: Sounds) -> Agent:
    """Return a new agent for one call; `sounds` has the files that `settings` name."""
    match settings:
        case EchoAgent():
            return Echo(settings)
        case ScriptAgent():
            return Script(settings, sounds)
        case _:
            assert_never(settings)
