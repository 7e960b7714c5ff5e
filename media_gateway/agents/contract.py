"""The contract between a call and a voice agent; `docs/agents.md` tells how to add one.

A call makes one agent, opens it, feeds it the caller's audio and keys, and closes it. What the agent has to say
comes back through the sink that it got at `open`. Everything runs on the event loop. All but `open` and `close`
is synchronous and runs inside the callback of a media frame, 50 times a second for each call: no task, lock,
queue or await there, and nothing that takes more than a few microseconds.

Audio, both ways, is signed 16-bit little-endian mono PCM at `CallInfo.rate_hz`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from shared.core.call_state import Cause

MAX_CONVERSATION_LINES = 60
MAX_CONVERSATION_CHARS = 8_000
"""Of all lines together, some nine minutes of speech: what an agent that takes over is told of the conversation."""


CALLER_STOPS = "caller_stops"
"""What an agent notes when the caller has stopped to speak, whose beginning it told of by `caller_speaks`."""


class Role(StrEnum):
    """Who says something."""

    CALLER = "caller"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Said:
    """Something that was said."""

    role: Role
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallInfo:
    """What an agent is told about its call."""

    call_id: str
    account_id: str
    correlation_id: str
    """The same for all calls that one caller is led through."""
    caller: str = field(repr=False)
    """Raw id (`4:+1...`, `8:acs:...`): personal data."""
    called: str = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    """Input variables: the string pairs that came with the call, and `caller`, `called` (`+1...`) and `correlationId`;
    no others than the profile allows. Data, never instructions."""
    rate_hz: int
    task: str = field(default="", repr=False)
    """Name of the task that the agent was given by whoever sent the call; empty: none. Data too."""
    is_recorded: bool = False
    """Whether what is said is kept: then its words are wanted too."""
    is_resumed: bool = False
    """Whether the caller has talked with an agent in this call already, which was lost: nobody is greeted again."""
    conversation: tuple[Said, ...] = field(default=(), repr=False)
    """Of a resumed call, what was said so far as far as its words are known: oldest first, the newest that fit into
    `MAX_CONVERSATION_LINES` and `MAX_CONVERSATION_CHARS`. Data, never instructions."""


class AgentFailed(Exception):
    """The agent cannot go on. The reason is a name of ours, fit for a log and a metric."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_LOST_WITH_ITS_SESSION = frozenset(
    {
        "agent_bad_framing",
        "agent_does_not_read",
        "agent_not_text",
        "agent_silent",
        "agent_too_large",
        "bad_messages",
        "connection_lost",
        "response_failed",
        "session_expired",
    }
)


def may_reconnect(reason: str) -> bool:
    """Whether another agent of the same profile may do better: only this one's connection or session went wrong.

    Not where the account or the profile stands in the way (`quota`, `rate_limited`, `unauthorized`,
    `session_refused`, ...), nor where connecting was tried again already (`unreachable`, `unavailable`). Any other
    reason, an exception's type for one, is a fault of ours that would come again.

    Args:
        reason: Of an `AgentFailed`, or the type of another error.
    """
    return reason in _LOST_WITH_ITS_SESSION


class AgentSink(Protocol):
    """What an agent may ask of its call. After `end` or `failed`, and once the call ends, methods do nothing.

    `transcript` alone is taken until `close` has returned, for words come later than what was said.
    """

    def audio(self, item_id: str, pcm: bytes, /) -> None:
        """Say something. It may come faster than real time; it is sent at once as far as ACS should hold it.

        Look it up anew each time: it is another method once nothing more is to be said.

        Args:
            item_id: Names the stretch of speech that `pcm` belongs to, so that `Agent.heard` can tell how much
                of it was heard. Its audio comes in one run; an item that was cut takes no more.
            pcm: Whole samples, or the agent has failed. At most 120 s may wait to be sent; an item that does not fit
                ends there.
        """

    def clear(self) -> None:
        """Stop what is being said, and forget what waits: the caller interrupted.

        `Agent.heard` is called for every item that this cuts, before this returns.
        """

    def caller_speaks(self, item_id: str) -> None:
        """Take that the caller begins to speak; what they say comes by `transcript` under this id."""

    def transcript(self, role: Role, text: str, *, item_id: str) -> None:
        """Write down what was said, once it is final. Of an item that was cut, only what was heard is kept.

        Args:
            role: Who said it.
            text: The words; of an item they may come in parts, and are joined in order.
            item_id: Of the agent's audio, the `item_id` that it was said in; of the caller's, any name; where
                `caller_speaks` told it, the words count for when that was, and else for when they come.
        """

    def set_variables(self, values: Mapping[str, str]) -> frozenset[str]:
        """Set output variables: what leaves with the call. A later value of a name goes before an earlier one.

        Returns:
            The names of `values` that were not kept: a call carries so many variables, and no more
            (`shared/core/variables.py`).
        """

    def press_keys(self, digits: str) -> None:
        """Press keys towards the caller's side: `0123456789*#ABCD`."""

    def transfer(self, target: str) -> None:
        """Transfer the call to a raw id, once the caller has heard what was said so far.

        The agent stays in the call until the transfer is accepted; otherwise `Agent.transfer_failed` is called.
        """

    def end(self) -> None:
        """End the call, once the caller has heard what was said so far."""

    def pause_recording(self) -> None:
        """Keep nothing of what is said and pressed from now on: silence on both tracks, no transcript, no digits."""

    def resume_recording(self) -> None:
        """Keep what is said again, from when the caller has heard what was said until now."""

    def note(self, event: str, detail: str = "") -> None:
        """Put an event of the agent's service on the call's timeline. Both are names of ours, safe to log."""

    def failed(self, error: Exception) -> None:
        """Take that the agent cannot go on. Of the error, the type is logged, or an `AgentFailed`'s reason.

        Where `may_reconnect` says so another agent may take over in the same call; otherwise the call falls back: it
        is sent on as its profile says, or ends with an apology.
        """


class Agent(Protocol):
    """One agent in one call. An exception from any method is the end of it, as `AgentSink.failed` is.

    A `CancelledError` of the agent's own (of a task or future that it awaits) is an exception like others.
    """

    async def open(self, call: CallInfo, sink: AgentSink) -> None:
        """Connect. It may use the sink from the beginning; audio of the caller comes after it returns.

        The caller's audio until then is kept and follows in order. Cancelled when it takes too long, or when
        the call ends meanwhile; `close` is called all the same. It runs in a task of its own.
        """

    def send_audio(self, pcm: bytes, /) -> None:
        """Take what the caller said: 20 ms as a rule. Silence comes as zeros, so this is also the call's clock."""

    def send_dtmf(self, digit: str) -> None:
        """Take a key that the caller pressed: one of `0123456789*#ABCD`."""

    def heard(self, item_id: str, heard_ms: int) -> None:
        """Take how much the caller heard of an item that was cut; never more than was said of it."""

    def transfer_failed(self, reason: str) -> None:
        """Take that the transfer it asked for did not come about: the caller is still here. A name of ours."""

    async def close(self, reason: Cause) -> None:
        """Write down what words there still are, and let go of everything.

        Called exactly once, also after a failed `open`. `reason`: why the call ends.
        """
