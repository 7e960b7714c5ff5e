"""A click every 20 ms, in virtual time: what the ledger says was heard is what the emulated caller has heard."""

from hypothesis import given
from hypothesis import strategies as st

from emulator.media.playout import Gaps, Playout
from shared.core.playout import PlayoutLedger

RATE = 24_000
CLICK_MS = 20
STEP_MS = 10
TICK_MS = 50


def click(number):
    """20 ms that begin with a click of its own number."""
    return (number + 1).to_bytes(2, "little") + bytes(RATE * CLICK_MS // 1000 * 2 - 2)


class Virtual:
    """The gateway's ledger and the emulator's playout on one clock, which only moves when it is told to."""

    def __init__(self):
        self.now_ms = 0
        self.ledger = PlayoutLedger(RATE)
        self.caller = Playout(RATE, Gaps())
        self.heard = []
        """Numbers of the clicks that the caller has heard since the last cut."""

    def pump(self):
        for piece in self.ledger.due(self.now_ms * 1000):
            assert self.caller.push(bytes(piece.pcm)) == 0, "the gateway never sends too far ahead"

    def run(self, ms):
        for _ in range(ms // STEP_MS):
            if self.now_ms % TICK_MS == 0:
                self.pump()
            if self.now_ms % CLICK_MS == 0 and (frame := self.caller.frame()) is not None:
                self.heard.append(int.from_bytes(frame[:2], "little") - 1)
            self.now_ms += STEP_MS

    def cut(self):
        """Interrupt; return what the ledger says was heard of the last item that sounded."""
        cut = self.ledger.clear(self.now_ms * 1000)
        self.caller.stop()
        heard, self.heard = self.heard, []
        return cut, heard


@given(
    st.lists(
        st.tuples(
            st.integers(1, 400),  # clicks of the reply
            st.integers(1, 60),  # clicks of each piece that the service sends
            st.integers(0, 5),  # 20 ms steps between two pieces: 0 is all at once
            st.integers(0, 300),  # 20 ms steps until the caller interrupts
        ),
        min_size=1,
        max_size=6,
    )
)
def test_the_heard_milliseconds_are_exact(replies):
    virtual = Virtual()
    for number, (clicks, piece, pause, until_cut) in enumerate(replies):
        item_id = f"reply-{number}"
        cut_at = virtual.now_ms + until_cut * CLICK_MS
        for first in range(0, clicks, piece):
            virtual.ledger.append(item_id, b"".join(map(click, range(first, min(first + piece, clicks)))))
            virtual.pump()
            virtual.run(min(pause * CLICK_MS, cut_at - virtual.now_ms))
            if virtual.now_ms >= cut_at:
                break
        virtual.run(cut_at - virtual.now_ms)
        cut, heard = virtual.cut()

        assert heard == list(range(len(heard))), "in order, and none twice"
        said = {item.item_id: item for item in cut}
        if item_id in said:
            assert said[item_id].heard_ms == len(heard) * CLICK_MS
            assert said[item_id].heard_ms <= said[item_id].said_ms
        virtual.run(CLICK_MS)
