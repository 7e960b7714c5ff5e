"""Recorded payloads to start from."""

from tests.support.records import data_json

DELIVERIES = [
    data_json(f"event_grid/{name}.json")
    for name in (
        "call_ended",
        "incoming_call.cloud_event",
        "incoming_call.event_grid",
        "incoming_call.with_context",
        "subscription_validation",
    )
]
CALLBACKS = [
    data_json(f"callbacks/{name}.json")
    for name in (
        "answer_failed",
        "call_connected",
        "call_disconnected",
        "participants_updated",
        "unknown_type",
    )
]
_MEDIA_FAILED = data_json("acs/callback_data_media_streaming_failed.json")
_ENVELOPE = data_json("callbacks/call_connected.json")[0]
CALLBACKS.append(
    [_ENVELOPE | {"type": "Microsoft.Communication.MediaStreamingFailed", "data": _MEDIA_FAILED}]
)

REALTIME_EVENTS = [
    {
        "type": "session.created",
        "event_id": "event_1",
        "session": {"type": "realtime", "expires_at": 1795196614},
    },
    {
        "type": "session.updated",
        "session": {
            "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}, "output": {"format": None}}
        },
    },
    {"type": "input_audio_buffer.speech_started", "audio_start_ms": 320, "item_id": "item_1"},
    {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}},
    {"type": "response.output_item.added", "response_id": "resp_1", "item": {"id": "i", "type": "message"}},
    {
        "type": "response.output_audio.delta",
        "response_id": "resp_1",
        "item_id": "item_2",
        "delta": "AQACAA==",
    },
    {"type": "response.audio.delta", "response_id": "resp_1", "item_id": "item_2", "delta": "AQACAA=="},
    {
        "type": "response.output_audio_transcript.delta",
        "response_id": "resp_1",
        "item_id": "item_2",
        "delta": "Hi",
    },
    {
        "type": "response.function_call_arguments.done",
        "response_id": "resp_1",
        "item_id": "item_3",
        "call_id": "call_1",
        "name": "end_call",
        "arguments": "{}",
    },
    {
        "type": "response.done",
        "response": {
            "id": "resp_1",
            "status": "failed",
            "status_details": {"type": "failed", "error": {"code": "rate_limit_exceeded", "type": "tokens"}},
            "output": [{"type": "function_call", "call_id": "call_1", "name": "end_call", "arguments": "{}"}],
        },
    },
    {
        "type": "error",
        "error": {"type": "invalid_request_error", "code": "x", "message": "m", "event_id": None},
    },
    {"type": "rate_limits.updated", "rate_limits": [{"name": "tokens", "remaining": 0}]},
]
"""What a realtime service sends, one of each shape that is looked into."""  # fmt: skip
