"""The gateway file (`gateway.yaml`): the gateway document as an operator writes it, with flows and WAV files beside it.

It is checked whole, flows and sounds included, and every fault is reported with its file and line.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from shared.flow_file import load_flow_file
from shared.gateway_document import Fault, faults_of, sounds_of
from shared.yaml_file import SoundFiles, YamlFile, YamlFileInvalid, read_yaml_file


@dataclass(frozen=True, slots=True)
class GatewayFile:
    """A file without faults."""

    document: dict[str, Any]
    """With sounds named as they are stored, and without routes where the file leaves them out."""
    sounds: Mapping[str, bytes]
    """The contents of the WAV files, by those names."""


def load_gateway_file(path: Path) -> GatewayFile:
    """Read and check the file, and the flows and WAV files that it names.

    Raises:
        YamlFileInvalid: with every fault found.
    """
    file = read_yaml_file(path)
    sounds, flows = SoundFiles(path.parent), _Flows(path.parent)
    faults = [*file.duplicate_keys(), *map(file.fault, faults_of(file.data))]
    faults += map(file.fault, sounds.read(sounds_of(file.data)))
    faults += flows.read(file)
    if faults:
        raise YamlFileInvalid(faults)
    document = flows.as_stored(sounds.as_stored(file.data, sounds_of(file.data)))
    return GatewayFile(document, {**sounds.contents, **flows.contents})


class _Flows:
    """The flow files that a gateway file names, checked and with their sounds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored: dict[str, Any] = {}
        self.contents: dict[str, bytes] = {}

    def read(self, file: YamlFile) -> Iterator[str]:
        """Yield what is wrong with the files, each fault with its file and line."""
        flows = file.data.get("flows") if isinstance(file.data, dict) else None
        for name, flow_file in flows.items() if isinstance(flows, dict) else ():
            if not isinstance(flow_file, str):
                yield file.fault(Fault(("flows", name), "must name a file"))
                continue
            try:
                found = load_flow_file(self._folder / flow_file)
            except YamlFileInvalid as invalid:
                yield from invalid.faults
            else:
                self._stored[name] = msgspec.to_builtins(found.flow)
                self.contents.update(found.sounds)

    def as_stored(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the document with its flows in place of their files' names."""
        return {**data, "flows": self._stored} if self._stored else data
