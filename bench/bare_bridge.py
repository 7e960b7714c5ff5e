"""A bridge that does no more than it must: the practical limit that the media gateway is measured against.

For each media socket one socket to the realtime service; between them text is cut and put together, nothing is
decoded, paced, counted or checked. Sockets, buffers and pings are as the gateway has them.

    python -m bench.bare_bridge --service ws://127.0.0.1:PORT/v1/realtime
"""

import argparse
import asyncio
import gc
import json
import socket
import sys

import uvloop
from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
    ws_create_server,
)

from bench.processes import until_stopped

TEXT = WSMsgType.TEXT
# The gateway's own (`media_gateway/timing.py`), written down again: importing it costs this process memory.
MAX_MESSAGE_BYTES = 64 * 1024
READ_BUFFER_BYTES = 8 * 1024
WRITE_BUFFER_BYTES, SOCKET_BUFFER_BYTES = 24 * 1024, 16 * 1024
HALF_PING_S = 10.0
# And of `media_gateway/agents/realtime/connection.py`.
SERVICE_MESSAGE_BYTES = 4 * 1024 * 1024
SERVICE_READ_BUFFER_BYTES = 16 * 1024
SERVICE_WRITE_BUFFER_BYTES, SERVICE_SOCKET_BUFFER_BYTES = 256 * 1024, 64 * 1024
SERVICE_PING_S = 10.0

SESSION_UPDATE = json.dumps(
    {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "turn_detection": {"type": "server_vad"},
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24_000}},
            },
        },
    }
).encode()
FROM_ACS, FROM_SERVICE = b'"data":"', b'"delta":"'
TO_SERVICE = b'{"type":"input_audio_buffer.append","audio":"', b'"}'
TO_ACS = b'{"Kind":"AudioData","AudioData":{"Data":"', b'"},"StopAudio":null}'
STOP_AUDIO = b'{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}'
SPEECH_STARTED = b'{"type":"input_audio_buffer.speech_started"'


class Side(WSListener):
    """One of the two sockets of a call. What comes before the other side is there goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.transport: WSTransport | None = None
        self.other: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        self.transport = None
        if self.other is not None:
            self.other.disconnect(graceful=False)

    def close(self, transport: WSTransport) -> None:
        transport.send_close(WSCloseCode.OK)
        transport.disconnect()


class Service(Side):
    """The side of the realtime service."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        super().on_ws_connected(transport)
        set_limits(transport, SERVICE_WRITE_BUFFER_BYTES, SERVICE_SOCKET_BUFFER_BYTES)
        transport.send(TEXT, SESSION_UPDATE)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not TEXT:
            if frame.msg_type is WSMsgType.CLOSE:
                self.close(transport)
            return
        message = frame.get_payload_as_bytes()
        start = message.find(FROM_SERVICE)
        if start >= 0:
            start += len(FROM_SERVICE)
            before, after = TO_ACS
            self.other.send(TEXT, before + message[start : message.index(b'"', start)] + after)
        elif message.startswith(SPEECH_STARTED):
            self.other.send(TEXT, STOP_AUDIO)


class Media(Side):
    """The side of ACS; it opens the other."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._opening: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        super().on_ws_connected(transport)
        set_limits(transport, WRITE_BUFFER_BYTES, SOCKET_BUFFER_BYTES)
        self._opening = asyncio.create_task(self._open(transport))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not TEXT:
            if frame.msg_type is WSMsgType.CLOSE:
                self.close(transport)
            return
        if self.other is None:
            return
        message = frame.get_payload_as_bytes()
        start = message.find(FROM_ACS)
        if start >= 0:
            start += len(FROM_ACS)
            before, after = TO_SERVICE
            self.other.send(TEXT, before + message[start : message.index(b'"', start)] + after)

    async def _open(self, transport: WSTransport) -> None:
        def listener() -> Service:
            service = Service()
            service.other = transport
            return service

        self.other, _ = await ws_connect(
            listener,
            self._url,
            enable_auto_ping=True,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            auto_ping_idle_timeout=SERVICE_PING_S,
            auto_ping_reply_timeout=SERVICE_PING_S,
            max_frame_size=SERVICE_MESSAGE_BYTES,
            read_buffer_init_size=SERVICE_READ_BUFFER_BYTES,
        )


def set_limits(transport: WSTransport, write_buffer: int, kernel_buffer: int) -> None:
    connection = transport.underlying_transport
    connection.set_write_buffer_limits(high=write_buffer)
    connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kernel_buffer)


async def _serve(url: str) -> None:
    gc.collect()
    gc.freeze()
    server = await ws_create_server(
        lambda _: Media(url),
        "127.0.0.1",
        0,
        enable_auto_ping=True,
        auto_ping_strategy=WSAutoPingStrategy.PING_PERIODICALLY,
        auto_ping_idle_timeout=HALF_PING_S,
        auto_ping_reply_timeout=HALF_PING_S,
        max_frame_size=MAX_MESSAGE_BYTES,
        read_buffer_init_size=READ_BUFFER_BYTES,
    )
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), file=sys.stderr, flush=True)
    await until_stopped()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--service", required=True, metavar="URL")
    uvloop.run(_serve(parser.parse_args().service))
