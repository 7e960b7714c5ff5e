"""Numbers and identities that are not the resource's: what they do when a caller is transferred to them.

`docs/emulator/control-plane.md` describes them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from emulator.call import Call, CallEnd
from emulator.media.pcm import frame_bytes
from emulator.wav import WavError, read_wav
from emulator.wire.identifiers import Identifier, from_dialled

MAX_PARTIES: Final = 1_000
"""Parties whose behaviour is set; one more is refused."""

MAX_WAV_BYTES: Final = 50_000_000
"""The longest recording that a party may say, some 10 minutes of 16-bit stereo at 16 kHz being 40 MB."""

MAX_AFTER_MS: Final = 600_000
DEFAULT_AFTER_MS: Final = 100.0

VOICE_RATE_HZ: Final = 16_000


class OutsideRefused(ValueError):
    """The behaviour of a party cannot be used; the text says why."""


class Manner(StrEnum):
    """What a party does when it is called."""

    ANSWERS = "answers"
    BUSY = "busy"
    DECLINES = "declines"
    RINGS = "rings"


class OutsideParty(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How a party behaves that is not the resource's.

    Attributes:
        does: what it does; one that `rings` never answers.
        after_ms: how long it rings until then. By default 100, and for one that rings as long as every call does.
        wav: file of what it says once it has answered, 16-bit PCM; nothing by default.
    """

    does: Manner = Manner.ANSWERS
    after_ms: float | None = None
    wav: str | None = None

    def __post_init__(self) -> None:
        if self.after_ms is not None and not 0 <= self.after_ms <= MAX_AFTER_MS:
            raise ValueError(f"afterMs must be from 0 to {MAX_AFTER_MS}")
        if self.wav is not None and self.does is not Manner.ANSWERS:
            raise ValueError("only a party that answers has a wav")


ANSWERS: Final = OutsideParty()
"""Everybody who is not named."""


class OutsideParties:
    """The behaviour of everybody outside; who is not named answers and says nothing.

    Args:
        parties: by number (`+14255550177`) or raw id (`8:orgid:...`).
        ours: raw ids of the resource, whose calls are answered by the application.

    Raises:
        OutsideRefused: as `put`.
    """

    def __init__(self, parties: Mapping[str, OutsideParty], *, ours: Collection[str] = ()) -> None:
        self._ours = ours
        self._parties: dict[str, tuple[OutsideParty, bytes]] = {}
        for address, party in parties.items():
            try:
                self.put(address, party)
            except OutsideRefused as refusal:
                raise OutsideRefused(f"{address}: {refusal}") from None

    def __iter__(self) -> Iterator[tuple[str, OutsideParty]]:
        """Raw id and behaviour of everybody who is named."""
        return iter([(raw_id, party) for raw_id, (party, _) in list(self._parties.items())])

    def put(self, address: str, party: OutsideParty) -> None:
        """Set how somebody behaves from the next transfer on. Blocks while it reads the recording.

        Raises:
            OutsideRefused: no address, one of the resource, one too many, or a recording that cannot be read.
        """
        raw_id = _raw_id(address)
        if raw_id in self._ours:
            raise OutsideRefused("it belongs to the resource, and is answered by the application")
        if raw_id not in self._parties and len(self._parties) >= MAX_PARTIES:
            raise OutsideRefused(f"more than {MAX_PARTIES} parties")
        self._parties[raw_id] = party, _voice(party)

    def remove(self, address: str) -> bool:
        """Let somebody behave as by default again; False when nothing was set.

        Raises:
            OutsideRefused: no address.
        """
        return self._parties.pop(_raw_id(address), None) is not None

    def find(self, identifier: Identifier) -> tuple[OutsideParty, bytes]:
        """How somebody behaves, and what they say: PCM at `VOICE_RATE_HZ`."""
        return self._parties.get(identifier.id, (ANSWERS, b""))


class OutsideLeg:
    """The other end of a call that was transferred to somebody outside.

    It says its recording to the caller, then nothing, and hears nothing. The caller's line hands it 20 ms each time.

    Args:
        call: whose line it takes.
        voice: PCM at `VOICE_RATE_HZ`.
        finish: marks the call as over.
    """

    def __init__(self, call: Call, voice: bytes, finish: Callable[[Call, CallEnd], None]) -> None:
        self._call = call
        self._voice = memoryview(voice)
        self._finish = finish
        call.line.attach(self, rate_hz=VOICE_RATE_HZ)

    async def disconnect(self, end: CallEnd) -> None:
        """End the call."""
        self._call.line.detach(self)
        self._finish(self._call, end)

    def caller_frame(self, pcm: bytes | None, now_s: float, late_s: float) -> None:  # noqa: ARG002 - the line's signature
        """Say the next 20 ms (called by the line)."""
        size = frame_bytes(VOICE_RATE_HZ)
        if self._voice:
            self._call.line.play(bytes(self._voice[:size]))
            self._voice = self._voice[size:]

    def caller_digit(self, digit: str) -> None:
        """Take no notice of a key (called by the line)."""


def _raw_id(address: str) -> str:
    try:
        return from_dialled(address).id
    except ValueError as error:
        raise OutsideRefused(str(error)) from None


def _voice(party: OutsideParty) -> bytes:
    if party.wav is None:
        return b""
    try:
        if Path(party.wav).stat().st_size > MAX_WAV_BYTES:
            raise OutsideRefused(f"the recording has more than {MAX_WAV_BYTES} bytes")
        return read_wav(Path(party.wav), VOICE_RATE_HZ)
    except (WavError, OSError) as error:
        raise OutsideRefused(f"the recording cannot be used: {error}") from None
