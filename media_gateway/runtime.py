"""The media gateway, put together from its settings, and its life as a process."""

import asyncio
import gc
import logging
import resource
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

from media_gateway.admission import Admission
from media_gateway.agents.realtime.adapter import RealtimeService
from media_gateway.agents.realtime.connection import Connector
from media_gateway.agents.registry import AgentResources, make_agent
from media_gateway.agents.tools.http import HttpTools
from media_gateway.calls import Calls
from media_gateway.health import Health
from media_gateway.heartbeat import Heartbeat
from media_gateway.keys import KeyKeeper
from media_gateway.outside import Outside
from media_gateway.pod import Pod
from media_gateway.pod_watch import PodWatch
from media_gateway.prompts import Prompts
from media_gateway.recordings import Recordings
from media_gateway.saturation import LoadWatch
from media_gateway.secrets import Secrets
from media_gateway.server import MediaServer
from media_gateway.signals import SignalReceiver, SignalTiming
from media_gateway.sounds import Sounds
from media_gateway.takeover import Takeover, TakeoverTiming
from media_gateway.ticker import Ticker
from media_gateway.timing import Timing
from shared.adapters.blobs import load_sdk
from shared.adapters.connect import connect
from shared.config import MediaSettings, SettingsInvalid
from shared.security.keyring import MEDIA_KEY_SECRET, Keyring

if TYPE_CHECKING:
    from media_gateway.analysis.language import Language

logger = logging.getLogger(__name__)

DESCRIPTORS_A_CALL = 2
"""The media socket and the agent's."""
DESCRIPTORS_BESIDE = 500
"""Clients, listeners, sockets that are not yet let in, and connections of tools (`MAX_TOOL_CALLS`)."""


