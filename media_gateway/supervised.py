"""The agent of one call, supervised: what it raises, or does not do in time, ends its call and only that.

`open` and `close` run in tasks of their own, so that an adapter that is slow to be cancelled, or will not be, holds
nobody up; and so that its own CancelledError cannot be taken for the call's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from media_gateway.agents.contract import Agent, AgentFailed, CallInfo, Role
from media_gateway.speaker import Speaker
from shared.core.call_state import CallEvent, Cause
from shared.core.callbacks import AcsResult

logger = logging.getLogger(__name__)

FAILURES = (Exception, asyncio.CancelledError)
"""What is an adapter's failure. Where nothing is awaited, or a task of its own, no cancellation is the call's."""


@dataclass(frozen=True, slots=True)
class EndReason:
    """Why a call ends. `detail` is a name from our own code, safe to log."""

    event: CallEvent | None
    """None: this pod does not own the call any more, and must leave it alone."""
    detail: str = ""
    result: AcsResult | None = None
    """What ACS said of it, where it told."""


class AgentOwner(Protocol):
    """The call that an agent speaks in: what the agent asks of it beyond speaking."""

    def end(self, reason: EndReason) -> None:
        """End the call; of several reasons the first counts."""

    def transfer(self, target: str) -> None:
        """Transfer the call to a raw id, after what was said was heard."""

    def press_keys(self, digits: str) -> None:
        """Press keys towards the caller's side."""

    def set_variables(self, values: Mapping[str, str]) -> frozenset[str]:
        """Set output variables; return the names of those that are past a limit."""

    def caller_speaks(self, item_id: str) -> None:
        """Take that the caller begins to say what comes under this id."""

    def said(self, role: Role, text: str, item_id: str) -> None:
        """Write down final words."""

    def record(self, *, on: bool) -> None:
        """Pause the recording, or go on with it."""

    def note(self, event: str, detail: str) -> None:
        """Put something on the call's timeline."""


