"""One response in the making: the events from `response.created` to `response.done`."""

from collections.abc import Mapping
from typing import Any, Final

import pybase64

from emulator.media.pcm import duration_ms, size_of
from emulator.realtime.conversation import Conversation, Item
from emulator.realtime.dialects import BETA, GA, Vocabulary
from emulator.realtime.events import Events
from emulator.realtime.replies import ToolCall
from emulator.realtime.session_state import SessionState

CHUNK_MS: Final = 100
"""How much audio goes into one delta."""

_RATE_LIMITS: Final = (
    {"name": "requests", "limit": 1000, "remaining": 999, "reset_seconds": 0.06},
    {"name": "tokens", "limit": 40_000, "remaining": 39_000, "reset_seconds": 1.5},
)


class Response:
    """A response. Everything that it does is written as events; `response.created` at once.

    Args:
        events: where to.
        words: of the service.
        conversation: where its items go.
        state: of the session.
        conversation_id: of the conversation.
        metadata: that the client gave it.
        chunk_ms: how much audio goes into one delta.
    """

    def __init__(
        self,
        events: Events,
        words: Vocabulary,
        conversation: Conversation,
        state: SessionState,
        *,
        conversation_id: str,
        metadata: Mapping[str, str] | None,
        chunk_ms: int = CHUNK_MS,
    ) -> None:
        self._events = events
        self._words = words
        self._conversation = conversation
        self._state = state
        self._conversation_id = conversation_id
        self._metadata = metadata
        self._chunk_ms = chunk_ms
        self._output: list[Item] = []
        self._spoken: Item | None = None
        self._transcript = ""
        self._unsaid = bytearray()
        self._unsaid_tools: tuple[ToolCall, ...] = ()
        self._allowance_ms = 0.0
        self._is_whole = False
        self.id = events.new_id("resp")
        self.is_done = False
        events.add("response.created", response=self._document("in_progress"))

    @property
    def has_spoken(self) -> bool:
        """Whether audio has been sent."""
        return any(item.audio_ms for item in self._output)

    def plan(self, pcm: bytes, text: str, tools: tuple[ToolCall, ...] = (), *, is_whole: bool) -> None:
        """Add to what is to be said, and called in the end; `is_whole`: nothing more will be added."""
        self._unsaid += pcm
        self._unsaid_tools += tools
        self._is_whole = is_whole
        if pcm or text:
            self.begin_to_speak()
        if text:
            self._transcript += text
            self._events.add(f"{self._words.transcript}.delta", **self._place(), delta=text)

    def advance(self, allowance_ms: float | None) -> None:
        """Send that much more of what is planned (None: all), and end when that is all.

        What is allowed and not needed does not add up.
        """
        size = size_of(self._chunk_ms, self._state.output_hz)
        self._allowance_ms += allowance_ms or 0.0
        while self._unsaid and (allowance_ms is None or self._allowance_ms >= self._chunk_ms):
            self._allowance_ms -= self._chunk_ms
            self._send(bytes(self._unsaid[:size]))
            del self._unsaid[:size]
        if not self._unsaid:
            self._allowance_ms = 0.0
            if self._is_whole:
                self.end("completed")

    def begin_to_speak(self) -> Item:
        """Open the spoken item unless it is open; return it."""
        if self._spoken is None:
            document = {"type": "message", "role": "assistant", "content": []}
            self._spoken = self._open(document)
            part = {"type": "audio", "transcript": ""}
            self._events.add("response.content_part.added", **self._place(), part=part)
        return self._spoken

    def call(self, tool: ToolCall) -> str:
        """Call a function of the client's; return the call's id."""
        self._close_spoken("completed")
        call_id = self._events.new_id("call")
        document = {"type": "function_call", "name": tool.name, "call_id": call_id, "arguments": ""}
        item = self._open(document)
        place = {"response_id": self.id, "item_id": item.id, "output_index": len(self._output) - 1}
        place["call_id"] = call_id
        kind = "response.function_call_arguments"
        self._events.add(f"{kind}.delta", **place, delta=tool.arguments)
        self._events.add(f"{kind}.done", **place, name=tool.name, arguments=tool.arguments)
        item.document["arguments"] = tool.arguments
        self._close(item, "completed")
        return call_id

    def end(self, status: str, details: Mapping[str, Any] | None = None) -> None:
        """End it. What is unsaid stays so.

        Args:
            status: `completed`, `cancelled` or `failed`.
            details: why, unless completed.
        """
        self.is_done = True
        self._close_spoken(status)
        if status == "completed":
            for tool in self._unsaid_tools:
                self.call(tool)
        shown = {"type": status, **details} if details is not None else None
        self._events.add("response.done", response=self._document(status, shown))
        if self._words is GA:
            self._events.add("rate_limits.updated", rate_limits=_RATE_LIMITS)

    def _send(self, pcm: bytes) -> None:
        item = self.begin_to_speak()
        item.audio_ms += duration_ms(len(pcm), self._state.output_hz)
        delta = pybase64.b64encode(pcm).decode()
        self._events.add(f"{self._words.audio}.delta", **self._place(), delta=delta)

    def _place(self) -> dict[str, Any]:
        """Where the spoken part is."""
        item = self.begin_to_speak()
        index = self._output.index(item)
        return {"response_id": self.id, "item_id": item.id, "output_index": index, "content_index": 0}

    def _open(self, document: dict[str, Any]) -> Item:
        head = {"id": self._events.new_id("item"), "object": "realtime.item"}
        item = Item({**head, "status": "in_progress", **document})
        index = len(self._output)
        self._output.append(item)
        self._events.add(
            "response.output_item.added", response_id=self.id, output_index=index, item=item.document
        )
        self._conversation.append(item)
        self._events.add(self._words.item_events[0], previous_item_id=item.before, item=item.document)
        return item

    def _close_spoken(self, status: str) -> None:
        item = self._spoken
        if item is None:
            return
        place, words = self._place(), self._words
        self._events.add(f"{words.audio}.done", **place)
        self._events.add(f"{words.transcript}.done", **place, transcript=self._transcript)
        part = {"type": "audio", "transcript": self._transcript}
        self._events.add("response.content_part.done", **place, part=part)
        item.document["content"] = [{"type": words.spoken_part, "transcript": self._transcript}]
        self._close(item, "completed" if status == "completed" else "incomplete")
        self._spoken, self._transcript = None, ""

    def _close(self, item: Item, status: str) -> None:
        item.document["status"] = status
        if self._words is GA:
            self._events.add("conversation.item.done", previous_item_id=item.before, item=item.document)
        index = self._output.index(item)
        self._events.add(
            "response.output_item.done", response_id=self.id, output_index=index, item=item.document
        )

    def _document(self, status: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
        state = self._state
        shown = {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [item.document for item in self._output],
            "conversation_id": self._conversation_id,
            self._words.modalities: state.modalities,
            "max_output_tokens": state.max_output_tokens,
            "metadata": self._metadata,
            "usage": self._usage() if self.is_done else None,
        }
        if self._words is BETA:
            output_format = state.document["output_audio_format"]
            return shown | {"voice": state.voice, "output_audio_format": output_format}
        output = state.document["audio"]["output"]
        return shown | {"audio": {"output": {"format": output["format"], "voice": output["voice"]}}}

    def _usage(self) -> dict[str, Any]:
        """What OpenAI charges for speech: a token for 50 ms of it. What was heard is not charged here."""
        audio = round(sum(item.audio_ms for item in self._output) / 50)
        text = audio // 4
        heard = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
        return {
            "total_tokens": audio + text,
            "input_tokens": 0,
            "output_tokens": audio + text,
            "input_token_details": {"cached_tokens": 0, **heard, "cached_tokens_details": heard},
            "output_token_details": {"text_tokens": text, "audio_tokens": audio},
        }
