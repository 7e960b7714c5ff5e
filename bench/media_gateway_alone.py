"""A media gateway process with nothing around it: its own code, whole, on a store that is a dict.

For `bench.media`, which measures it. Sockets, tokens, the rows' state machine, playout, agents and heartbeats are
the product's; only what would be the network to Azure is not there.

    python -m bench.media_gateway_alone --calls 150 --service ws://127.0.0.1:PORT/v1/realtime
"""

import argparse
import asyncio
import base64
import contextlib
import gc
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import uvloop

import media_gateway.call
from bench.blob_sink import connection_string
from bench.media_profile import sampled
from bench.processes import until_stopped
from media_gateway.logs import set_up_logs
from media_gateway.runtime import MediaGateway, provide_descriptors
from media_gateway.timing import Timing
from shared.adapters.blobs import load_sdk
from shared.adapters.call_store import StoredEvent
from shared.adapters.connect import LocalCredential
from shared.adapters.recording_store import BlobRecordings
from shared.config import (
    CommonSettings,
    MediaSettings,
    StorageSettings,
    TokenKeyTimes,
    VaultSettings,
    WebPubSubSettings,
)
from shared.core.admission import PodLoad
from shared.core.call import CallRecord, CallTimes, advance
from shared.core.call_state import CallEvent
from shared.core.playout import PlayoutLedger, PlayoutLimits
from shared.core.profiles import (
    AgentProfile,
    AgentSettings,
    AudioFormat,
    Dialect,
    EchoAgent,
    RealtimeAgent,
    Recording,
)
from shared.errors import NotFound, SignalsUnavailable
from shared.security.keyring import SecretVersion
from shared.security.tokens import Audience, SigningKey, mint
from shared.wav import SoundUnusable

VOLUME_MB = 1024
KEY = SigningKey("bench", b"a key for measurements, not safe")


def call_id_of(number: int) -> str:
    """The id of a call that stands in the store from the beginning; its token's `jti` is the same."""
    return f"0197f3a0-0000-7000-8000-{number:012d}"


def media_url(port: int, number: int) -> str:
    """The URL that ACS would be given for such a call; good for 30 s."""
    call_id = call_id_of(number)
    token = mint(Audience.MEDIA, call_id=call_id, account_id="bench", jti=call_id, signing=KEY)
    return f"ws://127.0.0.1:{port}/media/{call_id}?token={token}"


class Rows:
    """Calls in a dict, and no callbacks."""

    def __init__(self, calls: int, profile: AgentProfile) -> None:
        self._rows = {call_id_of(number): _record(call_id_of(number), profile) for number in range(calls)}

    async def change(self, call_id: str, mutate: Callable[[CallRecord], CallRecord]) -> CallRecord:
        if call_id not in self._rows:
            raise NotFound("no such call")
        self._rows[call_id] = mutate(self._rows[call_id])
        return self._rows[call_id]

    async def events(self, _call_id: str) -> Sequence[StoredEvent]:
        return []


class Pods:
    async def beat(self, load: PodLoad) -> None:
        pass

    async def remove(self, _name: str) -> None:
        pass

    async def beats(self) -> Mapping[str, float]:
        return {}

    async def held(self, _name: str) -> Sequence[str]:
        return ()


class Signals:
    """No signals come, and none are sent."""

    async def client_url(self, _pod: str) -> str:
        raise SignalsUnavailable("there is no Web PubSub here")

    async def send(self, pod: str, signal: object) -> None:
        pass


class Acs:
    async def hang_up(self, call_connection_id: str, *, for_everyone: bool) -> None:
        pass

    async def send_dtmf(self, call_connection_id: str, *, target: str, digits: str) -> None:
        pass


class Vault:
    async def enabled_versions(self, _name: str) -> Sequence[SecretVersion]:
        return [SecretVersion(KEY.kid, 0.0, base64.b64encode(KEY.key).decode())]


class Sounds:
    async def read(self, _name: str) -> bytes:
        raise SoundUnusable("is not stored")


