"""A YAML file as an operator writes it, with WAV files beside it: plain data that still knows its lines."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from shared.gateway_document import Fault, Sound, stored_name
from shared.wav import MAX_WAV_BYTES, SoundUnusable, read_wav

MAX_FILE_BYTES = 1024 * 1024
MAX_DEPTH = 64
"""Five times what any good file needs; what goes deeper stops one or another of its readers."""
YAML_TAG = "tag:yaml.org,2002:"
PLAIN_TAGS = frozenset(YAML_TAG + name for name in ("null", "bool", "int", "float", "str"))


class YamlFileInvalid(Exception):
    """The file cannot be used; `faults` has one text for each, with its line."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class YamlFile:
    """A file's text as data.

    Args:
        name: of the file; faults begin with it.
        text: what is in it.

    Raises:
        YamlFileInvalid: it is no YAML, or holds what is no plain data.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._loader = yaml.SafeLoader("")
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            if root is None:
                raise YamlFileInvalid([f"{name}: is empty"])
            self._root: yaml.Node = root
            self.data = self._plain(root, 0)
            """Keys are texts, and so are dates and the like."""
        except RecursionError as error:
            raise YamlFileInvalid([f"{name}: refers to itself, or is nested too deeply"]) from error
        except (yaml.YAMLError, ValueError) as error:
            raise YamlFileInvalid([self._yaml_fault(error)]) from error

    def fault(self, fault: Fault) -> str:
        """Return a fault with the file, the line and the name of the place it is about."""
        node = self._root
        for step in fault.place:
            child = self._child(node, step)
            if child is None:
                break
            node = child
        return f"{self._name}:{node.start_mark.line + 1}: {fault.place_name}: {fault.text}"

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
                    yield f"{self._name}:{line}: {'.'.join(map(str, place))}: '{name}' stands twice"
                seen.add(name)
                yield from self._duplicates(value, [*place, name])
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                yield from self._duplicates(item, [*place, index])

    def _plain(self, node: yaml.Node, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise RecursionError
        if isinstance(node, yaml.MappingNode):
            # Keys are text, whatever YAML makes of them: a key named 1 is the digit 1.
            return {str(key.value): self._plain(value, depth + 1) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, depth + 1) for item in node.value]
        if node.tag.startswith(YAML_TAG) and node.tag not in PLAIN_TAGS:
            # Dates and the like: in this file they are text, written without quotes.
            return str(node.value)
        return self._loader.construct_object(node)

    def _yaml_fault(self, error: Exception) -> str:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        if mark is None:
            return f"{self._name}: {' '.join(str(error).split())}"
        return f"{self._name}:{mark.line + 1}: {problem}"

    @staticmethod
    def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
        if isinstance(node, yaml.MappingNode):
            return next((value for key, value in node.value if key.value == step), None)
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            item: yaml.Node = node.value[step]
            return item
        return None


def read_yaml_file(path: Path) -> YamlFile:
    """Return a file.

    Raises:
        YamlFileInvalid: it cannot be read, is too large, or not good.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise YamlFileInvalid([f"{path.name}: larger than {MAX_FILE_BYTES} bytes"])
        return YamlFile(path.name, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise YamlFileInvalid([f"{path.name}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise YamlFileInvalid([f"{path.name}: is not UTF-8"]) from error


class SoundFiles:
    """The WAV files that a file names, from its own folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}
        """By the names under which they are stored."""

    def read(self, sounds: Iterable[Sound]) -> Iterator[Fault]:
        """Read them, and yield what cannot be played."""
        for sound in sounds:
            try:
                content = self._content(sound)
            except SoundUnusable as unusable:
                yield Fault(sound.place, str(unusable))
            else:
                self._stored[sound.name] = stored_name(content)
                self.contents[self._stored[sound.name]] = content

    def as_stored(self, data: dict[str, Any], sounds: Iterable[Sound]) -> dict[str, Any]:
        """Return data with these sounds, which were read, named as they are stored."""
        stored = copy.deepcopy(data)
        for sound in sounds:
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