class MediaGateway:
    """One media gateway process, without its signals.

    Args:
        settings: What the environment says.
        outside: Storage, vault and ACS.
        timing: Durations; those of `settings` are taken over into it by `serve`.
    """

    def __init__(self, settings: MediaSettings, outside: Outside, timing: Timing) -> None:
        self._settings = settings
        self._keyring = Keyring(outside.vault, MEDIA_KEY_SECRET, settings.common.token_keys)
        tokens = settings.common.acs_tokens
        acs_tokens = outside.acs_tokens if tokens is not None and tokens.on_media else None
        self._sounds = Sounds(outside.sounds, fetch_s=timing.sound_s)
        counters: Counter[str] = Counter()
        self._secrets = Secrets(outside.vault, counters)
        self._tools = HttpTools(settings.tool_hosts, self._secrets, counters)
        self._language = _open_language(settings, outside)
        self._recordings = Recordings(
            outside.recordings,
            volume=settings.recording_spill_dir,
            process=settings.pod_name,
            max_spill_bytes=settings.recording_spill_max_mb * 1024 * 1024,
            counters=counters,
            clock=time.time,
            language=self._language,
        )
        connector = Connector(self._secrets, outside.entra, counters)
        resources = AgentResources(
            self._sounds, RealtimeService(connector, self._tools, append_ms=settings.agent_append_ms)
        )
        self._load = LoadWatch(timing, counters)
        self._watch = PodWatch(outside.pods, own=settings.pod_name, counters=counters)
        self.pod = Pod(
            name=settings.pod_name,
            rows=outside.calls,
            acs=outside.call_control,
            make_agent=lambda agent: make_agent(agent, resources),
            timing=timing,
            recordings=self._recordings,
            sounds=self._sounds,
            prompts=Prompts(self._sounds, counters, base_url=settings.callback_base_url),
            ticker=Ticker(timing.tick_s, self._load.saturation.playout_late),
            has_another=lambda: self._watch.sees_another,
            counters=counters,
        )
        self.calls = Calls(self.pod, settings.max_calls, self._watch.is_dead)
        self._takeover = Takeover(self.pod, outside.pods, self._watch, outside.signals, TakeoverTiming())
        self._signals = SignalReceiver(
            lambda: outside.signals.client_url(settings.pod_name),
            on_signal=self.calls.on_signal,
            on_joined=self.calls.look,
            counters=counters,
            timing=SignalTiming(),
        )
        refreshers = (self._keyring.refresher, *([acs_tokens.refresher] if acs_tokens else []))
        self._keys = KeyKeeper(refreshers, timing)
        self._heartbeat = Heartbeat(
            outside.pods,
            self.pod,
            self.calls,
            self._load,
            held=lambda: self.calls.held_ids + self._takeover.held_ids,
        )
        self._health = Health(self.pod, self.calls, self._keys, self._heartbeat, self._load)
        admission = Admission(self._keyring, acs_tokens, self.calls, self._load, self._keys.want)
        self._server = MediaServer(self.pod, self.calls, admission, self._health)
        self.port = 0
        """Where it listens, once it does."""

    @property
    def is_ready(self) -> bool:
        """Whether a new call may be sent here."""
        return self._health.report()[0]

    async def run(self, stop: asyncio.Event, on_listening: asyncio.Event | None = None) -> None:
        """Serve until `stop` is set; then end every call in order.

        Raises:
            OSError: the port cannot be had.
            SettingsInvalid: the volume for recordings cannot be written.
        """
        try:
            await self._recordings.open()
        except OSError as error:
            raise SettingsInvalid((f"RECORDING_SPILL_DIR cannot be written: {error.strerror}",)) from error
        self.port = await self._server.listen(self._settings.host, self._settings.port)
        logger.info("media gateway listens", extra={"port": self.port, "pod": self.pod.name})
        if on_listening is not None:
            on_listening.set()
        self._load.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                background = [
                    tasks.create_task(self._keys.run()),
                    tasks.create_task(self._heartbeat.run()),
                    tasks.create_task(self._signals.run()),
                    tasks.create_task(self._takeover.run()),
                    tasks.create_task(self._recordings.run()),
                ]
                await stop.wait()
                logger.info("media gateway stops", extra={"calls": len(self.calls)})
                # `/readyz` and the heartbeat go on, and say so, until the last call has ended.
                await self.calls.drain()
                await self.calls.stop()
                await self._recordings.finish(self.pod.timing.recordings_s)
                for task in background:
                    task.cancel()
            await self._heartbeat.stop()
        finally:
            self._load.close()
            await self._server.close()
            await self._sounds.close()
            await self._tools.close()
            await self._secrets.close()
            if self._language is not None:
                await self._language.close()
            await self._keyring.refresher.close()
        logger.info("media gateway stopped", extra={"counters": dict(self.pod.counters)})


def _open_language(settings: MediaSettings, outside: Outside) -> "Language | None":
    """Return what reads transcripts; None where it is not configured."""
    if settings.language is None:
        return None
    # Half a second that most processes need not spend.
    from media_gateway.analysis.language import Language

    return Language(settings.language, outside.credential)


def provide_descriptors(max_calls: int) -> None:
    """Raise the process's limit of open files to what so many calls need.

    Raises:
        SettingsInvalid: the system allows fewer; past it not even a call in progress could be hung up.
    """
    needed = max_calls * DESCRIPTORS_A_CALL + DESCRIPTORS_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = needed if hard == resource.RLIM_INFINITY else hard
    if allowed < needed:
        raise SettingsInvalid((f"MAX_CALLS={max_calls} needs {needed} open files, and the limit is {hard}",))
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


async def serve(settings: MediaSettings) -> None:
    """Run the process: until SIGTERM or SIGINT.

    Raises:
        OSError: the port cannot be had.
        SettingsInvalid: the system does not let it have as many calls as it is set to.
    """
    provide_descriptors(settings.max_calls)
    # Not beside calls, when the first sound is fetched: an import holds every call up.
    load_sdk()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    timing = Timing(interruption_grace_s=settings.interruption_grace_s, drain_s=settings.drain_s)
    async with connect(settings.common) as outside:
        gateway = MediaGateway(settings, outside, timing)
        # What was imported stays; a full collection that looks through all of it holds every call up for 16 ms.
        gc.collect()
        gc.freeze()
        await gateway.run(stop)
