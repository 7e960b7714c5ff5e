"""Keeps an agent on a call: connects it, comforts a caller who waits for it, and replaces it once when it is lost."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from media_gateway.agents.contract import CallInfo, may_reconnect
from media_gateway.agents.so_far import ConversationSoFar
from media_gateway.pod import Pod
from media_gateway.speaker import Speaker
from media_gateway.supervised import SupervisedAgent
from shared.core.call_state import Cause

logger = logging.getLogger(__name__)

COMFORT = "comfort"
"""The item of the comfort prompt."""


class AgentKeeper:
    """The agents of one call, one after another.

    Args:
        pod: This process.
        speaker: What they speak through.
        make: Makes one; it calls what it is given when that one has failed.
        comfort: Gives the samples of the comfort prompt.
        so_far: What was said in the call.
        on_listening: Called when an agent listens.
        on_deaf: Called at the moment at which it does not any more.
    """

    def __init__(
        self,
        pod: Pod,
        speaker: Speaker,
        make: Callable[[Callable[[str], None]], SupervisedAgent],
        *,
        comfort: Callable[[], bytes],
        so_far: ConversationSoFar,
        on_listening: Callable[[SupervisedAgent], None],
        on_deaf: Callable[[], None],
    ) -> None:
        self._pod = pod
        self._speaker = speaker
        self._make = make
        self._comfort = comfort
        self._so_far = so_far
        self._on_listening = on_listening
        self._on_deaf = on_deaf
        self._reason = ""
        self._failed = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self.current: SupervisedAgent | None = None
        """The agent of now; None before the first and after the last."""

    async def run(self, info: CallInfo) -> str:
        """Keep an agent on the call. Returns why none can be had any more; cancelled when the call ends."""
        loop, timing = asyncio.get_running_loop(), self._pod.timing
        within_s, may_replace = timing.agent_open_s, True
        while True:
            self._failed.clear()
            agent = self.current = self._make(self._on_failed)
            lived_s = 0.0
            if await self._connect(agent, info, within_s):
                began = loop.time()
                if not self._failed.is_set():
                    self._on_listening(agent)
                await self._failed.wait()
                lived_s = loop.time() - began
                may_replace |= lived_s >= timing.agent_stable_s
            else:
                may_replace = False  # an adapter tries as long as that makes sense
            closing = self._let_go(agent)
            if not (may_replace and may_reconnect(self._reason)):
                self.current = None
                return self._reason
            logger.warning(
                "an agent is connected anew", extra={"call_id": info.call_id, "reason": self._reason}
            )
            self._pod.counters["agents_reconnected"] += 1
            await asyncio.wait((closing,), timeout=timing.agent_words_s)
            info = replace(info, is_resumed=True, conversation=self._so_far.lines())
            within_s, may_replace = timing.agent_reconnect_s, False

    def mute(self) -> None:
        """Take nothing more from the agent but words of what was said."""
        if self.current is not None:
            self.current.mute()

    @property
    def is_closed(self) -> bool:
        """Whether no agent is left, not even one that is being closed."""
        return self.current is None and not self._closing

    async def close(self, cause: Cause) -> None:
        """Close what is still open, in bounded time."""
        if self.current is not None:
            self._let_go(self.current, cause)
            self.current = None
        await asyncio.gather(*self._closing)

    async def _connect(self, agent: SupervisedAgent, info: CallInfo, within_s: float) -> bool:
        opening = asyncio.create_task(agent.open(info, timeout_s=within_s), name="connecting an agent")
        try:
            await asyncio.wait((opening,), timeout=self._pod.timing.comfort_s)
            if not opening.done():
                self._pod.counters["comfort_prompts"] += 1
                self._speaker.say(COMFORT, self._comfort(), protected=True)
            return await opening
        finally:
            opening.cancel()

    def _on_failed(self, reason: str) -> None:
        self._reason = reason
        self._failed.set()
        self._on_deaf()

    def _let_go(self, agent: SupervisedAgent, cause: Cause = Cause.AGENT_FAILED) -> asyncio.Task[None]:
        """Close an agent; the next one waits for no more than its last words."""
        closing = asyncio.create_task(
            agent.close(cause, timeout_s=self._pod.timing.agent_close_s), name="closing an agent"
        )
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        return closing
