"""What the tests of `play` have in common: files to fetch, and an ear."""

import asyncio
from array import array

from aiohttp import web

from tests.support.records import wav_bytes

RATE_HZ = 16_000
BEEP = array("h", range(1, 1601)).tobytes()
"""100 ms of samples that each have another value and are never 0."""


class Files:
    """A web server with WAV files: `/beep.wav` has `BEEP`; others are answered as `answers` says.

    An answer may wait for `stopping`.
    """

    def __init__(self):
        self.answers = {}
        self.stopping = asyncio.Event()
        self._runner = None
        self._base_url = ""

    def url(self, name):
        return f"{self._base_url}/{name}"

    async def start(self):
        app = web.Application()
        app.router.add_get("/{name}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self._base_url = f"http://{host}:{port}"

    async def stop(self):
        self.stopping.set()
        await self._runner.cleanup()

    async def _serve(self, request):
        name = request.match_info["name"]
        if name == "beep.wav":
            return web.Response(body=wav_bytes(BEEP, rate_hz=RATE_HZ), content_type="audio/wav")
        return await self.answers[name](self)


class Ear:
    """Keeps what the caller of a line hears: `Line(on_audio=ear)`."""

    def __init__(self):
        self.heard = bytearray()
        self._changed = asyncio.Event()

    def __call__(self, pcm):
        self.heard += pcm
        self._changed.set()

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():
                self._changed.clear()
                await self._changed.wait()
