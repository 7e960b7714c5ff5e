"""What a flow wants done next, with all that the shell needs for it.

There is one at a time. Its id goes to ACS as the operation's context and comes back with the event; nothing in it is
personal. What is said, sent or dialled is in no `repr`. Nothing heard of an action within `timeout_s` is `Failed`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.core.flow_model import Choice, Digits, PartKind, Speech
from shared.core.transfers import TransferContext


@dataclass(frozen=True, slots=True)
class Source:
    """A piece of what is said: ACS's TextSource, SsmlSource or FileSource."""

    kind: PartKind
    content: str = field(repr=False)
    """Text, SSML, or the stored name of a WAV file."""
    language: str
    voice: str
    custom_voice: str | None
    cache_id: str | None
    """Where ACS may keep what it has rendered: never of what a variable has gone into."""


@dataclass(frozen=True, slots=True)
class Play:
    """Say it to everybody in the call."""

    id: str
    sources: Sequence[Source]
    timeout_s: int


@dataclass(frozen=True, slots=True)
class Recognise:
    """Say it to the caller, and listen: for choices, or for digits, speech, or either.

    Choices without phrases are never here: they are asked for as one digit, which needs no speech service.
    """

    id: str
    sources: Sequence[Source]
    language: str
    speech_model: str | None
    digits: Digits | None
    speech: Speech | None
    choices: Mapping[str, Choice]
    """By label; the phrases to listen for are those of `language`."""
    silence_s: int
    barge_in: bool
    timeout_s: int


@dataclass(frozen=True, slots=True)
class CallHttp:
    """Send a request as an agent's tool is sent: allowed hosts alone, no redirects, an answer of bounded size."""

    id: str
    url: str
    method: str
    arguments: Mapping[str, str] = field(repr=False)
    """Query of GET, JSON body of POST."""
    headers: Mapping[str, str] = field(repr=False)
    secret_headers: Mapping[str, str]
    """Header to the name of the Key Vault secret that holds its whole value."""
    timeout_ms: int
    timeout_s: int


@dataclass(frozen=True, slots=True)
class TransferCall:
    """Send the caller on."""

    id: str
    target: str = field(repr=False)
    caller_id: str | None = field(repr=False)
    context: TransferContext = field(repr=False)
    left_out: Sequence[str]
    """Names of what the target's leg cannot carry."""
    timeout_s: int


@dataclass(frozen=True, slots=True)
class HangUpCall:
    """End the call."""

    id: str
    timeout_s: int


Action = Play | Recognise | CallHttp | TransferCall | HangUpCall
