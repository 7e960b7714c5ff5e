"""The flow file: the flow document as an operator writes it in YAML, with WAV files beside it.

It is checked whole, its sounds included, and every fault is reported with its line.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.core.flow_model import Flow
from shared.flow_document import faults_of, sounds_in, to_flow
from shared.yaml_file import SoundFiles, YamlFileInvalid, read_yaml_file


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
        YamlFileInvalid: with every fault found.
    """
    file = read_yaml_file(path)
    if faults := [*file.duplicate_keys(), *map(file.fault, faults_of(file.data))]:
        raise YamlFileInvalid(faults)
    named = [*sounds_in(file.data)]
    sounds = SoundFiles(path.parent)
    if faults := [*map(file.fault, sounds.read(named))]:
        raise YamlFileInvalid(faults)
    return FlowFile(to_flow(sounds.as_stored(file.data, named)), sounds.contents)
