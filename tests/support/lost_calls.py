"""Calls that are up in ACS, and whose pod has died."""

import time
import uuid
from dataclasses import replace

from emulator.call import Call
from emulator.media.line import Line
from emulator.service import Emulator
from shared.adapters.call_automation import Repeatability
from shared.adapters.connect import Connections
from shared.core.call import CallRecord, CallTimes, HistoryEntry
from shared.core.call_state import CallEvent, CallState
from tests.support.gateway import CALLER, NUMBER
from tests.support.records import call_record

NOBODY = "127.0.0.1:9"


def aged(record: CallRecord, seconds: float) -> CallRecord:
    """The call as it stands, but for all that was heard of it, which is `seconds` ago."""
    at = time.time() - seconds
    history = tuple(replace(entry, at=at) for entry in record.history)
    return replace(record, times=CallTimes(created=at, answered=at), history=history)


async def lost_call(emulator: Emulator, connections: Connections, line: Line) -> tuple[Call, str]:
    """Place and answer a call whose callbacks nobody takes; return it, and the id of its row, two minutes old."""
    placed = await emulator.calls.place(to=NUMBER, from_=CALLER, line=line)
    record = call_record(
        CallState.STREAMING,
        owner="pod-gone",
        epoch=1,
        history=(HistoryEntry(0.0, CallEvent.MEDIA_STARTED, CallState.STREAMING),),
    )
    connection_id = await connections.call_control.answer(
        incoming_call_context=placed.incoming_call_context,
        callback_url=f"http://{NOBODY}/callbacks",
        media_url=f"ws://{NOBODY}/media",
        audio_format=record.profile.audio_format,
        call_id=record.call_id,
        repeatability=Repeatability(str(uuid.uuid4()), time.time()),
        cognitive_services_endpoint=None,
    )
    await connections.calls.create(aged(replace(record, call_connection_id=connection_id), 120))
    return placed, record.call_id
