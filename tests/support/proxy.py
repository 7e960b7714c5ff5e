"""A proxy that loses replies: the request is performed, and whoever sent it never learns so."""

from aiohttp import ClientSession, web
from yarl import URL

HOP_BY_HOP = {"content-length", "transfer-encoding", "connection"}


class LossyProxy:
    """Forwards to `target`; the replies of the next requests to a path that ends as told become a bare 503."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._losing: dict[str, int] = {}
        self._runner: web.AppRunner | None = None
        self._session: ClientSession | None = None
        self.url = ""
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Path and headers of everything that came through."""

    def lose(self, ending: str, times: int) -> None:
        """Lose the replies of the next `times` requests whose path ends so."""
        self._losing[ending] = times

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._forward)
        self._session = ClientSession(auto_decompress=False)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening."""
        assert self._runner is not None
        assert self._session is not None
        await self._runner.cleanup()
        await self._session.close()

    async def _forward(self, request: web.Request) -> web.Response:
        assert self._session is not None
        self.requests.append((request.path, dict(request.headers)))
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        async with self._session.request(
            request.method,
            URL(self._target + request.raw_path, encoded=True),
            data=await request.read() or None,
            headers=headers,
        ) as reply:
            body = await reply.read()
        for ending, times in self._losing.items():
            if times and request.path.endswith(ending):
                self._losing[ending] -= 1
                return web.Response(status=503)
        return web.Response(
            status=reply.status,
            body=body,
            headers={k: v for k, v in reply.headers.items() if k.lower() not in HOP_BY_HOP},
        )
