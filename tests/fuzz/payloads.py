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
