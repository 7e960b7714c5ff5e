"""The body of a request to play something to a call."""

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from emulator.addresses import is_permitted
from emulator.wire.errors import bad_argument, nothing_to_say
from emulator.wire.identifiers import Identifier

MAX_SOURCES: Final = 10
"""That a request may have; Azure's own limit is not documented."""

MAX_TEXT: Final = 4_000
"""Characters of a text; longer ones have to be SSML."""


class PlaySourceKind(StrEnum):
    """What is played."""

    FILE = "file"
    TEXT = "text"
    SSML = "ssml"


class VoiceKind(StrEnum):
    """Whose voice is wanted."""

    MALE = "male"
    FEMALE = "female"


class FileSource(msgspec.Struct, frozen=True, rename="camel"):
    """A WAV file for ACS to fetch."""

    uri: str


class TextSource(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Plain words, for Azure AI to speak."""

    text: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
    source_locale: str | None = None
    voice_kind: VoiceKind | None = None
    voice_name: str | None = None
    custom_voice_endpoint_id: str | None = None


class SsmlSource(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Words with markup, for Azure AI to speak."""

    ssml_text: str
    custom_voice_endpoint_id: str | None = None


class PlaySource(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One thing to play; the member named as its `kind` must be there."""

    kind: PlaySourceKind
    play_source_cache_id: str | None = None
    file: FileSource | None = None
    text: TextSource | None = None
    ssml: SsmlSource | None = None

    def __post_init__(self) -> None:
        if getattr(self, self.kind) is None:
            raise ValueError(f"a source of kind {self.kind} must have a member {self.kind}")


class PlayOptions(msgspec.Struct, frozen=True, rename="camel"):
    """How it is played."""

    loop: bool


class PlayRequest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`:play`; without anybody in `play_to` for all."""

    play_sources: Annotated[tuple[PlaySource, ...], msgspec.Meta(min_length=1, max_length=MAX_SOURCES)]
    play_to: tuple[Identifier, ...] = ()
    interrupt_call_media_operation: bool = False
    play_options: PlayOptions = PlayOptions(loop=False)
    operation_context: str | None = None
    operation_callback_uri: str | None = None


def needs_azure_ai(sources: tuple[PlaySource, ...]) -> bool:
    """Whether something must be spoken."""
    return any(source.kind is not PlaySourceKind.FILE for source in sources)


def check_source(source: PlaySource, member: str) -> None:
    """Check what the shape of a request does not tell.

    Args:
        source: one thing to play.
        member: of the request, that it is in.

    Raises:
        AcsError: an address that ACS would not fetch from, or nothing to say.
    """
    member = f"{member}.{source.kind}"
    if source.file is not None and not is_permitted(source.file.uri, secure="https", plain="http"):
        raise bad_argument("It must be https (http only on a loopback address).", f"{member}.uri")
    said = source.text.text if source.text else source.ssml.ssml_text if source.ssml else None
    if said is not None and not said.strip():
        raise nothing_to_say(member)
