"""The agent of one call, supervised: what it raises, or does not do in time, ends its call and only that."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from media_gateway.agents.contract import Agent, CallInfo
from media_gateway.speaker import Speaker
from shared.core.call_state import CallEvent, Cause

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EndReason:
    """Why a call ends. `detail` is a name from our own code, safe to log."""

    event: CallEvent | None
    """None: this pod does not own the call any more, and must leave it alone."""
    detail: str = ""


class SupervisedAgent:
    """Runs one adapter, and is the sink (`contract.AgentSink`) that it reports through.

    Args:
        make: Makes the adapter.
        speaker: What it speaks through.
        on_end: Ends the call; of several reasons the call keeps the first.
    """

    def __init__(
        self, make: Callable[[], Agent], speaker: Speaker, on_end: Callable[[EndReason], None]
    ) -> None:
        self._make = make
        self._speaker = speaker
        self._on_end = on_end
        self._agent: Agent | None = None
        self._muted = False

    async def open(self, call: CallInfo, *, timeout_s: float) -> bool:
        """Make and connect the agent; False where it failed, which has ended the call."""
        try:
            self._agent = self._make()
            async with asyncio.timeout(timeout_s):
                await self._agent.open(call, self)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises is its failure, not the call's
            self.failed(error)
            return False
        return True

    def send_audio(self, pcm: bytes) -> None:
        """Give the agent what the caller said."""
        if self._agent is not None:
            try:
                self._agent.send_audio(pcm)
            except Exception as error:  # noqa: BLE001 - as in `open`
                self.failed(error)

    def send_dtmf(self, digit: str) -> None:
        """Give the agent a key."""
        if self._agent is not None:
            try:
                self._agent.send_dtmf(digit)
            except Exception as error:  # noqa: BLE001 - as in `open`
                self.failed(error)

    async def close(self, reason: Cause, *, timeout_s: float) -> None:
        """Close the agent if it was made; a failure is logged only."""
        self.mute()
        agent, self._agent = self._agent, None
        if agent is None:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await agent.close(reason)
        except Exception as error:  # noqa: BLE001 - as in `open`; the call is over anyway
            logger.warning("an agent could not be closed", extra={"error": type(error).__name__})

    def mute(self) -> None:
        """Take nothing more from the agent."""
        self._muted = True

    def audio(self, item_id: str, pcm: bytes) -> None:
        """Say something (called by the agent)."""
        if not self._muted:
            try:
                self._speaker.say(item_id, pcm)
            except ValueError as error:
                self.failed(error)

    def clear(self) -> None:
        """Cut what is being said, and tell the agent how much of it was heard (called by the agent)."""
        if self._muted:
            return
        for cut in self._speaker.clear():
            if self._agent is not None:
                self._agent.heard(cut.item_id, cut.heard_ms)

    def end(self) -> None:
        """End the call (called by the agent)."""
        if not self._muted:
            self.mute()
            self._on_end(EndReason(CallEvent.AGENT_ENDED))

    def failed(self, error: Exception) -> None:
        """End the call because the agent cannot go on (called by the agent)."""
        if not self._muted:
            self.mute()
            self._on_end(EndReason(CallEvent.AGENT_FAILED, type(error).__name__))
