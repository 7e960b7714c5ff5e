"""How the stand-in behaves, and what goes wrong on purpose."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from emulator.realtime.replies import Answer

WELL_KNOWN_KEY: Final = "realtime-public-not-a-secret"
"""The key of the local stack's stand-in; everybody knows it, as they know Azurite's."""


class Behaviour(StrEnum):
    """What a session does with what it hears."""

    ECHO = "echo"
    """Each append comes straight back, in one response without end. For load: it costs next to nothing."""
    PARROT = "parrot"
    """Listens for turns, and says each back; greets when it is asked to speak first."""
    SILENT = "silent"
    """Takes everything and says nothing but what a test has it say; finds no turns."""


class Trouble(StrEnum):
    """What is wrong with a service that is not what it should be."""

    DEAF = "deaf"
    """The connection is taken, and nothing ever comes."""
    RATE_LIMIT = "rate-limit"
    """Every response fails with `rate_limit_exceeded`."""
    MALFORMED = "malformed"
    """A message that is no JSON goes before each response."""
    UNKNOWN_EVENTS = "unknown-events"
    """Events of types that nobody knows stand around each response."""
    WRONG_RATE = "wrong-rate"
    """`session.updated` states sample rates that nobody asked for."""
    OVERSIZED = "oversized"
    """Each response comes as one message of several megabytes."""
    FLOOD = "flood"
    """Each response is three minutes of audio, sent at once."""
    CUT = "cut"
    """The connection is reset in the middle of a message with audio."""


@dataclass(frozen=True, kw_only=True)
class RealtimeSettings:
    """What the stand-in is and how it behaves.

    Attributes:
        host: address to listen on.
        port: 0 takes a free one.
        behaviour: of every session.
        key: API key that is asked for: as a bearer token at OpenAI, in `api-key` at Azure's services.
        tokens: bearer tokens that Azure's services take in Entra's stead. Without a key and tokens all are let in.
        answer: decides what responses say, in place of the behaviour's own.
        transcripts: of each session's first turns, in order; later ones tell their length.
        speed: how many ms of a response are sent for each ms that the caller appends; None sends it whole at once.
        connections_per_minute: more are refused with 429, as Voice Live does from 30 on.
        session_s: how long a session lasts.
        created_delay_s, updated_delay_s: what goes before `session.created` and `session.updated`.
        drop_after_s: when the connection is lost without a word.
        troubles: what else is wrong.
    """

    host: str = "127.0.0.1"
    port: int = 0
    behaviour: Behaviour = Behaviour.PARROT
    key: str | None = field(default=None, repr=False)
    tokens: frozenset[str] = field(default=frozenset(), repr=False)
    answer: Answer | None = None
    transcripts: tuple[str, ...] = ()
    speed: float | None = None
    connections_per_minute: int | None = None
    session_s: float | None = None
    created_delay_s: float = 0.0
    updated_delay_s: float = 0.0
    drop_after_s: float | None = None
    troubles: frozenset[Trouble] = frozenset()
