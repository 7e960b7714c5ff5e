"""The gateway document: agent profiles and routes as plain data, checked whole before any of it is used.

Its shape is published as `gateway.schema.json`; what a schema cannot say (a route's profile exists) is checked
here. An operator writes it as a file (`gateway_file.py`), and it is stored as JSON, with sounds named by content.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec

from shared.acs.identifiers import PHONE_PREFIX, to_raw_id
from shared.core.flow_model import Flow
from shared.core.profiles import AgentProfile, AudioFormat, Dialect, Route, Routing
from shared.core.variables import ContextSettings
from shared.realtime_faults import realtime_faults

SCHEMA_FILE = Path(__file__).with_name("gateway.schema.json")
MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
MAX_PROFILE_BYTES = 128 * 1024
"""Of one profile as JSON. Each call's row keeps a copy beside variables and history, and has no room for 480 KB."""
PROFILE_FIELDS = (
    "audio_format", "playout_delay_ms", "max_duration_s", "connections_per_minute", "recording",
    "fallback", "prompts", "silence", "transfer_caller_id", "transfer_timeout_s", "context",
)  # fmt: skip
MAX_PLACES = 10
"""That a fault names: it goes into logs and answers."""
MAX_PLACE_CHARS = 160
"""Twice the longest place of a good document; a key that somebody wrote by hand may have megabytes."""
MAX_LISTED_BYTES = 64 * 1024
"""Of a larger stored document only the first fault of shape is named: those of a megabyte of `{}` are gigabytes."""
STORED_SOUND = re.compile(r"sounds/[0-9a-f]{64}\.wav")

Place = tuple[str | int, ...]
"""Keys and indexes that lead to a value of the document."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where. The text may quote the document, numbers included: it is for who wrote that."""

    place: Place
    text: str

    @property
    def place_name(self) -> str:
        """The place in one word."""
        return ".".join(map(str, self.place))[:MAX_PLACE_CHARS] or "file"


@dataclass(frozen=True, slots=True)
class Sound:
    """A WAV file that a profile or a flow plays."""

    place: Place
    name: str
    rate_hz: int


class DocumentInvalid(Exception):
    """The document cannot be used; `faults` has every fault found. The text names their places only."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        places = list(dict.fromkeys(fault.place_name for fault in faults))
        super().__init__(", ".join(places[:MAX_PLACES]) + (", ..." if len(places) > MAX_PLACES else ""))
        self.faults = tuple(faults)


def faults_of(document: object, *, first_of_shape: bool = False) -> Iterator[Fault]:
    """Yield every fault of shape, or the first alone, then every fault of meaning."""
    yield from _schema_faults(document, first_only=first_of_shape)
    for name, settings in _object(_object(document).get("profiles")).items():
        if len(msgspec.json.encode(settings)) > MAX_PROFILE_BYTES:
            yield Fault(("profiles", name), f"larger than {MAX_PROFILE_BYTES} bytes")
        for place, text in _fallback_faults(_object(_object(settings).get("fallback"))):
            yield Fault(("profiles", name, "fallback", *place), text)
        for place, text in _context_faults(_object(_object(settings).get("context"))):
            yield Fault(("profiles", name, "context", *place), text)
        if _object(settings).get("kind") == "realtime":
            for place, text in realtime_faults(_object(settings)):
                yield Fault(("profiles", name, *place), text)
    yield from _route_faults(document)


def to_routing(document: Mapping[str, Any]) -> Routing:
    """Return the profiles and routes of a document without faults."""
    profiles = {name: _to_profile(name, settings) for name, settings in document["profiles"].items()}
    routes = tuple(
        Route(account=r["account"], to=to_raw_id(r["to"]), profile=r.get("profile"), flow=r.get("flow"))
        for r in document.get("routes", ())
    )
    flows = {name: msgspec.convert(flow, Flow) for name, flow in document.get("flows", {}).items()}
    return Routing(profiles=profiles, routes=routes, flows=flows)


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the document as it is stored: the same document always gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2)


def decode(stored: bytes) -> dict[str, Any]:
    """Return a stored document.

    Raises:
        DocumentInvalid: nobody should play by it.
    """
    try:
        document = msgspec.json.decode(stored)
        faults = [*faults_of(document, first_of_shape=len(stored) > MAX_LISTED_BYTES)]
        faults += [
            Fault(sound.place, "names no stored sound")
            for sound in sounds_of(document)
            if not STORED_SOUND.fullmatch(sound.name)
        ]
        faults += _stored_flow_faults(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        faults = [Fault((), "is not JSON")]
    if faults:
        raise DocumentInvalid(faults)
    decoded: dict[str, Any] = document
    return decoded


def sounds_of(document: object) -> Iterator[Sound]:
    """Yield every WAV file that is named, as far as its profile's rate is known."""
    for name, settings in _object(_object(document).get("profiles")).items():
        written = _audio_format(_object(settings))
        if not isinstance(written, str) or written not in list(AudioFormat):
            continue
        for place, file in _named_sounds(_object(settings)):
            yield Sound(("profiles", name, *place), file, AudioFormat(written).rate_hz)