class Entra:
    async def token(self, scope: str) -> str:
        raise AssertionError(f"nobody here asks for {scope}")


@dataclass(kw_only=True)
class Outside:
    calls: Rows
    pods: Pods = field(default_factory=Pods)
    call_control: Acs = field(default_factory=Acs)
    signals: Signals = field(default_factory=Signals)
    vault: Vault = field(default_factory=Vault)
    entra: Entra = field(default_factory=Entra)
    sounds: Sounds = field(default_factory=Sounds)
    recordings: BlobRecordings
    acs_tokens: None = None


def _record(call_id: str, profile: AgentProfile) -> CallRecord:
    record = CallRecord(
        call_id=call_id,
        account_id="bench",
        profile=profile,
        caller="4:+14255550100",
        called="4:+18005550199",
        correlation_id=call_id,
        server_call_id="",
        variables={},
        media_jti=call_id,
        traceparent="",
        times=CallTimes(created=0.0),
    )
    return advance(record, CallEvent.ANSWER_SENT, 0.0)


def _settings(calls: int, volume: Path, append_ms: int) -> MediaSettings:
    common = CommonSettings(
        acs_endpoint="",
        acs_access_key=None,
        acs_tokens=None,
        vault=VaultSettings("", None, local_credential=True),
        token_keys=TokenKeyTimes(),
        storage=StorageSettings(None, None),
        web_pubsub=WebPubSubSettings(None, None),
    )
    return MediaSettings(
        common=common,
        host="127.0.0.1",
        port=0,
        pod_name="bench",
        max_calls=calls,
        interruption_grace_s=0.1,
        log_level="INFO",
        agent_append_ms=append_ms,
        recording_spill_dir=volume,
        recording_spill_max_mb=VOLUME_MB,
    )


async def _serve(arguments: argparse.Namespace, volume: Path) -> None:
    # As the product's process does, all four.
    provide_descriptors(arguments.calls)
    load_sdk()
    gc.collect()
    gc.freeze()
    profile = AgentProfile(
        name="bench",
        agent=_agent(arguments.service),
        audio_format=AudioFormat.PCM24K,
        recording=Recording() if arguments.blobs else None,
    )
    storage = StorageSettings(None, connection_string(arguments.blobs or 9))
    recordings = BlobRecordings(storage, LocalCredential())
    outside = Outside(calls=Rows(arguments.calls, profile), recordings=recordings)
    timing = Timing(disconnect_wait_s=0.1, interruption_grace_s=0.1)
    stop = asyncio.Event()
    gateway = MediaGateway(_settings(arguments.calls, volume, arguments.append_ms), outside, timing)
    running = asyncio.create_task(gateway.run(stop))
    await until_stopped()
    stop.set()
    await running
    await recordings.close()


def _agent(service: str | None) -> AgentSettings:
    if service is None:
        return EchoAgent()
    return RealtimeAgent(dialect=Dialect.OPENAI, endpoint=service, model="bench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--service", metavar="URL", help="a realtime service (default: the echo agent)")
    parser.add_argument("--blobs", type=int, metavar="PORT", help="record, into the blob sink there")
    parser.add_argument("--append-ms", type=int, default=20, help="of the caller's audio in a message")
    parser.add_argument("--chunk-ms", type=int, help="of playout, instead of the product's")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="write there where the time went")
    arguments = parser.parse_args()
    if arguments.chunk_ms:
        # The product has one size, chosen by what this shows: no setting leads there.
        limits = PlayoutLimits(chunk_ms=arguments.chunk_ms)
        media_gateway.call.PlayoutLedger = partial(PlayoutLedger, limits=limits)  # type: ignore[misc]
    set_up_logs("INFO")
    with (
        tempfile.TemporaryDirectory(prefix="acs-voice-gateway-bench-") as volume,
        sampled(arguments.profile) if arguments.profile else contextlib.nullcontext(),
    ):
        uvloop.run(_serve(arguments, Path(volume)))


if __name__ == "__main__":
    main()
