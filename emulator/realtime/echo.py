"""The echo: what comes in as an append goes out as a delta, with as little work as possible."""

import pybase64

from emulator.media.pcm import frame_bytes
from emulator.media.resample import Resampler
from emulator.realtime.session_state import SessionState


class Echo:
    """Makes deltas of one spoken item.

    Args:
        kind: type of the event.
        label: in the ids of the events.
        response_id, item_id: what it belongs to.
        state: of the session, whose rates must stay as they are.
    """

    def __init__(self, kind: str, label: str, response_id: str, item_id: str, state: SessionState) -> None:
        self._head = b'{"type":"%b","event_id":"%b_' % (kind.encode(), label.encode())
        self._middle = b'","response_id":"%b","item_id":"%b","output_index":0,"content_index":0,"delta":' % (
            response_id.encode(),
            item_id.encode(),
        )
        same = state.input_hz == state.output_hz
        self._resampler = None if same else Resampler(state.input_hz, state.output_hz)
        self._frame_bytes = frame_bytes(state.input_hz)
        self._rest = b""
        self._count = 0

    def delta(self, quoted: bytes | memoryview, pcm: bytes) -> bytes:
        """Return the message for an append.

        Args:
            quoted: its base64 with the quotation marks.
            pcm: the same, decoded.
        """
        self._count += 1
        if self._resampler is not None:
            quoted = b'"%b"' % pybase64.b64encode(self._resampled(self._resampler, pcm))
        return b"".join((self._head, b"%d" % self._count, self._middle, quoted, b"}"))

    def _resampled(self, resampler: Resampler, pcm: bytes) -> bytes:
        """Convert what there is of whole frames."""
        pcm, size = self._rest + pcm, self._frame_bytes
        end = len(pcm) // size * size
        self._rest = pcm[end:]
        return b"".join(resampler.frame(pcm[start : start + size]) for start in range(0, end, size))
