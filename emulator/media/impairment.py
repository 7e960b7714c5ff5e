"""What can be wrong with a call's media socket on purpose: delays, losses, a cut, an application's audio unread.

The structs are what settings, the phone socket and the emulator's own API take, in JSON with camelCase members.
`docs/emulator/media.md` describes them.
"""

from typing import Final

import msgspec

from emulator.wire.json_text import NotJson, decode_json, without_nulls

DELAY_LIMIT_MS: Final = 10_000
"""The longest delay of a frame; with it 500 frames wait."""

DELAYS_LIMIT: Final = 10_000
"""How many values a given distribution of delays may have."""

BURST_LIMIT_FRAMES: Final = 100_000


class ImpairmentRefused(ValueError):
    """The description of an impairment cannot be used; the text says why."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One kind of trouble."""


class Jitter(Part, frozen=True, kw_only=True):
    """Each frame is delayed; as TCP keeps the order, a late one holds back those behind it.

    Attributes:
        max_ms: delays are uniform between 0 and this.
        delays_ms: or, each delay is one of these, all equally likely.
    """

    max_ms: float | None = None
    delays_ms: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if (self.max_ms is None) == (not self.delays_ms):
            raise ValueError("jitter has either maxMs or delaysMs")
        if len(self.delays_ms) > DELAYS_LIMIT:
            raise ValueError(f"delaysMs must not have more than {DELAYS_LIMIT} values")
        if not all(0 <= delay <= DELAY_LIMIT_MS for delay in (self.max_ms or 0.0, *self.delays_ms)):
            raise ValueError(f"a delay must be from 0 to {DELAY_LIMIT_MS} ms")


class Loss(Part, frozen=True, kw_only=True):
    """Frames are never sent, in bursts (Gilbert's model).

    Attributes:
        enter: probability that a burst begins with the next frame.
        mean_frames: mean length of a burst.
    """

    enter: float
    mean_frames: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.enter <= 1:
            raise ValueError("enter must be from 0 to 1")
        if not 1 <= self.mean_frames <= BURST_LIMIT_FRAMES:
            raise ValueError(f"meanFrames must be from 1 to {BURST_LIMIT_FRAMES}")


class Drop(Part, frozen=True, kw_only=True):
    """The socket is cut by a TCP reset, with whatever is still held back.

    Attributes:
        after_ms: when; or
        after_frames: after how many frames of the caller, lost ones included.
        mid_frame: whether half of a WebSocket frame goes before the reset.
        times: how many of the call's sockets are cut.
    """

    after_ms: float | None = None
    after_frames: int | None = None
    mid_frame: bool = False
    times: int = 1

    def __post_init__(self) -> None:
        if (self.after_ms is None) == (self.after_frames is None):
            raise ValueError("drop has either afterMs or afterFrames")
        if not (self.after_ms or 0) >= 0 or not (self.after_frames or 0) >= 0:
            raise ValueError("afterMs and afterFrames must not be negative")
        if self.times < 1:
            raise ValueError("times must not be below 1")


class SlowReader(Part, frozen=True, kw_only=True):
    """What the application sends is read slowly, or not at all.

    Attributes:
        after_ms: when it begins.
        for_ms: how long it lasts; None is to the end.
        bytes_per_second: how much is read of the application's messages; 0 is nothing.
    """

    after_ms: float = 0.0
    for_ms: float | None = None
    bytes_per_second: int = 0

    def __post_init__(self) -> None:
        if not self.after_ms >= 0 or not (self.for_ms or 0.0) >= 0 or self.bytes_per_second < 0:
            raise ValueError("afterMs, forMs and bytesPerSecond must not be negative")


class Impairment(Part, frozen=True, kw_only=True, omit_defaults=True):
    """All that is wrong with a call's media sockets; without members nothing is.

    Times and frames are counted from the opening of each socket, or from when the impairment was set if that is later.

    Attributes:
        seed: the same seed gives the n-th call of an emulator the same losses and delays again.
    """

    seed: int = 0
    jitter: Jitter | None = None
    loss: Loss | None = None
    drop: Drop | None = None
    slow_reader: SlowReader | None = None

    def __bool__(self) -> bool:
        return any((self.jitter, self.loss, self.drop, self.slow_reader))

    def kinds(self) -> str:
        """Name what is wrong, for a timeline."""
        parts = {
            "jitter": self.jitter,
            "loss": self.loss,
            "drop": self.drop,
            "slowReader": self.slow_reader,
        }
        return "+".join(name for name, part in parts.items() if part is not None) or "nothing"


SOUND: Final = Impairment()
"""Nothing is wrong."""


def read_impairment(text: bytes) -> Impairment:
    """Read an impairment from JSON; a member that is null counts as one that is missing.

    Raises:
        ImpairmentRefused: it is not one.
    """
    try:
        return msgspec.convert(without_nulls(decode_json(text)), Impairment)
    except (NotJson, msgspec.ValidationError) as error:
        raise ImpairmentRefused(f"The impairment is not valid: {error}.") from None
