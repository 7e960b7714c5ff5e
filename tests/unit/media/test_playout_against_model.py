"""The ledger does what the slow, obviously right one does, whatever an agent and a clock may do."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.core.playout import PlayoutLedger, PlayoutLimits
from tests.unit.media.playout_model import ModelLedger

ITEMS = st.sampled_from("abc")


class LedgerAndModel(RuleBasedStateMachine):
    @initialize(
        rate=st.sampled_from([1000, 1600, 2400]),
        lead=st.sampled_from([20, 50]),
        chunk=st.sampled_from([10, 20]),
        queued=st.sampled_from([100, 300]),
        delay=st.sampled_from([0, 7, 40]),
    )
    def start(self, rate, lead, chunk, queued, delay):
        limits = PlayoutLimits(lead_ms=lead, chunk_ms=chunk, queued_ms=queued)
        self.ledger = PlayoutLedger(rate, limits, delay)
        self.model = ModelLedger(rate, limits, delay)
        self.limits = limits
        self.now = 0
        self.marker = 0
        self.appended = {}

    @rule(us=st.one_of(st.integers(0, 3000), st.integers(0, 200_000)))
    def time_passes(self, us):
        self.now += us

    @rule(item=ITEMS, samples=st.one_of(st.integers(0, 12), st.integers(0, 400)), kind=st.sampled_from("bmv"))
    def agent_speaks(self, item, samples, kind):
        pcm = b"".join((self.marker + at).to_bytes(4, "little")[:2] for at in range(samples))
        self.marker += samples
        given_pcm = {"b": pcm, "m": memoryview(pcm), "v": bytearray(pcm)}[kind]
        self.ledger.append(item, given_pcm)
        self.model.append(item, pcm)
        if isinstance(given_pcm, bytearray):
            given_pcm[:] = bytes(len(given_pcm))  # the agent uses its buffer again

    @rule(item=ITEMS, samples=st.integers(1, 60))
    def agent_speaks_in_real_time(self, item, samples):
        pcm = b"".join((self.marker + at).to_bytes(4, "little")[:2] for at in range(samples))
        plays_at = self.ledger.pass_on(item, pcm, self.now)
        if plays_at is not None:
            self.marker += samples
            self.model.append(item, pcm)
            assert self.model.due(self.now) == [(item, plays_at, pcm)]

    @rule()
    def gateway_sends(self):
        assert [(item, at, bytes(pcm)) for item, at, pcm in self.ledger.due(self.now)] == self.model.due(
            self.now
        )
        lead_us = self.ledger._end_us - self.now
        assert lead_us <= (self.limits.lead_ms + self.limits.chunk_ms) * 1000 + 1000
        assert not self.ledger.is_pending or lead_us >= self.limits.lead_ms * 1000

    @rule()
    def caller_interrupts(self):
        got = [(heard.item_id, heard.heard_ms) for heard in self.ledger.clear(self.now)]
        assert got == self.model.clear(self.now)
        assert self.ledger.drained(self.now)

    @invariant()
    def positions_agree(self):
        if not hasattr(self, "ledger"):
            return
        heard = self.ledger.heard(self.now)
        assert (heard and (heard.item_id, heard.heard_ms)) == self.model.heard(self.now)
        assert self.ledger.is_pending == bool(self.model.queue)

    @invariant()
    def remaining_time_agrees(self):
        if not hasattr(self, "ledger"):
            return
        remaining = self.ledger.remaining_us(self.now)
        assert abs(remaining - self.model.remaining(self.now)) <= 2  # a microsecond of rounding, twice
        assert self.ledger.drained(self.now) == (self.model.remaining(self.now) == 0)

    @invariant()
    def losses_agree(self):
        if not hasattr(self, "ledger"):
            return
        losses = self.ledger.losses
        counted = {
            "overflow": losses.overflow_samples,
            "late": losses.late_samples,
            "cut": losses.cut_samples,
        }
        assert counted == self.model.lost


LedgerAndModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLedgerAgainstModel = LedgerAndModel.TestCase


@given(
    rate=st.sampled_from([16_000, 24_000]),
    pieces=st.lists(st.tuples(st.integers(0, 400_000), st.integers(1, 4800)), min_size=1, max_size=20),
)
@settings(max_examples=50, deadline=None)
def test_all_audio_is_sent_in_order_and_heard_once(rate, pieces):
    ledger = PlayoutLedger(rate)
    now, said, sent = 0, bytearray(), bytearray()
    for number, (gap_us, samples) in enumerate(pieces):
        now += gap_us
        pcm = bytes([number + 1, number + 1]) * samples
        said += pcm
        ledger.append("item", pcm)
        sent += b"".join(piece.pcm for piece in ledger.due(now))
    while ledger.is_pending:
        now += 10_000
        sent += b"".join(piece.pcm for piece in ledger.due(now))
    now += ledger.remaining_us(now)

    assert sent == said
    assert ledger.drained(now)
    assert ledger.heard(now).heard_ms == len(said) // 2 * 1000 // rate
