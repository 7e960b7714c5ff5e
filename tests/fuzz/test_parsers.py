"""Whatever bytes arrive, a parser gives events or `MalformedMessage`: never another exception."""

import contextlib
import math

from hypothesis import given

from media_gateway.agents.realtime.dialects import rates_in
from media_gateway.agents.realtime.event_codec import decode
from media_gateway.agents.realtime.events import AudioDelta, EventInvalid
from shared.acs.callbacks import CallbackEvent, parse_callback
from shared.acs.event_grid import GridEvent, parse_delivery, read_incoming_call, read_validation_code
from shared.acs.shapes import MalformedMessage
from shared.acs.times import parse_time
from shared.calls.callbacks import applied
from shared.core.call import WrongConnection
from shared.core.variables import MAX_NAME_CHARS, MAX_VALUE_CHARS, MAX_VARIABLES, within_limits
from tests.fuzz.payloads import CALLBACKS, DELIVERIES, REALTIME_EVENTS
from tests.fuzz.strategies import bodies, fuzzed, mutated, odd_texts
from tests.support.records import call_record


@fuzzed
@given(bodies | mutated(DELIVERIES))
def test_a_delivery_is_read_or_refused(body):
    with contextlib.suppress(MalformedMessage):
        for event in parse_delivery(body):
            if isinstance(event, GridEvent):
                _read(event)
            else:
                assert isinstance(event, MalformedMessage)


def _read(event):
    assert math.isfinite(event.at)
    with contextlib.suppress(MalformedMessage):
        assert read_validation_code(event)
    with contextlib.suppress(MalformedMessage):
        variables = within_limits(read_incoming_call(event).voip_headers)
        assert len(variables) <= MAX_VARIABLES
        assert all(len(k) <= MAX_NAME_CHARS and len(v) <= MAX_VALUE_CHARS for k, v in variables.items())


@fuzzed
@given(bodies | mutated(CALLBACKS))
def test_a_callback_is_read_or_refused_and_changes_a_call_or_not(body):
    with contextlib.suppress(MalformedMessage):
        for event in parse_callback(body):
            if isinstance(event, CallbackEvent):
                assert math.isfinite(event.at)
                with contextlib.suppress(WrongConnection):
                    applied(call_record(), event, dead_owner=None)
            else:
                assert isinstance(event, MalformedMessage)


@fuzzed
@given(odd_texts)
def test_a_text_is_a_time_or_a_value_error(text):
    with contextlib.suppress(ValueError, OverflowError):
        assert math.isfinite(parse_time(text))


@fuzzed
@given(bodies | mutated(REALTIME_EVENTS))
def test_a_message_of_a_realtime_service_is_read_or_refused(body):
    with contextlib.suppress(EventInvalid):
        event = decode(body)
        if isinstance(event, AudioDelta):
            assert len(event.pcm) % 2 == 0
        else:
            assert event.is_known >= (event.kind is not None)
            assert all(isinstance(rate, int) for rate in rates_in(event.session or {}))
