"""The flow file: the flow document as an operator writes it in YAML, with WAV files beside it.

It is checked whole, its sounds included, and every fault is reported with its line.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shared.core.flow_model import Flow
from shared.flow_document import faults_of, sounds_in, to_flow
from shared.gateway_document import Fault, stored_name
from shared.gateway_file import MAX_FILE_BYTES, GatewayFileInvalid, _Document, _yaml_fault
from shared.wav import MAX_WAV_BYTES, SoundUnusable, read_wav

RATE_HZ = 16_000
"""Of what ACS plays."""


class FlowFileInvalid(GatewayFileInvalid):
    """The flow file cannot be used; `faults` has one text for each, with its line."""


@dataclass(frozen=True, slots=True)
class FlowFile:
    """A file without faults."""

    flow: Flow
    """With sounds named as they are stored."""
    sounds: Mapping[str, bytes]
    """The contents of the WAV files, by those names."""


def load_flow_file(path: Path) -> FlowFile:
    """Read and check the file and the WAV files that it names.

    Raises:
        FlowFileInvalid: with every fault found.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FlowFileInvalid([f"{path.name}: larger than {MAX_FILE_BYTES} bytes"])
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        if root is None:
            raise FlowFileInvalid([f"{path.name}: is empty"])
        document = _Document(path, root)
        faults = [*document.duplicate_keys(), *map(document.fault, faults_of(document.data))]
    except OSError as error:
        raise FlowFileInvalid([f"{path.name}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise FlowFileInvalid([f"{path.name}: is not UTF-8"]) from error
    except RecursionError as error:
        raise FlowFileInvalid([f"{path.name}: refers to itself, or is nested too deeply"]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise FlowFileInvalid([_yaml_fault(path, error)]) from error
    if faults:
        raise FlowFileInvalid(faults)
    sounds = _Sounds(path.parent)
    stored = copy.deepcopy(document.data)
    if faults := [*map(document.fault, sounds.store(stored))]:
        raise FlowFileInvalid(faults)
    return FlowFile(to_flow(stored), sounds.contents)


class _Sounds:
    """The WAV files beside a flow file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.contents: dict[str, bytes] = {}

    def store(self, data: dict[str, Any]) -> Iterator[Fault]:
        """Read what the document names, name it as it is stored, and yield what cannot be played."""
        for place, name in [*sounds_in(data)]:
            try:
                content = self._content(name)
            except SoundUnusable as unusable:
                yield Fault(place, str(unusable))
                continue
            holder: Any = data
            for step in place[:-1]:
                holder = holder[step]
            holder[place[-1]] = stored_name(content)
            self.contents[stored_name(content)] = content

    def _content(self, name: str) -> bytes:
        path = self._folder / name
        try:
            if path.stat().st_size > MAX_WAV_BYTES:
                raise SoundUnusable(f"is larger than {MAX_WAV_BYTES} bytes")
            content = path.read_bytes()
        except FileNotFoundError:
            raise SoundUnusable("the file is not there") from None
        except OSError as error:
            raise SoundUnusable("cannot be read") from error
        read_wav(content, RATE_HZ)
        return content
