"""Whether one call is recorded, from when to when, and what its parts say of it."""

import asyncio
import logging
from collections.abc import Callable

from media_gateway.hearing import Hearing
from media_gateway.pod import Pod
from media_gateway.recording.notes import CallFacts, call_facts
from media_gateway.recording.recorder import Recorder
from media_gateway.requests import AgentRequests
from media_gateway.row import OwnedRow
from media_gateway.speaker import Speaker
from shared.wav import SoundUnusable

logger = logging.getLogger(__name__)

ANNOUNCEMENT = "announcement"
"""The item of what the gateway itself says first."""


class CallRecording:
    """The recording of one call on this pod; without effect where its profile keeps none.

    Args:
        pod: This process.
        row: The call's.
        speaker: Tells the recorder what is heard, and says the announcement.
        hearing: Tells it what the caller says.
        requests: Tell it what the agent asks for.
        detail: Tells why the call ends, once it does.
    """

    def __init__(
        self,
        pod: Pod,
        row: OwnedRow,
        speaker: Speaker,
        hearing: Hearing,
        requests: AgentRequests,
        *,
        detail: Callable[[], str],
    ) -> None:
        self._pod = pod
        self._row = row
        self._speaker = speaker
        self._hearing = hearing
        self._requests = requests
        self._detail = detail
        self._recorder: Recorder | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        """Whether the call is recorded."""
        return self._recorder is not None

    def begin(self, *, is_resumed: bool) -> None:
        """Record from the first word on, unless it must be announced. `is_resumed`: it was, on another pod."""
        recording = self._row.record.profile.recording
        if recording is not None and (recording.announcement is None or is_resumed):
            self._start()

    async def announce(self, *, is_resumed: bool) -> None:
        """Say that the call is recorded, before anything else. Where that cannot be said, it is not recorded."""
        record = self._row.record
        recording = record.profile.recording
        if recording is None or recording.announcement is None or is_resumed:
            return
        name, rate_hz = recording.announcement, record.profile.audio_format.rate_hz
        try:
            async with asyncio.timeout(self._pod.timing.announcement_s):
                sounds = await self._pod.sounds.load((name,), rate_hz)
        except (SoundUnusable, TimeoutError):
            self._pod.counters["announcements_failed"] += 1
            logger.error(  # noqa: TRY400 - a sound that is not there has no trace to tell of
                "a call is not recorded: its announcement cannot be had", extra={"call_id": record.call_id}
            )
            return
        self._start()
        self._speaker.say(ANNOUNCEMENT, sounds[name], protected=True)

    def media_lost(self) -> None:
        """Take that media are lost: another pod may get them, end the call, and merge what parts there are."""
        if self._recorder is not None:
            self._recorder.media_lost()

    def media_back(self) -> None:
        """Take that there are media again, here."""
        if self._recorder is not None:
            self._recorder.media_back()

    def end(self) -> None:
        """Take that the caller is gone: nothing that is still to be done is part of the recording."""
        if self._recorder is not None:
            self._recorder.end()

    def close(self, *, is_ours: bool) -> None:
        """Let go of it. `is_ours`: no other pod goes on with the call."""
        if self._recorder is not None and self._running is not None:
            self._running.cancel()
            self._recorder.end(is_ours=is_ours)
            self._pod.recordings.close(self._recorder, is_ours=is_ours)

    def _start(self) -> None:
        recorder = self._pod.recordings.recorder(self._row.record, self._facts)
        self._recorder = self._hearing.recorder = self._speaker.recorder = self._requests.recorder = recorder
        self._running = asyncio.create_task(recorder.run(), name="recorder")

    def _facts(self) -> CallFacts:
        """Tell what is known of the call by now."""
        return call_facts(
            self._row.record,
            detail=self._detail(),
            counts={f"received_{name}": count for name, count in self._hearing.counts().items()}
            | self._speaker.counts(),
        )
