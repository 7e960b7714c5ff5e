"""Records with sensible values, for tests that care about one or two of them."""

import io
import json
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

from shared.core.call import CallRecord, CallTimes
from shared.core.call_state import CallState
from shared.core.claims import Claim
from shared.core.ids import new_call_id
from shared.core.profiles import AgentProfile, AudioFormat, EchoAgent

DATA = Path(__file__).parent.parent / "data"
CONNECTION_ID = "401f3500-62bd-46a9-8c09-9e1b06caca01"

ECHO = AgentProfile(name="echo", agent=EchoAgent(), audio_format=AudioFormat.PCM24K)


def call_record(state: CallState = CallState.ANSWERING, **changes: Any) -> CallRecord:
    """A call that was just answered, changed as asked."""
    record = CallRecord(
        call_id=new_call_id(),
        account_id="demo",
        profile=ECHO,
        caller="4:+14255550100",
        called="4:+18005550199",
        correlation_id="ebd8bf1f-0794-494f-bdda-913042c06ef7",
        server_call_id="aHR0cHM6Ly9leGFtcGxl",
        variables={},
        media_jti="jti-1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        times=CallTimes(created=1000.0),
        state=state,
    )
    return replace(record, **changes)


def claim(**changes: Any) -> Claim:
    """A claim that somebody holds until the time 1008."""
    made = Claim(
        key="ab" * 32,
        account_id="demo",
        event_id="d5546be8-227a-4db8-b2c3-4f06fd675fd6",
        call_id=new_call_id(),
        media_jti="jti-1",
        repeatability_id="8b3f6a52-6c57-4ad5-9d39-1f6c5b7f2f3e",
        made_at=1000.0,
        holder="first",
        lease_until=1008.0,
    )
    return replace(made, **changes)


def wav_bytes(samples: bytes, *, rate_hz: int = 24_000, channels: int = 1, width: int = 2) -> bytes:
    """A WAV file."""
    content = io.BytesIO()
    with wave.open(content, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate_hz)
        sound.writeframes(samples)
    return content.getvalue()


def data_bytes(name: str) -> bytes:
    """The bytes of one recorded payload."""
    return (DATA / name).read_bytes()


def data_json(name: str) -> Any:
    """One recorded payload, decoded."""
    return json.loads(data_bytes(name))
