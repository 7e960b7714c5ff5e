"""Transfers as the caller lives through them. Pure: times are ms since the call was placed."""

from dataclasses import dataclass

from emulator.media.pcm import FRAME_MS


@dataclass
class TransferSeen:
    """One transfer that was settled.

    Attributes:
        outcome: `accepted`, or why it failed.
        asked_at_ms: when the agent asked for it.
        settled_at_ms: when the target answered, or the transfer failed.
        silent_ms: how long the caller heard nothing, from the last sound before it was settled to the first after it,
            or to the end of the call.
        heard_again: whether there was such a sound.
    """

    outcome: str
    asked_at_ms: float
    settled_at_ms: float
    silent_ms: float = 0.0
    heard_again: bool = False


class TransferWatch:
    """Follows the transfers of one call.

    Attributes:
        seen: those that were settled, in order.
    """

    def __init__(self) -> None:
        self.seen: list[TransferSeen] = []
        self._asked_at_ms: list[float] = []
        self._heard_ms: float | None = None

    def state(self, name: str, at_ms: float, outcome: str) -> None:
        """Take note of what happened to the call."""
        if name == "transferring":
            self._asked_at_ms.append(at_ms)
        elif name in ("transfer_accepted", "transfer_failed") and self._asked_at_ms:
            # The latest: one that is asked for while another is under way is refused at once.
            self.seen.append(TransferSeen(outcome, self._asked_at_ms.pop(), at_ms))
        elif name == "ended":
            self._end_silence(at_ms)

    def heard(self, at_ms: float) -> None:
        """The caller heard something for 20 ms from then on."""
        for transfer in self._end_silence(at_ms):
            transfer.heard_again = True
        self._heard_ms = at_ms + FRAME_MS

    def _end_silence(self, at_ms: float) -> list[TransferSeen]:
        silent = [each for each in self.seen if not each.silent_ms and not each.heard_again]
        for transfer in silent:
            since_ms = transfer.asked_at_ms if self._heard_ms is None else self._heard_ms
            transfer.silent_ms = max(0.0, round(at_ms - since_ms, 1))
        return silent