class SupervisedAgent:
    """Runs one adapter, and is the sink (`contract.AgentSink`) that it reports through.

    Args:
        make: Makes the adapter.
        speaker: What it speaks through.
        owner: The call.
        on_failed: Called when it cannot go on, once, with the reason: a name that is safe to log.
        on_abandoned: Takes over tasks that go on though they were cancelled.
    """

    def __init__(
        self,
        make: Callable[[], Agent],
        speaker: Speaker,
        owner: AgentOwner,
        *,
        on_failed: Callable[[str], None],
        on_abandoned: Callable[[Collection[asyncio.Task[None]]], None],
    ) -> None:
        self._make = make
        self._speaker = speaker
        self.audio: Callable[[str, bytes], None] = speaker.say
        """Says something (called by the agent): the speaker's own method, for it runs for every piece."""
        speaker.on_invalid = self.failed
        self._owner = owner
        self._on_failed = on_failed
        self._on_abandoned = on_abandoned
        self._agent: Agent | None = None
        self._opening: asyncio.Task[None] | None = None
        self._muted = False
        self._is_closed = False

    async def open(self, call: CallInfo, *, timeout_s: float) -> bool:
        """Make and connect the agent; False where it failed."""
        try:
            self._agent = self._make()
        except FAILURES as error:
            self.failed(error)
            return False
        self._opening = opening = _start(partial(self._agent.open, call, self))
        await asyncio.wait((opening,), timeout=timeout_s)
        if (failure := _failure(opening)) is not None:
            self.failed(failure)
        return failure is None

    @property
    def listener(self) -> Callable[[bytes], None]:
        """The opened adapter's own `send_audio`, for the path of every frame; what it raises is for `failed`."""
        return _nobody if self._agent is None else self._agent.send_audio

    def send_dtmf(self, digit: str) -> None:
        """Give the agent a key."""
        if self._agent is not None:
            try:
                self._agent.send_dtmf(digit)
            except FAILURES as error:
                self.failed(error)

    def transfer_failed(self, reason: str) -> None:
        """Tell the agent that the caller is still here."""
        if self._agent is not None:
            try:
                self._agent.transfer_failed(reason)
            except FAILURES as error:
                self.failed(error)

    async def close(self, reason: Cause, *, timeout_s: float) -> None:
        """Close the agent if it was made, an `open` that is under way cancelled first; a failure is logged only.

        Args:
            reason: Why the call ends.
            timeout_s: For the cancelled `open` to end, and again for `close`; what goes on then is abandoned.
        """
        self.mute()
        agent, self._agent = self._agent, None
        if agent is None:
            self._is_closed = True
            return
        opening, closing = self._opening, None
        try:
            if opening is not None:
                opening.cancel()
                await asyncio.wait((opening,), timeout=timeout_s)
                _failure(opening)  # looked at, or asyncio logs it with all it says
            closing = _start(partial(agent.close, reason))
            await asyncio.wait((closing,), timeout=timeout_s)
            if (error := _failure(closing)) is not None:
                logger.warning("an agent could not be closed", extra={"error": type(error).__name__})
                closing.cancel()
                await asyncio.wait((closing,), timeout=timeout_s)
        finally:
            self._is_closed = True
            if closing is not None:
                closing.cancel()
            left = [task for task in (opening, closing) if task is not None and not task.done()]
            if left:
                logger.error("an agent goes on though it was cancelled, and is abandoned")
                self._on_abandoned(left)

    def mute(self) -> None:
        """Take nothing more from the agent but words of what was said."""
        self._muted = True
        self.audio = _unsaid

    def clear(self) -> None:
        """Cut what is being said, and tell the agent how much of it was heard (called by the agent)."""
        if self._muted:
            return
        for cut in self._speaker.clear():
            if self._agent is not None:
                try:
                    self._agent.heard(cut.item_id, cut.heard_ms)
                except FAILURES as error:
                    self.failed(error)

    def caller_speaks(self, item_id: str) -> None:
        """Take that the caller begins to speak (called by the agent)."""
        if not self._muted:
            self._owner.caller_speaks(item_id)

    def transcript(self, role: Role, text: str, *, item_id: str) -> None:
        """Write down final words (called by the agent)."""
        if not self._is_closed:
            self._owner.said(role, text, item_id)

    def set_variables(self, values: Mapping[str, str]) -> frozenset[str]:
        """Set output variables; return the names of those that are past a limit (called by the agent)."""
        return frozenset() if self._muted else self._owner.set_variables(values)

    def press_keys(self, digits: str) -> None:
        """Press keys towards the caller's side (called by the agent)."""
        if not self._muted:
            self._owner.press_keys(digits)

    def transfer(self, target: str) -> None:
        """Transfer the call, once what was said was heard (called by the agent)."""
        if not self._muted:
            self._owner.transfer(target)

    def pause_recording(self) -> None:
        """Keep nothing from now on (called by the agent)."""
        if not self._muted:
            self._owner.record(on=False)

    def resume_recording(self) -> None:
        """Keep what is said again (called by the agent)."""
        if not self._muted:
            self._owner.record(on=True)

    def note(self, event: str, detail: str = "") -> None:
        """Put something on the call's timeline (called by the agent)."""
        if not self._muted:
            self._owner.note(event, detail)

    def end(self) -> None:
        """End the call (called by the agent)."""
        if not self._muted:
            self.mute()
            self._owner.end(EndReason(CallEvent.AGENT_ENDED))

    def failed(self, error: BaseException) -> None:
        """Give up this agent: it cannot go on (called by the agent)."""
        if not self._muted:
            self.mute()
            reason = error.reason if isinstance(error, AgentFailed) else type(error).__name__
            self._on_failed(reason)


def _nobody(pcm: bytes) -> None:
    """Stand in for an agent that there is not."""


def _unsaid(item_id: str, pcm: bytes) -> None:
    """Say nothing more."""


def _start(method: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    async def run() -> None:
        await method()

    return asyncio.create_task(run(), name="agent")


def _failure(task: asyncio.Task[None]) -> BaseException | None:
    """Return how an adapter's task failed: by being late, by being cancelled from within, or as it says."""
    if not task.done():
        return TimeoutError()
    return asyncio.CancelledError() if task.cancelled() else task.exception()
