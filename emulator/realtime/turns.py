"""The caller's turns: what is said of their beginning and end, and the items that they become."""

from collections.abc import Iterator
from typing import Any, Final

from emulator.media.pcm import duration_ms
from emulator.realtime.client_events import Refused
from emulator.realtime.conversation import Conversation, Item
from emulator.realtime.dialects import GA, Vocabulary
from emulator.realtime.events import Events
from emulator.realtime.hearing import Hearing
from emulator.realtime.session_state import SessionState

MIN_COMMIT_MS: Final = 100


class Turns:
    """Makes turns of what is heard.

    Args:
        events: where everything is written to.
        words: of the service.
        conversation: where the items go.
        state: of the session.
        hearing: what was appended.
        transcripts: of the turns to come, as long as there are any.

    Attributes:
        speech: the last turn, until it is answered.
        text: its transcript.
    """

    def __init__(
        self,
        events: Events,
        words: Vocabulary,
        conversation: Conversation,
        state: SessionState,
        hearing: Hearing,
        transcripts: Iterator[str],
    ) -> None:
        self._events = events
        self._words = words
        self._conversation = conversation
        self._state = state
        self._hearing = hearing
        self._transcripts = transcripts
        self._item_id: str | None = None
        self.speech, self.text = b"", ""

    def begin(self, at_ms: float) -> None:
        """Report that somebody speaks since then."""
        self._item_id = self._events.new_id("item")
        start_ms = self._hearing.begin_turn(at_ms)
        self._events.add("input_audio_buffer.speech_started", audio_start_ms=start_ms, item_id=self._item_id)

    def end(self, at_ms: float, text: str | None = None) -> None:
        """Report that they have finished then, and make an item of it; `text` goes before the known transcripts."""
        item_id = self._take_item_id()
        end_ms = round(at_ms)
        self._events.add("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=item_id)
        self._commit(self._hearing.take(at_ms), item_id, text)

    def commit(self) -> None:
        """Make an item of all that is kept.

        Raises:
            Refused: that is too little.
        """
        kept_ms = self._hearing.kept_ms
        if kept_ms < MIN_COMMIT_MS:
            raise Refused(
                "input_audio_buffer_commit_empty",
                f"Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms "
                f"of audio, but buffer only has {kept_ms:.2f}ms of audio.",
            )
        self._commit(self._hearing.take(), self._take_item_id(), None)

    def answered(self) -> None:
        """Forget the last turn: it has its answer."""
        self.speech, self.text = b"", ""

    def _take_item_id(self) -> str:
        item_id, self._item_id = self._item_id, None
        return item_id or self._events.new_id("item")

    def _commit(self, speech: bytes, item_id: str, text: str | None) -> None:
        seconds = duration_ms(len(speech), self._state.input_hz) / 1000
        if text is None:
            text = next(self._transcripts, f"({seconds:.1f} s of speech)")
        item = Item(
            {
                "id": item_id,
                "object": "realtime.item",
                "type": "message",
                "status": "completed",
                "role": "user",
                "content": [{"type": "input_audio", "transcript": None}],
            }
        )
        self._conversation.append(item)
        self._events.add("input_audio_buffer.committed", previous_item_id=item.before, item_id=item_id)
        for kind in self._words.item_events:
            self._events.add(kind, previous_item_id=item.before, item=item.document)
        if self._state.transcribes:
            item.document["content"][0]["transcript"] = text
            shown: dict[str, Any] = {"item_id": item_id, "content_index": 0, "transcript": text}
            if self._words is GA:
                shown["usage"] = {"type": "duration", "seconds": seconds}
            self._events.add("conversation.item.input_audio_transcription.completed", **shown)
        self.speech, self.text = speech, text
