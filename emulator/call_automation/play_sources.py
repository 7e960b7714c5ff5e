"""Where the audio comes from that ACS plays: files that it fetches, and words that Azure AI speaks for it."""

import asyncio
import io
import wave
from typing import Final
from xml.etree import ElementTree as ET

import aiohttp
from yarl import URL

from emulator.call import Call
from emulator.call_automation.azure_ai import AzureAi, AzureAiFailed
from emulator.faults.operations import AZURE_AI_SPEAK
from emulator.faults.registry import Faults
from emulator.media.pcm import SAMPLE_BYTES
from emulator.speech import SpeechError, find_engine
from emulator.wav import resample
from emulator.wire.callback_events import ResultInformation
from emulator.wire.play import FileSource, PlaySource

FILE_RATE_HZ: Final = 16_000
MAX_FILE_BYTES: Final = 20_000_000
"""The longest file that is fetched, ten minutes; Azure's own limit is not documented."""

_CHUNK_BYTES: Final = 1 << 16
_SPEAK: Final = "{http://www.w3.org/2001/10/synthesis}speak"

_NOT_FETCHED: Final = ResultInformation(400, 8536, "Action failed, file could not be downloaded.")
_WRONG_FORMAT: Final = ResultInformation(400, 8535, "Action failed, file format is invalid.")
_NO_SSML: Final = ResultInformation(400, 8565, "Action failed, Azure AI cannot read the SSML.")


class SourceFailed(Exception):
    """A source gives no audio.

    Attributes:
        result: what PlayFailed says of it.
    """

    def __init__(self, result: ResultInformation) -> None:
        super().__init__(result.message)
        self.result = result


class PlaySources:
    """Fetches files, and speaks.

    Args:
        session: for the requests.
        faults: rules that strike Azure AI.
        timeout_seconds: for a file, and for Azure AI.

    Attributes:
        azure_ai: which speaks.
    """

    def __init__(self, session: aiohttp.ClientSession, faults: Faults, *, timeout_seconds: float) -> None:
        self.azure_ai = AzureAi(faults, timeout_seconds=timeout_seconds)
        self._session = session
        self._timeout_seconds = timeout_seconds

    async def audio(self, source: PlaySource, call: Call) -> bytes:
        """The audio of a source at the rate of the call's line.

        Raises:
            SourceFailed: there is none.
        """
        rate_hz = call.line.rate_hz
        if source.file is not None:
            return await asyncio.to_thread(_read, await self._fetch(source.file), rate_hz)
        text = source.text.text if source.text else _words(source.ssml.ssml_text if source.ssml else "")
        try:
            await self.azure_ai.ask(AZURE_AI_SPEAK, call)
        except AzureAiFailed as failure:
            raise SourceFailed(failure.result) from None
        return await asyncio.to_thread(_spoken, text, rate_hz)

    async def _fetch(self, file: FileSource) -> bytes:
        content = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._session.get(URL(file.uri, encoded=True), allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise SourceFailed(_NOT_FETCHED)
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    content += chunk
                    if len(content) > MAX_FILE_BYTES:
                        raise SourceFailed(_NOT_FETCHED)
        except (aiohttp.ClientError, TimeoutError, ValueError):  # ValueError: no host's name
            raise SourceFailed(_NOT_FETCHED) from None
        return bytes(content)


def _read(content: bytes, rate_hz: int) -> bytes:
    try:
        with wave.open(io.BytesIO(content), "rb") as file:
            shape = file.getnchannels(), file.getsampwidth(), file.getframerate()
            pcm = file.readframes(file.getnframes())
    except (wave.Error, EOFError):
        raise SourceFailed(_WRONG_FORMAT) from None
    if shape != (1, SAMPLE_BYTES, FILE_RATE_HZ):
        raise SourceFailed(_WRONG_FORMAT)
    return resample(pcm[: len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES], FILE_RATE_HZ, rate_hz)


def _words(ssml: str) -> str:
    try:
        root = ET.fromstring(ssml)  # noqa: S314 - the application's own; expat bounds what entities become
    except (ET.ParseError, ValueError):  # ValueError: lone surrogates
        raise SourceFailed(_NO_SSML) from None
    if root.tag != _SPEAK:
        raise SourceFailed(_NO_SSML)
    return " ".join(root.itertext())


def _spoken(text: str, rate_hz: int) -> bytes:
    try:
        return find_engine().speak(text, rate_hz)
    except SpeechError as error:
        # The text says what to install.
        raise SourceFailed(ResultInformation(500, 9999, f"Unknown server error: {error}.")) from None
