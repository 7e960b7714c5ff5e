"""What ACS itself plays to a caller, beside the audio that comes on the media socket."""

from collections.abc import Callable

from emulator.media.pcm import frame_bytes


class Prompt:
    """One piece of audio. Pure: one `frame` call is 20 ms of time.

    Args:
        pcm: at the line's rate, in whole samples.
        rate_hz: the line's.
        loops: whether it begins anew at its end, until somebody takes it off the line.
        on_played: called once, 20 ms after its last frame: when the caller has heard it.
    """

    def __init__(self, pcm: bytes, rate_hz: int, *, loops: bool, on_played: Callable[[], None]) -> None:
        self._pcm = pcm
        self._frame_bytes = frame_bytes(rate_hz)
        self._loops = loops and bool(pcm)
        self._on_played: Callable[[], None] | None = on_played
        self._at = 0
        self.played_bytes = 0

    def frame(self) -> bytes | None:
        """Return the next 20 ms, padded with silence where the audio ends, or None when it is over."""
        frame = self._pcm[self._at : self._at + self._frame_bytes]
        self._at += len(frame)
        while self._loops and len(frame) < self._frame_bytes:
            more = self._pcm[: self._frame_bytes - len(frame)]
            frame += more
            self._at = len(more)
        self.played_bytes += len(frame)
        if not frame:
            on_played, self._on_played = self._on_played, None
            if on_played is not None:
                on_played()
            return None
        return frame + bytes(self._frame_bytes - len(frame))