def stored_name(content: bytes) -> str:
    """Return the name under which a sound is stored: it says what it holds, and so never changes."""
    return f"sounds/{hashlib.sha256(content).hexdigest()}.wav"


def shared_numbers(routing: Routing) -> Collection[tuple[str, Sequence[str]]]:
    """Return (called, accounts) for everyone whose calls several accounts route by name: each would answer."""
    accounts: dict[str, list[str]] = {}
    for route in routing.routes:
        if route.to != "*":
            accounts.setdefault(route.to, []).append(route.account)
    return [(to, sorted(names)) for to, names in accounts.items() if len(names) > 1]


def _schema_faults(document: object, *, first_only: bool) -> Iterator[Fault]:
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA_FILE.read_bytes()))
    try:
        if first_only:
            validator.validate(document)
        # The validator's own order is not fixed; by place, the same document always gives the same list.
        errors = sorted(validator.iter_errors(document), key=lambda e: (str(e.instance_path), e.message))
    except jsonschema_rs.ValidationError as first:
        errors = [first]
    except ValueError:
        # The validator's own limit; what the JSON reader takes may go deeper.
        yield Fault((), "is nested too deeply")
        return
    for error in errors:
        yield Fault(tuple(error.instance_path), error.message)


def _fallback_faults(fallback: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    transfer = fallback.get("transfer")
    if (
        "caller_id" in fallback
        and isinstance(transfer, str)
        and not to_raw_id(transfer).startswith(PHONE_PREFIX)
    ):
        yield ("caller_id",), "is shown to phones only, and transfer is no number"


def _context_faults(context: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    defaults = ContextSettings()
    return_header, task_header = (
        str(context.get(member, default)).lower()
        for member, default in (
            ("return_header", defaults.return_header),
            ("task_header", defaults.task_header),
        )
    )
    if return_header == task_header:
        yield (), "return_header and task_header are the same header"
    for index, name in enumerate(_list(context.get("variables"))):
        if str(name).lower() in (return_header, task_header):
            yield ("variables", index), "is no variable: the gateway reads this header itself"


def _route_faults(document: object) -> Iterator[Fault]:
    """Check what the schema cannot; a place of the wrong shape is the schema's business, and skipped."""
    profiles, flows = (_object(_object(document).get(name)) for name in ("profiles", "flows"))
    taken: set[tuple[str, str]] = set()
    for index, route in enumerate(_list(_object(document).get("routes"))):
        account, to, profile, flow = (
            _object(route).get(name) for name in ("account", "to", "profile", "flow")
        )
        if isinstance(profile, str) and profile not in profiles:
            yield Fault(("routes", index, "profile"), f"there is no profile '{profile}'")
        if isinstance(flow, str) and flow not in flows:
            yield Fault(("routes", index, "flow"), f"there is no flow '{flow}'")
        if isinstance(account, str) and isinstance(to, str):
            if (account, to_raw_id(to)) in taken:
                yield Fault(("routes", index), "the account has a route for this already")
            taken.add((account, to_raw_id(to)))


def _stored_flow_faults(document: object) -> Iterator[Fault]:
    """Check the form alone: what a file says was checked before, and the interpreter stands what it does not know."""
    for name, flow in _object(_object(document).get("flows")).items():
        try:
            msgspec.convert(flow, Flow)
        except msgspec.ValidationError:
            yield Fault(("flows", name), "is no stored flow")


def _to_profile(name: str, settings: Mapping[str, Any]) -> AgentProfile:
    common = {field: settings[field] for field in PROFILE_FIELDS if field in settings}
    own = {field: value for field, value in settings.items() if field not in PROFILE_FIELDS}
    common["audio_format"] = _audio_format(settings)
    if "fallback" in common:
        common["fallback"] = common["fallback"] | {"transfer": to_raw_id(common["fallback"]["transfer"])}
    if own.get("kind") == "realtime":
        targets = own.get("transfer_targets", {})
        own["transfer_targets"] = {to: to_raw_id(target) for to, target in targets.items()}
    # Not strict: to the schema, and to people, 600.0 is a whole number.
    return msgspec.convert({"name": name, "agent": own, **common}, AgentProfile, strict=False)


def _audio_format(settings: Mapping[str, Any]) -> object:
    """Return the format that is written, or else the one that the agent speaks."""
    speaks_16k = settings.get("dialect") == Dialect.VOICE_LIVE.value
    return settings.get("audio_format", (AudioFormat.PCM16K if speaks_16k else AudioFormat.PCM24K).value)


def _named_sounds(settings: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    recording = _object(settings.get("recording"))
    named: list[tuple[Place, Any]] = [(("recording", "announcement"), recording.get("announcement"))]
    named += [(("prompts", kind), file) for kind, file in _object(settings.get("prompts")).items()]
    if settings.get("kind") == "script":
        named.append((("greeting",), settings.get("greeting")))
    for digit, step in _object(settings.get("on_digit")).items():
        named.append((("on_digit", digit, "play"), _object(step).get("play")))
    yield from ((place, file) for place, file in named if isinstance(file, str))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
