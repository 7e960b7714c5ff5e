"""The gateway file (`gateway.yaml`): the gateway document as an operator writes it, with WAV files beside it.

It is checked whole, its sounds included, and every fault is reported with its line.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from shared.gateway_document import Fault, Sound, faults_of, sounds_of, stored_name
from shared.wav import MAX_WAV_BYTES, SoundUnusable, read_wav

MAX_FILE_BYTES = 1024 * 1024
YAML_TAG = "tag:yaml.org,2002:"
PLAIN_TAGS = frozenset(YAML_TAG + name for name in ("null", "bool", "int", "float", "str"))


class GatewayFileInvalid(Exception):
    """The gateway file cannot be used; `faults` has one text for each, with its line."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class GatewayFile:
    """A file without faults."""

    document: dict[str, Any]
    """With sounds named as they are stored, and without routes where the file leaves them out."""
    sounds: Mapping[str, bytes]
    """The contents of the WAV files, by those names."""


def load_gateway_file(path: Path) -> GatewayFile:
    """Read and check the file and the WAV files that it names.

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
        faults = [*document.duplicate_keys(), *map(document.fault, faults_of(document.data))]
        sounds = _Sounds(path.parent)
        faults += [*map(document.fault, sounds.read(document.data))]
        flows = _Flows(path.parent)
        faults += flows.read(document)
    except RecursionError as error:
        raise GatewayFileInvalid([f"{path.name}: refers to itself, or is nested too deeply"]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise GatewayFileInvalid([_yaml_fault(path, error)]) from error
    if faults:
        raise GatewayFileInvalid(faults)
    return GatewayFile(
        flows.as_stored(sounds.as_stored(document.data)), {**sounds.contents, **flows.contents}
    )


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

    def fault(self, fault: Fault) -> str:
        """Return a fault with the file, the line and the name of the place it is about."""
        node = self._root
        for step in fault.place:
            child = self._child(node, step)
            if child is None:
                break
            node = child
        return f"{self.path.name}:{node.start_mark.line + 1}: {fault.place_name}: {fault.text}"

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


class _Sounds:
    """The WAV files beside a gateway file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}

    def read(self, data: Any) -> Iterator[Fault]:
        """Read what the document names, and yield what cannot be played."""
        for sound in sounds_of(data):
            try:
                content = self._content(sound)
            except SoundUnusable as unusable:
                yield Fault(sound.place, str(unusable))
            else:
                self._stored[sound.name] = stored_name(content)
                self.contents[self._stored[sound.name]] = content

    def as_stored(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the document with its sounds named as they are stored."""
        stored = copy.deepcopy(data)
        for sound in sounds_of(data):
            holder: Any = stored
            for step in sound.place[:-1]:
                holder = holder[step]
            holder[sound.place[-1]] = self._stored[sound.name]
        return stored

    def _content(self, sound: Sound) -> bytes:
        path = self._folder / sound.name
        try:
            if path.stat().st_size > MAX_WAV_BYTES:
                raise SoundUnusable(f"is larger than {MAX_WAV_BYTES} bytes")
            content = path.read_bytes()
        except FileNotFoundError:
            raise SoundUnusable("the file is not there") from None
        except OSError as error:
            raise SoundUnusable("cannot be read") from error
        read_wav(content, sound.rate_hz)
        return content


class _Flows:
    """The flow files that a gateway file names, checked and with their sounds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored: dict[str, Any] = {}
        self.contents: dict[str, bytes] = {}

    def read(self, document: _Document) -> Iterator[str]:
        """Yield what is wrong with the files, each fault with its file and line."""
        from shared.flow_file import FlowFileInvalid, load_flow_file  # it builds on this module

        flows = document.data.get("flows") if isinstance(document.data, dict) else None
        for name, file in flows.items() if isinstance(flows, dict) else ():
            if not isinstance(file, str):
                yield document.fault(Fault(("flows", name), "must name a file"))
                continue
            try:
                found = load_flow_file(self._folder / file)
            except FlowFileInvalid as invalid:
                yield from invalid.faults
            else:
                self._stored[name] = msgspec.to_builtins(found.flow)
                self.contents.update(found.sounds)

    def as_stored(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the document with its flows in place of their files' names."""
        return {**data, "flows": self._stored} if self._stored else data
