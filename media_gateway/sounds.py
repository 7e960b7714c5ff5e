"""The WAV files that agents of this process play: fetched once, kept as samples, within a limit.

Sounds are named by their content, so what is kept never grows old.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping

from media_gateway.outside import SoundFiles
from media_gateway.timing import SOUND_CACHE_BYTES
from shared.errors import StoreUnavailable
from shared.wav import SoundUnusable, read_wav

Key = tuple[str, int]
"""Name and rate."""


class Sounds:
    """Samples of sounds. Owns one task for each file that is being fetched, however many calls wait for it.

    Args:
        files: where the files are.
        fetch_s: how long one may take to be fetched and read.
        limit_bytes: of samples kept; the sound used longest ago goes first.
    """

    def __init__(self, files: SoundFiles, *, fetch_s: float, limit_bytes: int = SOUND_CACHE_BYTES) -> None:
        self._files = files
        self._fetch_s = fetch_s
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._fetches: dict[Key, asyncio.Task[bytes]] = {}

    async def load(self, names: Collection[str], rate_hz: int) -> Mapping[str, bytes]:
        """Return the samples of each sound: signed 16-bit little-endian mono PCM at `rate_hz`.

        Raises:
            SoundUnusable: one of them cannot be had, or is not what the call speaks.
        """
        waiting = {name: self._fetch((name, rate_hz)) for name in names if (name, rate_hz) not in self._kept}
        loaded = {name: self._used((name, rate_hz)) for name in names if name not in waiting}
        for name, fetch in waiting.items():
            # Not the waiting call's to cancel: another one may wait for it too.
            loaded[name] = await asyncio.shield(fetch)
        return loaded

    async def close(self) -> None:
        """End what is being fetched."""
        fetches = [*self._fetches.values()]
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)

    def _used(self, key: Key) -> bytes:
        self._kept.move_to_end(key)
        return self._kept[key]

    def _fetch(self, key: Key) -> asyncio.Task[bytes]:
        fetch = self._fetches.get(key)
        if fetch is None:
            fetch = self._fetches[key] = asyncio.create_task(self._read(key), name="fetch of a sound")
            fetch.add_done_callback(lambda done: self._fetched(key, done))
        return fetch

    async def _read(self, key: Key) -> bytes:
        name, rate_hz = key
        try:
            async with asyncio.timeout(self._fetch_s):
                content = await self._files.read(name)
                return await asyncio.to_thread(read_wav, content, rate_hz)
        except StoreUnavailable as error:
            raise SoundUnusable(f"cannot be fetched: {error}") from error
        except TimeoutError as error:
            raise SoundUnusable("was not there in time") from error

    def _fetched(self, key: Key, fetch: asyncio.Task[bytes]) -> None:
        del self._fetches[key]
        # Looked at here: the call that waited may have ended.
        if fetch.cancelled() or fetch.exception() is not None or len(fetch.result()) > self._limit_bytes:
            return
        self._kept[key] = fetch.result()
        self._kept_bytes += len(fetch.result())
        while self._kept_bytes > self._limit_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= len(oldest)
