"""What troubles do to responses and sessions."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from emulator.media.pcm import size_of
from emulator.realtime.replies import Reply
from emulator.realtime.settings import Trouble

OVERSIZED_MS: Final = 90_000
"""4.3 MB of samples, 5.8 MB as base64: more than the 4 MiB that Voice Live's SDK takes."""
FLOOD_MS: Final = 180_000

NOT_JSON: Final = b'{"type":"response.output_audio.delta","delta":'
UNKNOWN_BEFORE: Final = (
    b'{"type":"response.hologram.delta","event_id":"event_unknown_1","delta":{"a":[1,null]}}'
)
UNKNOWN_AFTER: Final = b'{"type":"session.weather","event_id":"event_unknown_2","sky":"clear"}'

_WRONG_RATES: Final[Mapping[int, int]] = {8_000: 16_000, 16_000: 24_000, 24_000: 8_000}


def prolonged(reply: Reply, rate_hz: int, troubles: Collection[Trouble]) -> Reply:
    """Return the reply as long as the troubles make it, by repetition."""
    if Trouble.OVERSIZED in troubles:
        wanted = size_of(OVERSIZED_MS, rate_hz)
    elif Trouble.FLOOD in troubles:
        wanted = size_of(FLOOD_MS, rate_hz)
    else:
        return reply
    pcm = reply.pcm or bytes(size_of(1000, rate_hz))
    return Reply((pcm * (wanted // len(pcm) + 1))[:wanted], reply.text, reply.tools)


def with_wrong_rates(session: Mapping[str, Any]) -> dict[str, Any]:
    """Return a session that states other rates than it has."""
    if "audio" not in session:
        rate = session["input_audio_sampling_rate"]
        is_wide = session["output_audio_format"] == "pcm16"
        output_format = "pcm16_8000hz" if is_wide else "pcm16"
        return {
            **session,
            "input_audio_sampling_rate": _WRONG_RATES[rate],
            "output_audio_format": output_format,
        }
    wrong = {"type": "audio/pcm", "rate": 8_000}
    audio = {side: {**settings, "format": wrong} for side, settings in session["audio"].items()}
    return {**session, "audio": audio}
