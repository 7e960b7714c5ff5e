"""Which adapter speaks for which kind of profile."""

from dataclasses import dataclass
from typing import assert_never

from media_gateway.agents.contract import Agent
from media_gateway.agents.echo import Echo
from media_gateway.agents.realtime.adapter import Realtime, RealtimeService
from media_gateway.agents.script import Script
from media_gateway.sounds import Sounds
from shared.core.profiles import AgentSettings, EchoAgent, RealtimeAgent, ScriptAgent


@dataclass(frozen=True, slots=True)
class AgentResources:
    """What the agents of all calls of the process share."""

    sounds: Sounds
    """The files that profiles name."""
    realtime: RealtimeService


def make_agent(settings: AgentSettings, resources: AgentResources) -> Agent:
    """Return a new agent for one call."""
    match settings:
        case EchoAgent():
            return Echo(settings)
        case ScriptAgent():
            return Script(settings, resources.sounds)
        case RealtimeAgent():
            return Realtime(settings, resources.realtime)
        case _:
            assert_never(settings)
