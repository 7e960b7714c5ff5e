"""A realtime service that does what frames ask for (`bench/frames.py`): echo, listen, talk, be interrupted.

It answers within the callback of a message, in the least work that speaks the protocol (OpenAI's GA names), so that
what the bridge or the gateway beside it adds can be seen. While it talks, audio leaves it five times as fast as it is
said, as a model's does.

    python -m bench.realtime_echo
"""

import argparse
import asyncio
import gc
import json
import sys

import uvloop
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from bench.frames import BARGE, ECHO, FRAME_CHARS, FRAMES_PER_SECOND, SPEECH, TALK, WORD, frame_text
from bench.processes import until_stopped

TEXT = WSMsgType.TEXT
APPEND = b'{"type":"input_audio_buffer.append","audio":"'
SESSION_UPDATE = b'"session.update"'
AUDIO = len(APPEND)
END = b'"}'

STEP_S = 0.04
DELTA_FRAMES = 10
ANSWER_FRAMES = 10 * FRAMES_PER_SECOND
DELTA_AUDIO = frame_text(0, SPEECH) * DELTA_FRAMES


def event(kind: str, **members: object) -> bytes:
    return json.dumps({"type": kind, "event_id": "event_1", **members}, separators=(",", ":")).encode()


SPEECH_STARTED = event("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_caller")
SPEECH_STOPPED = (
    event("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id="item_caller"),
    event("input_audio_buffer.committed", item_id="item_caller", previous_item_id=None),
)


class Answer:
    """A response of the service and its one item."""

    def __init__(self, name: str) -> None:
        self.left = ANSWER_FRAMES
        self._response, self._item = f"resp_{name}", f"item_{name}"
        before = event(
            "response.output_audio.delta",
            response_id=self._response,
            item_id=self._item,
            output_index=0,
            content_index=0,
            delta="",
        )
        self.before_audio = before.removesuffix(END)

    def begins(self) -> tuple[bytes, ...]:
        response = {"id": self._response, "status": "in_progress", "output": []}
        item = {"id": self._item, "type": "message", "role": "assistant", "content": []}
        return (
            event("response.created", response=response),
            event("response.output_item.added", response_id=self._response, output_index=0, item=item),
        )

    def ends(self, status: str) -> tuple[bytes, ...]:
        done = event("response.output_audio.done", response_id=self._response, item_id=self._item)
        response = {"id": self._response, "status": status, "output": []}
        return (done, event("response.done", response=response))


class Session(WSListener):
    """One client."""

    def __init__(self) -> None:
        super().__init__()
        self._transport: WSTransport | None = None
        self._echo = Answer("echo")
        self._answer: Answer | None = None
        self._answers = 0
        self._caller_speaks = False
        self._talking: asyncio.TimerHandle | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._send(event("session.created", session={"type": "realtime", "id": "sess_1"}))

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        self._transport = None
        self._be_quiet()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not TEXT:
            if frame.msg_type is WSMsgType.CLOSE:
                transport.send_close(WSCloseCode.OK)
                transport.disconnect()
            return
        message = frame.get_payload_as_bytes()
        if not message.startswith(APPEND):
            if SESSION_UPDATE in message:
                self._send(event("session.updated", session={"type": "realtime"}), *self._echo.begins())
            return
        for at in range(AUDIO, len(message) - len(END), FRAME_CHARS):  # once, unless frames were joined
            word = message[at + WORD.start : at + WORD.stop]
            if word == ECHO:
                transport.send(TEXT, self._echo.before_audio + message[AUDIO:])
                return
            if word == TALK:
                self._talk()
            elif word == BARGE:
                self._caller_speaks = True
                self._send(SPEECH_STARTED)
                self._end("cancelled")

    def _talk(self) -> None:
        if self._caller_speaks:
            self._caller_speaks = False
            self._send(*SPEECH_STOPPED)
        self._answers += 1
        self._answer = answer = Answer(str(self._answers))
        self._send(*answer.begins())
        self._say_on(answer)

    def _say_on(self, answer: Answer) -> None:
        self._send(answer.before_audio + DELTA_AUDIO + END)
        answer.left -= DELTA_FRAMES
        if answer.left > 0:
            self._talking = asyncio.get_running_loop().call_later(STEP_S, self._say_on, answer)
        else:
            self._end("completed")

    def _end(self, status: str) -> None:
        answer, self._answer = self._answer, None
        self._be_quiet()
        if answer is not None:
            self._send(*answer.ends(status))

    def _be_quiet(self) -> None:
        if self._talking is not None:
            self._talking.cancel()

    def _send(self, *messages: bytes) -> None:
        if self._transport is not None:
            for message in messages:
                self._transport.send(TEXT, message)


async def _serve() -> None:
    gc.collect()
    gc.freeze()
    server = await ws_create_server(lambda _: Session(), "127.0.0.1", 0, max_frame_size=1 << 20)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), file=sys.stderr, flush=True)
    await until_stopped()
    server.close()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    uvloop.run(_serve())
