"""Web PubSub's own client, for one connection with its recoveries, so held that it leaves nothing behind.

`azure-messaging-webpubsubclient` 1.1.0 needs holding:

- It gives up after three new connections, and one that hangs leaves it in a state from which it never comes back. So
  it makes none here (`reconnect_retry_total=0`): whoever uses this makes the next client. Recovery, which is the same
  connection on another socket with nothing missed, stays with it.
- It says when it has stopped, but not in each case: an answer that is no JSON, or a recovery that runs out of time,
  ends its task and nobody is told. So it is lost, too, when no task of a socket is left.
- A recovery that the service refuses, or closes with 1008, is tried each second for 30 s, even when the client has
  said that it stopped. Here it is the end: a new connection is quicker.
- `open` swallows a cancellation and raises `OpenClientError` instead; `recover` goes on after one. So both run in
  tasks of their own, which are cancelled until they end.
- A task that fails or is cancelled leaves its socket and its `aiohttp` session open, and is never looked at.
- Its log quotes addresses, which hold tokens, whenever a handshake fails.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
from azure.messaging.webpubsubclient.aio import WebPubSubClient
from azure.messaging.webpubsubclient.aio._client import WebSocketAppAsync
from azure.messaging.webpubsubclient.models import CallbackType, OnConnectedArgs, OnGroupDataMessageArgs

logging.getLogger("azure.messaging.webpubsubclient").setLevel(logging.CRITICAL)

logger = logging.getLogger(__name__)

START_S = 60.0
"""The client's own limit, above any of ours: past it, it leaves its task behind."""
ROUNDS = 4
"""Of cancelling what is left: a task may swallow one, and start another."""
ROUND_S = 0.5


class SignalsClient(WebPubSubClient):
    """One connection, by the reliable subprotocol.

    Args:
        url: With a token that puts the connection into its group.
        on_message: Called with the data of each message to the group, in order.
        on_recovered: Called when the connection goes on after a break.
    """

    def __init__(
        self, url: str, *, on_message: Callable[[object], None], on_recovered: Callable[[], None]
    ) -> None:
        super().__init__(url, reconnect_retry_total=0, auto_rejoin_groups=False, start_timeout=START_S)
        self._on_message = on_message
        self._on_recovered = on_recovered
        self._connected = asyncio.Event()
        self._lost = asyncio.Event()
        self._settled = asyncio.Event()
        """Either of the two."""
        self._failure: BaseException | None = None
        self._holding: set[asyncio.Task[Any]] = set()
        """Tasks without which there is no connection."""
        self._beside: set[asyncio.Task[Any]] = set()
        self._sockets: set[WebSocketAppAsync] = set()

    async def join(self) -> None:
        """Connect; return when the service says that it is done.

        Raises:
            Exception: what went wrong.
            ConnectionError: nothing did, and yet the connection is lost.
        """
        await self.subscribe(CallbackType.CONNECTED, self._take_connected)
        await self.subscribe(CallbackType.GROUP_MESSAGE, self._take_message)
        await self.subscribe(CallbackType.STOPPED, self._take_stopped)
        self._hold(asyncio.create_task(self.open(), name="signals-open"))
        await self._settled.wait()
        if self._lost.is_set():
            raise self._failure or ConnectionError("closed before it was connected")

    async def until_lost(self, limit_s: float) -> None:
        """Wait until the connection is lost, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._lost.wait()

    async def end(self, limit_s: float) -> None:
        """Say goodbye within the limit; then cut what is left."""
        if self._connected.is_set() and not self._lost.is_set():
            if self._task_seq_ack is not None:
                # `close` would wait a second for it to wake up.
                self._task_seq_ack.cancel()
            closing = asyncio.create_task(self.close(), name="signals-close")
            self._look_after(closing)
            await asyncio.wait({closing}, timeout=limit_s)
        for _ in range(ROUNDS):
            self._look_around()
            left = {task for task in self._holding | self._beside | {*self._tasks} if not task.done()}
            if not left:
                break
            # Only this ends a recovery that has swallowed the cancellation.
            self._is_stopping = True
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=ROUND_S)
        else:
            logger.error("the client of the signals could not be ended")
        for socket in self._sockets:
            with suppress(TimeoutError):
                async with asyncio.timeout(ROUND_S):
                    await socket.close()  # type: ignore[no-untyped-call]

    async def _connect(
        self, url: str, reconnect_tried_times: int | None = None, recover_start_time: float | None = None
    ) -> None:
        """Connect or recover, as the client does, and keep hold of what that started."""
        try:
            await super()._connect(url, reconnect_tried_times, recover_start_time)
        finally:
            self._look_around()
            if self._ws is not None and isinstance(self._ws.error_happened, aiohttp.WSServerHandshakeError):
                self._lose()
        if recover_start_time is not None:
            self._on_recovered()

    async def _take_connected(self, _: OnConnectedArgs) -> None:
        self._connected.set()
        self._settled.set()

    async def _take_stopped(self) -> None:
        self._lose()

    async def _take_message(self, message: OnGroupDataMessageArgs) -> None:
        self._on_message(message.data)

    def _look_around(self) -> None:
        """Take hold of the client's present socket and tasks."""
        if self._ws is not None:
            self._sockets.add(self._ws)
        if self._task_run_forever is not None:
            self._hold(self._task_run_forever)
        if self._task_seq_ack is not None:
            self._look_after(self._task_seq_ack)

    def _hold(self, task: asyncio.Task[Any]) -> None:
        if task.done():
            _failure(task)
        elif task not in self._holding:
            self._holding.add(task)
            task.add_done_callback(self._let_go)

    def _let_go(self, task: asyncio.Task[Any]) -> None:
        self._holding.discard(task)
        self._failure = _failure(task) or self._failure
        if not self._holding:
            self._lose()

    def _look_after(self, task: asyncio.Task[Any]) -> None:
        if task not in self._beside:
            self._beside.add(task)
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._beside.discard(task)
        _failure(task)

    def _lose(self) -> None:
        self._lost.set()
        self._settled.set()


def _failure(task: asyncio.Task[Any]) -> BaseException | None:
    """Return how a task failed; looked at, or asyncio logs it with all it says."""
    return None if task.cancelled() else task.exception()
