"""The three services that are stood in for: where they live, and the words in which they differ.

OpenAI and Azure OpenAI speak the GA vocabulary; Voice Live has kept that of the beta.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Dialect(StrEnum):
    """Which service a session takes this one for."""

    OPENAI = "openai"
    AZURE_OPENAI = "azure-openai"
    VOICE_LIVE = "voice-live"


PATHS: Final[Mapping[str, Dialect]] = {
    "/v1/realtime": Dialect.OPENAI,
    "/openai/v1/realtime": Dialect.AZURE_OPENAI,
    "/voice-live/realtime": Dialect.VOICE_LIVE,
}


@dataclass(frozen=True)
class Vocabulary:
    """Names of one generation of the protocol.

    Attributes:
        audio: of the events about the response's audio, without `.delta` and `.done`.
        transcript: of the events about its transcript, likewise.
        spoken_part: type of an assistant's content part that is audio, in an item.
        written_part: of one that is text.
        item_events: by what events an item is announced, in order.
        modalities: member of a session and a response that names what comes out.
    """

    audio: str
    transcript: str
    spoken_part: str
    written_part: str
    item_events: tuple[str, ...]
    modalities: str


GA: Final = Vocabulary(
    audio="response.output_audio",
    transcript="response.output_audio_transcript",
    spoken_part="output_audio",
    written_part="output_text",
    item_events=("conversation.item.added", "conversation.item.done"),
    modalities="output_modalities",
)
BETA: Final = Vocabulary(
    audio="response.audio",
    transcript="response.audio_transcript",
    spoken_part="audio",
    written_part="text",
    item_events=("conversation.item.created",),
    modalities="modalities",
)


def vocabulary(dialect: Dialect) -> Vocabulary:
    """Return the names that the service uses."""
    return BETA if dialect is Dialect.VOICE_LIVE else GA
