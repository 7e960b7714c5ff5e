"""A flow: what an IVR says and asks before the agent takes the call, as its steps.

It comes from a flow file (see `shared/flow_document.py`), already validated: the interpreter (`flow.py`) trusts it.
Texts are templates (`flow_texts.py`), and everything that is said or heard has its form for each language.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

MAX_STEPS = 200
MAX_VARIABLES = 32
"""That a flow declares."""
MAX_VALUE_CHARS = 512
"""Of a variable; `flow_state.MAX_STATE_BYTES` follows from it."""
MAX_TEXT_CHARS = 4000
"""Of a text that ACS is to say."""
MAX_SSML_CHARS = 16_384
"""Of ours: ACS names no limit for SSML."""
MAX_SPEECH_SILENCE_S = 20
"""That ACS waits for speech, and for choices; for keys alone it waits `MAX_KEYS_SILENCE_S`."""
MAX_KEYS_SILENCE_S = 300

LANGUAGE = "language"
"""The variable that selects the language; it always has a value, at first the first language."""
BUILT_IN = (LANGUAGE, "caller", "called", "correlation_id", "ivr_identity", "outcome")
"""Variables that every flow has. Of them a flow may set the language alone."""
BUILT_IN_SENSITIVE = frozenset({"caller"})


class Language(Struct, frozen=True, omit_defaults=True):
    """How one language is spoken and heard."""

    voice: str
    """Name of an Azure voice (`en-US-AvaMultilingualNeural`)."""
    custom_voice: str | None = None
    """Endpoint id of a custom voice."""
    speech_model: str | None = None
    """Endpoint id of a custom speech recognition model."""


class Variable(Struct, frozen=True, omit_defaults=True):
    """What the flow keeps under one name: text."""

    default: str | None = None
    """None: it has no value until a step gives it one."""
    pattern: str | None = None
    """Regular expression (of Rust, which takes linear time) that the whole of a value must match."""
    sensitive: bool = False
    """Masked wherever it is shown."""
    input: str | None = None
    """Header of the call's custom context that it comes in with; None: it comes from nowhere else."""


class PartKind(StrEnum):
    """What a part of a prompt is made of."""

    TEXT = "text"
    SSML = "ssml"
    WAV = "wav"


class Part(Struct, frozen=True, omit_defaults=True):
    """A piece of a prompt."""

    kind: PartKind
    content: str
    """Text or SSML with variables, or the stored name of a WAV file."""
    language: str
    wav: str | None = None
    """Stored name of the WAV file that stands in for text or SSML where the speech service is away."""


Prompt = Mapping[str, Sequence[Part]]
"""What is said, for each language of the flow."""


class Choice(Struct, frozen=True, omit_defaults=True):
    """One answer of several, said or pressed."""

    key: str | None = None
    phrases: Mapping[str, Sequence[str]] = {}
    """For each language; empty where nothing but a key chooses."""
    next: str | None = None
    """Step that it leads to; None: that of the question."""


class Digits(Struct, frozen=True, omit_defaults=True):
    """Keys to be pressed."""

    min: int
    max: int
    stop: str = ""
    """Keys that end it; they are no part of the answer."""
    pause_s: int = 2
    """Without a further key, then it is over."""


class Speech(Struct, frozen=True, omit_defaults=True):
    """Words to be said."""

    end_silence_ms: int | None = None
    """Of silence, then the caller has finished; None is ACS's default."""


class Say(Struct, frozen=True, tag="say", tag_field="kind"):
    """Says something. Whether it could be said or not, the flow goes on."""

    prompt: Prompt
    next: str


class Ask(Struct, frozen=True, tag="ask", tag_field="kind", omit_defaults=True):
    """Asks for digits, speech, either, or one of several choices."""

    prompt: Prompt
    otherwise: str
    """Step after the last try, or where ACS cannot recognise anything."""
    next: str | None = None
    """None where each choice has its own."""
    digits: Digits | None = None
    speech: Speech | None = None
    choices: Mapping[str, Choice] = {}
    """By label, which is the answer."""
    variable: str | None = None
    """That gets the answer."""
    silence_s: int = 5
    """Before the first key or word."""
    barge_in: bool = True
    retries: int = 2
    no_input: Prompt | None = None
    """Said before the question is asked again."""
    no_match: Prompt | None = None


class Case(Struct, frozen=True, omit_defaults=True, rename={"is_": "is"}):
    """One way on from a branch: what the value is, or the pattern that the whole of it matches."""

    next: str
    is_: Sequence[str] = ()
    matches: str | None = None


class Branch(Struct, frozen=True, tag="branch", tag_field="kind"):
    """Goes by the value of a variable, which is empty where it has none."""

    variable: str
    cases: Sequence[Case]
    otherwise: str


class Http(Struct, frozen=True, tag="http", tag_field="kind", omit_defaults=True):
    """Asks an HTTP API; the rules are those of an agent's tool."""

    url: str
    next: str
    otherwise: str
    """Step where there is no answer, it is none of 2xx, or something that is to be saved is not in it."""
    method: str = "POST"
    """GET sends the variables as a query, POST as a JSON body."""
    send: Mapping[str, str] = {}
    save: Mapping[str, str] = {}
    """Variable to the path of its value in the answer (`customer.tier`, `items.0.id`)."""
    headers: Mapping[str, str] = {}
    secret_headers: Mapping[str, str] = {}
    timeout_ms: int = 5000


class Set(Struct, frozen=True, tag="set", tag_field="kind"):
    """Gives variables a value."""

    variables: Mapping[str, str]
    next: str


class Transfer(Struct, frozen=True, tag="transfer", tag_field="kind", omit_defaults=True):
    """Sends the caller on, which ends the flow where it succeeds."""

    to: str
    """Raw id."""
    otherwise: str
    context: Mapping[str, str] = {}
    caller_id: str | None = None
    timeout_s: int = 60


class HangUp(Struct, frozen=True, tag="hang_up", tag_field="kind"):
    """Ends the call."""


class GoTo(Struct, frozen=True, tag="go_to", tag_field="kind"):
    """Goes on elsewhere."""

    next: str


Step = Say | Ask | Branch | Http | Set | Transfer | HangUp | GoTo


class Flow(Struct, frozen=True, omit_defaults=True):
    """A whole flow."""

    languages: Mapping[str, Language]
    """The first is that of every caller until a step, or what came in with the call, selects another."""
    start: str
    steps: Mapping[str, Step]
    variables: Mapping[str, Variable] = {}
    returns: str | None = None
    """Step that a call begins with which an agent has sent back; None: it begins like any other."""

    @property
    def first_language(self) -> str:
        """The language of a call that has selected none."""
        return next(iter(self.languages))

    def is_sensitive(self, variable: str) -> bool:
        """Whether its value must be masked."""
        declared = self.variables.get(variable)
        return variable in BUILT_IN_SENSITIVE if declared is None else declared.sensitive
