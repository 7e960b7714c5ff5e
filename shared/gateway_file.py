"""The gateway file (`gateway.yaml`): agent profiles and routes, checked whole before any of it is used.

Its shape is published as `gateway.schema.json`; what a schema cannot say (a route's profile exists, a WAV file
is there and fits) is checked here. Every fault is reported with its line.
"""

import json
import wave
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import yaml

from shared.acs.identifiers import to_raw_id
from shared.core.profiles import MAX_SOUND_S, AgentProfile, AudioFormat, Route, Routing

SCHEMA_FILE = Path(__file__).with_name("gateway.schema.json")
PROFILE_FIELDS = ("audio_format", "playout_delay_ms", "max_duration_s", "connections_per_minute")
MAX_FILE_BYTES = 1024 * 1024
YAML_TAG = "tag:yaml.org,2002:"
PLAIN_TAGS = frozenset(YAML_TAG + name for name in ("null", "bool", "int", "float", "str"))


class GatewayFileInvalid(Exception):
    """The gateway file cannot be used; `faults` has one text for each, with its line."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def load_gateway_file(path: Path) -> Routing:
    """Read and check the file.

    Raises:
        GatewayFileInvalid: with every fault found.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise GatewayFileInvalid([f"{path.name}: larger than {MAX_FILE_BYTES} bytes"])
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise GatewayFileInvalid([f"{path.name}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise GatewayFileInvalid([f"{path.name}: is not UTF-8"]) from error
    except yaml.YAMLError as error:
        raise GatewayFileInvalid([_yaml_fault(path, error)]) from error
    except RecursionError as error:
        raise GatewayFileInvalid([f"{path.name}: is nested too deeply"]) from error
    if root is None:
        raise GatewayFileInvalid([f"{path.name}: is empty"])
    try:
        document = _Document(path, root)
        faults = [
            *document.duplicate_keys(),
            *_schema_faults(document),
            *_route_faults(document),
            *_sound_faults(document),
        ]
    except RecursionError as error:
        raise GatewayFileInvalid([f"{path.name}: refers to itself, or is nested too deeply"]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise GatewayFileInvalid([_yaml_fault(path, error)]) from error
    if faults:
        raise GatewayFileInvalid(faults)
    return _to_routing(document)


def _yaml_fault(path: Path, error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None:
        return f"{path.name}: {' '.join(str(error).split())}"
    return f"{path.name}:{mark.line + 1}: {problem}"


class _Document:
    """A YAML document as plain data, which still knows the line of each of its places."""

    def __init__(self, path: Path, root: yaml.Node) -> None:
        self.path = path
        self._root = root
        self._loader = yaml.SafeLoader("")
        self.data = self._plain(root)

    def fault(self, place: Sequence[str | int], text: str) -> str:
        """Return `text` with the file, the line and the name of the place it is about."""
        node = self._root
        for step in place:
            child = self._child(node, step)
            if child is None:
                break
            node = child
        name = ".".join(map(str, place)) or "file"
        return f"{self.path.name}:{node.start_mark.line + 1}: {name}: {text}"

    def duplicate_keys(self) -> Iterator[str]:
        """Say which keys stand twice: YAML keeps the last without a word."""
        yield from self._duplicates(self._root, [])

    def _duplicates(self, node: yaml.Node, place: list[str | int]) -> Iterator[str]:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if name in seen:
                    line = key.start_mark.line + 1
                    yield f"{self.path.name}:{line}: {'.'.join(map(str, place))}: '{name}' stands twice"
                seen.add(name)
                yield from self._duplicates(value, [*place, name])
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                yield from self._duplicates(item, [*place, index])

    def _plain(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            # Keys are text, whatever YAML makes of them: a key named 1 is the digit 1.
            return {str(key.value): self._plain(value) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item) for item in node.value]
        if node.tag.startswith(YAML_TAG) and node.tag not in PLAIN_TAGS:
            # Dates and the like: in this file they are text, written without quotes.
            return str(node.value)
        return self._loader.construct_object(node)

    @staticmethod
    def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
        if isinstance(node, yaml.MappingNode):
            return next((value for key, value in node.value if key.value == step), None)
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            item: yaml.Node = node.value[step]
            return item
        return None


def _schema_faults(document: _Document) -> Iterator[str]:
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA_FILE.read_bytes()))
    # The validator's own order is not fixed; by place, the same file always gives the same list.
    for error in sorted(
        validator.iter_errors(document.data), key=lambda e: (str(e.instance_path), e.message)
    ):
        yield document.fault(error.instance_path, error.message)


def _to_routing(document: _Document) -> Routing:
    profiles = {name: _to_profile(name, settings) for name, settings in document.data["profiles"].items()}
    routes = tuple(
        Route(account=r["account"], to=to_raw_id(r["to"]), profile=r["profile"])
        for r in document.data["routes"]
    )
    return Routing(profiles=profiles, routes=routes)


def _to_profile(name: str, settings: dict[str, Any]) -> AgentProfile:
    common = {field: settings[field] for field in PROFILE_FIELDS if field in settings}
    own = {field: value for field, value in settings.items() if field not in PROFILE_FIELDS}
    common.setdefault("audio_format", AudioFormat.PCM24K.value)
    # Not strict: to the schema, and to people, 600.0 is a whole number.
    return msgspec.convert({"name": name, "agent": own, **common}, AgentProfile, strict=False)


def _route_faults(document: _Document) -> Iterator[str]:
    """Check what the schema cannot; a place of the wrong shape is the schema's business, and skipped."""
    profiles = _object(_object(document.data).get("profiles"))
    taken: set[tuple[str, str]] = set()
    for index, route in enumerate(_list(_object(document.data).get("routes"))):
        account, to, profile = (_object(route).get(name) for name in ("account", "to", "profile"))
        if isinstance(profile, str) and profile not in profiles:
            yield document.fault(["routes", index, "profile"], f"there is no profile '{profile}'")
        if isinstance(account, str) and isinstance(to, str):
            if (account, to_raw_id(to)) in taken:
                yield document.fault(["routes", index], "the account has a route for this already")
            taken.add((account, to_raw_id(to)))


def _sound_faults(document: _Document) -> Iterator[str]:
    for name, settings in _object(_object(document.data).get("profiles")).items():
        written = _object(settings).get("audio_format", AudioFormat.PCM24K.value)
        if written not in list(AudioFormat):
            continue
        for place, file in _sounds(_object(settings)):
            fault = _wav_fault(document.path.parent / file, AudioFormat(written).rate_hz)
            if fault is not None:
                yield document.fault(["profiles", name, *place], fault)


def _sounds(settings: Mapping[str, Any]) -> Iterator[tuple[list[str], str]]:
    named = [(["greeting"], settings.get("greeting"))]
    for digit, step in _object(settings.get("on_digit")).items():
        named.append((["on_digit", digit, "play"], _object(step).get("play")))
    yield from ((place, file) for place, file in named if isinstance(file, str))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _wav_fault(path: Path, rate_hz: int) -> str | None:
    try:
        with wave.open(str(path), "rb") as sound:
            if (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) != (1, 2, rate_hz):
                return f"must be mono, 16 bit, {rate_hz} Hz"
            frames = sound.getnframes()
            if frames > MAX_SOUND_S * rate_hz:
                return f"is longer than {MAX_SOUND_S} s"
            if len(sound.readframes(frames)) != frames * 2:
                return "is cut short"
    except FileNotFoundError:
        return "the file is not there"
    except (OSError, wave.Error, EOFError, RuntimeError):
        return "is not a WAV file of PCM samples"
    return None
