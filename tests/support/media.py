"""The media gateway in a test: the real process core on a real port, with storage, vault and ACS in memory.

`Acs` is both sides of Azure that the gateway meets: it opens media sockets as ACS does, and takes hang-ups.
"""

import asyncio
import base64
import json
import tempfile
import time
import uuid
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from picows import WSHandshakeError, WSListener, WSMsgType, ws_connect

from media_gateway.runtime import MediaGateway
from media_gateway.timing import Timing
from shared.adapters.call_store import StoredEvent
from shared.config import (
    AcsTokenSettings,
    CommonSettings,
    MediaSettings,
    StorageSettings,
    TokenKeyTimes,
    VaultSettings,
    WebPubSubSettings,
)
from shared.core.call import CallRecord, CallTimes, advance
from shared.core.call_state import CallEvent, CallState
from shared.core.ids import new_call_id, new_token_id, new_traceparent
from shared.core.profiles import AgentProfile, AudioFormat, EchoAgent, PromptKind
from shared.errors import (
    AcsRefused,
    AcsUnavailable,
    CallGone,
    IdentityUnavailable,
    NotFound,
    SignalsUnavailable,
    StoreUnavailable,
    VaultUnavailable,
)
from shared.security.keyring import SecretVersion
from shared.security.tokens import Audience, SigningKey, mint
from shared.wav import SoundUnusable

CALLER = "4:+14255550100"
CALLED = "4:+18005550199"
KEY = SigningKey("version-1", b"k" * 32)
STARTED_AT = 1_700_000_000.0

QUICK = Timing(
    ownership_s=2,
    ownership_doubt_s=0.3,
    comfort_s=1,
    agent_reconnect_s=0.5,
    media_restart_s=0.1,
    start_media_s=0.2,
    transfer_end_s=0.5,
    interruption_grace_s=0.3,
    disconnect_wait_s=0.2,
    events_step_s=0.02,
    events_idle_step_s=0.05,
    socket_close_s=0.5,
    retry_step_s=0.01,
    row_write_s=1,
    row_write_short_s=0.5,
    row_late_s=0,
    row_write_tries=3,
    hang_up_s=1,
    hang_up_for_s=0.5,
    hang_up_step_max_s=0.05,
    heartbeat_s=0.05,
    keys_retry_s=0.02,
    stop_s=5,
    cut_off_s=0.2,
    tick_s=0.02,
    lag_allowed_s=60,
)
"""Durations of the tests: those that a good call waits out are short, those that end a bad one are long."""


class MemoryCalls:
    """The rows and events of calls. A change is atomic, as the table's ETag makes it."""

    def __init__(self):
        self.rows = {}
        self.written = []
        self.callbacks = {}
        self.is_away = False
        self.lost_replies = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.reply_gate = asyncio.Event()
        self.reply_gate.set()

    async def change(self, call_id, mutate):
        await asyncio.sleep(0)
        await self.gate.wait()
        if self.is_away:
            raise StoreUnavailable("table storage did not answer")
        if call_id not in self.rows:
            raise NotFound("no such call")
        before = self.rows[call_id]
        after = mutate(before)
        if after is not before:
            self.rows[call_id] = after
            self.written.append(after)
        await self.reply_gate.wait()
        if self.lost_replies:
            self.lost_replies -= 1
            raise StoreUnavailable("table storage did not answer")
        return after

    async def events(self, call_id):
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("table storage did not answer")
        return list(self.callbacks.get(call_id, []))

    def add_event(self, call_id, name, **data):
        self.callbacks.setdefault(call_id, []).append(StoredEvent(str(uuid.uuid4()), name, time.time(), data))

    def states(self, call_id):
        """The states that were written, in order and each once."""
        states = [record.state for record in self.written if record.call_id == call_id]
        return [state for at, state in enumerate(states) if at == 0 or states[at - 1] is not state]


class MemoryPods:
    def __init__(self):
        self.loads = {}
        self.is_away = False

    async def beat(self, load):
        await self._answer()
        self.loads[load.name] = load

    async def remove(self, name):
        await self._answer()
        self.loads.pop(name, None)

    async def beats(self):
        await self._answer()
        return {name: load.at for name, load in self.loads.items()}

    async def held(self, name):
        await self._answer()
        return self.loads[name].held if name in self.loads else ()

    async def _answer(self):
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("table storage did not answer")


class MemoryVault:
    def __init__(self):
        self.versions = [KEY]
        self.secrets = {}
        self.reads = 0
        self.is_away = False

    async def value(self, name):
        await asyncio.sleep(0)
        if self.is_away:
            raise VaultUnavailable("Key Vault did not answer")
        return self.secrets.get(name)

    async def enabled_versions(self, name):
        assert name == "media-token-key"
        await asyncio.sleep(0)
        self.reads += 1
        if self.is_away:
            raise VaultUnavailable("Key Vault did not answer")
        return [
            SecretVersion(key.kid, STARTED_AT - age, base64.b64encode(key.key).decode())
            for age, key in enumerate(self.versions)
        ]


class MemoryEntra:
    """Tokens of the process's identity, by scope."""

    def __init__(self):
        self.tokens = {}

    async def token(self, scope):
        await asyncio.sleep(0)
        if scope not in self.tokens:
            raise IdentityUnavailable("Entra gave no token")
        return self.tokens[scope]


class MemorySignals:
    """What was signalled; nothing comes in, for there is no service."""

    def __init__(self):
        self.sent = []

    async def send(self, pod, signal):
        await asyncio.sleep(0)
        self.sent.append((pod, signal))

    async def client_url(self, pod):
        await asyncio.sleep(0)
        raise SignalsUnavailable("there is no Web PubSub in this test")


class MemoryAcs:
    """What ACS was asked for; hang-ups end the call's socket. Unless it is away or does not know the call."""

    def __init__(self):
        self.hung_up = []
        self.pressed = []
        """Connection id, target and digits of each time that keys were pressed."""
        self.transfers = []
        """Connection id and arguments of each transfer that was asked for."""
        self.media_starts = []
        """Connection ids of the calls whose media were to start again, where ACS takes that."""
        self.media_contexts = []
        """Operation contexts of these."""
        self.played = []
        """Connection id, URL and operation context of each file that was to be played."""
        self.refuses = set()
        """Of `transfer`, `start_media` and `play_file`, what ACS will not do."""
        self.on_transfer = None
        """Called with the connection id and the arguments when a transfer was asked for."""
        self.on_play = None
        """Called with the connection id and the operation context when a file is to be played."""
        self.on_start_media = None
        """Called with the connection id when media are to start again."""
        self.sockets = {}
        self.gone = set()
        self.is_away = False
        self.tries = 0
        self.on_hang_up = None
        """Called with the connection id when a call is hung up."""
        self.closes_sockets = True

    async def hang_up(self, call_connection_id, *, for_everyone):
        await asyncio.sleep(0)
        self.tries += 1
        if self.is_away:
            raise AcsUnavailable("ACS did not answer")
        if call_connection_id in self.gone:
            raise CallGone("ACS answered 404/8522")
        assert for_everyone
        if self.on_hang_up is not None:
            self.on_hang_up(call_connection_id)
        self.hung_up.append(call_connection_id)
        self.gone.add(call_connection_id)
        if self.closes_sockets and call_connection_id in self.sockets:
            self.sockets[call_connection_id].close()

    async def send_dtmf(self, call_connection_id, *, target, digits):
        await self._asked("send_dtmf", call_connection_id)
        self.pressed.append((call_connection_id, target, digits))

    async def transfer(
        self, call_connection_id, *, target, context, operation_context, caller_id=None, transferee=None
    ):
        await self._asked("transfer", call_connection_id)
        asked = {
            "target": target,
            "context": context,
            "operation_context": operation_context,
            "caller_id": caller_id,
            "transferee": transferee,
        }
        self.transfers.append((call_connection_id, asked))
        if self.on_transfer is not None:
            self.on_transfer(call_connection_id, asked)

    async def start_media(self, call_connection_id, *, operation_context):
        await self._asked("start_media", call_connection_id)
        self.media_starts.append(call_connection_id)
        self.media_contexts.append(operation_context)
        if self.on_start_media is not None:
            self.on_start_media(call_connection_id)

    async def stop_media(self, call_connection_id):
        await self._asked("stop_media", call_connection_id)

    async def play_file(self, call_connection_id, *, url, operation_context):
        await self._asked("play_file", call_connection_id)
        self.played.append((call_connection_id, url, operation_context))
        if self.on_play is not None:
            self.on_play(call_connection_id, operation_context)

    async def _asked(self, what, call_connection_id):
        await asyncio.sleep(0)
        if self.is_away:
            raise AcsUnavailable("ACS did not answer")
        if call_connection_id in self.gone:
            raise CallGone("ACS answered 404/8522")
        if what in self.refuses:
            raise AcsRefused("ACS answered 400/8585")


class RecordingAgent:
    """Keeps what it is told, and lets the test speak for it through `sink`."""

    def __init__(self):
        self.info = None
        self.sink = None
        self.audio = bytearray()
        self.digits = []
        self.heard_items = []
        self.closed_for = []
        self.fails_in = None
        self.hangs_in = None
        self.cancels_itself_in = None
        self.ignores_cancellation_in = None
        self.released = asyncio.Event()

    async def open(self, call, sink):
        self.info, self.sink = call, sink
        await self._waiting("open")

    def send_audio(self, pcm):
        self._fail("send_audio")
        self.audio += pcm

    def send_dtmf(self, digit):
        self._fail("send_dtmf")
        self.digits.append(digit)

    def heard(self, item_id, heard_ms):
        self.heard_items.append((item_id, heard_ms))
        self._fail("heard")

    async def close(self, reason):
        self.closed_for.append(reason)
        await self._waiting("close")

    async def _waiting(self, where):
        self._fail(where)
        if self.hangs_in == where:
            await asyncio.Event().wait()
        if self.cancels_itself_in == where:
            raise asyncio.CancelledError
        while self.ignores_cancellation_in == where and not self.released.is_set():
            with suppress(asyncio.CancelledError):
                await self.released.wait()

    def _fail(self, where):
        if self.fails_in == where:
            raise RuntimeError("the agent fails")


class MemoryRecordings:
    """Blobs of recordings, by name."""

    def __init__(self):
        self.blobs = {}
        self.is_away = False

    async def put(self, name, data):
        await self._answer()
        self.blobs[name] = bytes(data)

    async def put_file(self, name, path):
        await self._answer()
        self.blobs[name] = path.read_bytes()

    async def read(self, name, *, max_bytes):
        await self._answer()
        return self.blobs.get(name)

    async def names(self, prefix):
        await self._answer()
        return [name for name in self.blobs if name.startswith(prefix)]

    async def folders(self, prefix):
        await self._answer()
        below = {name[len(prefix) :].partition("/") for name in self.blobs if name.startswith(prefix)}
        return sorted(f"{prefix}{first}/" for first, slash, _ in below if slash)

    async def delete(self, names):
        await self._answer()
        for name in names:
            self.blobs.pop(name, None)

    async def _answer(self):
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("blob storage did not answer")


class MemorySounds:
    """WAV files by name; `is_away` and `gate` stand for a store that fails, or is slow."""

    def __init__(self):
        self.files = {}
        self.reads = []
        self.is_away = False
        self.gate = None

    async def read(self, name):
        self.reads.append(name)
        if self.gate is not None:
            await self.gate.wait()
        if self.is_away:
            raise StoreUnavailable("the store is away")
        if name not in self.files:
            raise SoundUnusable("is not stored")
        return self.files[name]


@dataclass
class MemoryOutside:
    calls: MemoryCalls = field(default_factory=MemoryCalls)
    pods: MemoryPods = field(default_factory=MemoryPods)
    vault: MemoryVault = field(default_factory=MemoryVault)
    call_control: MemoryAcs = field(default_factory=MemoryAcs)
    entra: MemoryEntra = field(default_factory=MemoryEntra)
    signals: MemorySignals = field(default_factory=MemorySignals)
    acs_tokens: object = None
    sounds: MemorySounds = field(default_factory=MemorySounds)
    recordings: MemoryRecordings = field(default_factory=MemoryRecordings)


class AcsSocket(WSListener):
    """ACS's end of a media socket: sends what it is told to, keeps what it gets."""

    def __init__(self):
        super().__init__()
        self.transport = None
        self.audio = bytearray()
        self.messages = []
        self.stops = 0
        self.close_code = None
        self.close_reason = None
        self.pings = 0
        self.answers_pings = True
        self.closed = asyncio.Event()
        self._changed = asyncio.Event()

    def on_ws_connected(self, transport):
        self.transport = transport

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.PING:
            self.pings += 1
            if self.answers_pings:
                transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            payload = frame.get_payload_as_bytes()
            self.close_code, self.close_reason = int.from_bytes(payload[:2], "big"), payload[2:].decode()
            transport.send_close(1000)
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            message = json.loads(frame.get_payload_as_bytes())
            self.messages.append(message)
            if message["Kind"] == "AudioData":
                self.audio += base64.b64decode(message["AudioData"]["Data"], validate=True)
            else:
                assert message == {"Kind": "StopAudio", "AudioData": None, "StopAudio": {}}
                self.stops += 1
        self._changed.set()

    def on_ws_disconnected(self, transport):
        self.closed.set()
        self._changed.set()

    def send(self, message, *, kind=WSMsgType.TEXT, fin=True):
        data = json.dumps(message).encode() if isinstance(message, dict) else message
        self.transport.send(kind, data, fin)

    def send_metadata(self, rate_hz):
        fields = {
            "subscriptionId": str(uuid.uuid4()),
            "encoding": "PCM",
            "sampleRate": rate_hz,
            "channels": 1,
        }
        self.send({"kind": "AudioMetadata", "audioMetadata": {**fields, "length": rate_hz // 50 * 2}})

    def send_audio(self, pcm, **changes):
        fields = {"timestamp": "2026-11-20T17:40:55.925Z", "data": base64.b64encode(pcm).decode()}
        self.send({"kind": "AudioData", "audioData": {**fields, "silent": False, **changes}})

    def send_silence(self):
        self.send(
            {"kind": "AudioData", "audioData": {"timestamp": "2026-11-20T17:40:55.925Z", "silent": True}}
        )

    def press(self, digit):
        self.send({"kind": "DtmfData", "dtmfData": {"data": digit}})

    def close(self):
        """Close in order, as ACS does when the call is over."""
        if not self.closed.is_set():
            self.transport.send_close(1000)

    def drop(self):
        """Lose the connection."""
        self.transport.disconnect(graceful=False)

    async def until(self, condition, *, seconds=5):
        """Wait until `condition()` holds; it is looked at whenever something comes in."""
        async with asyncio.timeout(seconds):
            while not condition():
                assert not self.closed.is_set(), f"the gateway closed: {self.close_code} {self.close_reason}"
                self._changed.clear()
                await self._changed.wait()

    async def until_heard(self, pcm):
        """Wait until so much audio has come, and check that it is `pcm`."""
        await self.until(lambda: len(self.audio) >= len(pcm))
        assert bytes(self.audio) == bytes(pcm)

    async def until_closed(self, *, seconds=5):
        async with asyncio.timeout(seconds):
            await self.closed.wait()


@dataclass
class PlacedCall:
    """A call that was answered: its row stands, and its socket may be opened."""

    call_id: str
    call_connection_id: str
    token: str
    socket: AcsSocket | None = None


def prompt(kind, rate_hz=24_000):
    """What the gateway itself says in these tests: 100 ms, of another sample for each kind."""
    sample = 1000 + 100 * list(PromptKind).index(kind)
    return sample.to_bytes(2, "little") * (rate_hz // 10)


class Gateway:
    """A running media gateway, and the world around it."""

    def __init__(self, settings, outside, timing):
        self.outside = outside
        self.calls = outside.calls
        self.acs = outside.call_control
        self.core = MediaGateway(settings, outside, timing)
        self.core.pod.prompts._defaults = {
            rate_hz: {kind: prompt(kind, rate_hz) for kind in PromptKind} for rate_hz in (16_000, 24_000)
        }
        self.stop = asyncio.Event()
        self.sockets = []

    @property
    def url(self):
        return f"127.0.0.1:{self.core.port}"

    def answer(self, agent=None, *, audio_format=AudioFormat.PCM24K, state=None, **profile):
        """Make the row and the token of a call that has been answered."""
        call_id, jti = new_call_id(), new_token_id()
        profile = AgentProfile(name="test", agent=agent or EchoAgent(), audio_format=audio_format, **profile)
        record = CallRecord(
            call_id=call_id,
            account_id="demo",
            profile=profile,
            caller=CALLER,
            called=CALLED,
            correlation_id=str(uuid.uuid4()),
            server_call_id="aHR0cHM6Ly9leGFtcGxl",
            variables={"order": "1234"},
            media_jti=jti,
            traceparent=new_traceparent(),
            times=CallTimes(created=STARTED_AT),
        )
        record = advance(record, CallEvent.ANSWER_SENT, STARTED_AT)
        self.calls.rows[call_id] = record if state is None else replace(record, state=state)
        token = mint(Audience.MEDIA, call_id=call_id, account_id="demo", jti=jti, signing=KEY)
        return PlacedCall(call_id, str(uuid.uuid4()), token)

    async def open_socket(self, call, *, headers=None, path=None, token=None):
        """Open the media socket as ACS does, without a word yet. Raises `WSHandshakeError`."""
        path = path if path is not None else f"/media/{call.call_id}?token={token or call.token}"
        if headers is None:
            headers = {
                "x-ms-call-connection-id": call.call_connection_id,
                "x-ms-call-correlation-id": str(uuid.uuid4()),
            }
        _, socket = await ws_connect(
            AcsSocket, f"ws://{self.url}{path}", extra_headers=headers, enable_auto_pong=False
        )
        self.sockets.append(socket)
        return socket

    async def refusal(self, call, **changes):
        """Try to open the media socket, and return the status and body of the refusal."""
        with pytest.raises(WSHandshakeError) as caught:
            await self.open_socket(call, **changes)
        return int(caught.value.response.status), caught.value.raw_body

    async def place(self, agent=None, *, audio_format=AudioFormat.PCM24K, **changes):
        """Place a call, and return it with its socket open and AudioMetadata sent."""
        call = self.answer(agent, audio_format=audio_format, **changes)
        call.socket = self.acs.sockets[call.call_connection_id] = await self.open_socket(call)
        call.socket.send_metadata(audio_format.rate_hz)
        return call

    def row(self, call):
        return self.calls.rows[call.call_id]

    async def until_streaming(self, call):
        """Wait until the row says so, and an agent was made for it."""
        await self.until(lambda: self.row(call).state is CallState.STREAMING)
        await self.until(lambda: self.is_talking(call))
        await asyncio.sleep(0)  # the task that connects it has begun

    def is_listening(self, call):
        """Whether an agent hears every frame as it comes."""
        return self.core.calls._live[call.call_id]._hearing.is_heard

    def is_talking(self, call):
        """Whether an agent was made, and is at least connecting."""
        live = self.core.calls._live.get(call.call_id)
        agent = live and live._keeper.current
        return live is None or (agent is not None and agent._opening is not None)

    def assert_ended(self, call, cause, *, hung_up, caplog=None):
        """Check that the call is over, and that row, ACS and log say the same of it, once."""
        row = self.row(call)
        assert (row.state, row.cause) == (CallState.ENDED, cause)
        assert [r.state for r in self.calls.written if r.call_id == call.call_id].count(CallState.ENDED) == 1
        assert self.acs.hung_up.count(call.call_connection_id) == (1 if hung_up else 0)
        if caplog is not None:
            ends = [r for r in caplog.records if r.getMessage() == "call ended"]
            (line,) = [r for r in ends if r.call_id == call.call_id]
            assert (line.state, line.cause, line.row) == ("ended", cause.value, "written")

    async def until(self, condition, *, seconds=5):
        """Wait until `condition()` holds."""
        async with asyncio.timeout(seconds):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.005)

    async def until_over(self, *, seconds=5):
        """Wait until no call is left."""
        await self.until(lambda: not self.core.calls._arrivals, seconds=seconds)

    async def get(self, path):
        """GET `path` and return status and JSON."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.core.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)


def media_test_settings(**changes):
    common = CommonSettings(
        acs_endpoint="http://127.0.0.1:1",
        acs_access_key="a2V5",
        acs_tokens=changes.pop("acs_tokens", None),
        vault=VaultSettings("https://127.0.0.1:1", None, local_credential=True),
        token_keys=changes.pop("token_keys", TokenKeyTimes()),
        storage=StorageSettings(None, "UseDevelopmentStorage=true"),
        web_pubsub=WebPubSubSettings("http://127.0.0.1:1", None),
    )
    fields = {
        "common": common,
        "host": "127.0.0.1",
        "port": 0,
        "pod_name": "pod-a",
        "max_calls": 10,
        "interruption_grace_s": QUICK.interruption_grace_s,
        "log_level": "INFO",
    }
    return MediaSettings(**{**fields, **changes})


ACS_TOKENS = AcsTokenSettings(
    audience="resource", issuer="acs", metadata_url="http://127.0.0.1:1", on_callbacks=True, on_media=True
)


@asynccontextmanager
async def running_gateway(*, timing=QUICK, outside=None, **settings):
    """Run a media gateway; at the end it is stopped as by SIGTERM, and must have stopped in time."""
    spill = tempfile.TemporaryDirectory(prefix="recordings-")
    settings.setdefault("recording_spill_dir", Path(spill.name))
    gateway = Gateway(media_test_settings(**settings), outside or MemoryOutside(), timing)
    listening = asyncio.Event()
    running = asyncio.create_task(gateway.core.run(gateway.stop, listening))
    try:
        await listening.wait()
        await gateway.until(lambda: gateway.core.is_ready or gateway.outside.vault.is_away)
        yield gateway
    finally:
        gateway.stop.set()
        async with asyncio.timeout(timing.stop_s + 5):
            await running
        for socket in gateway.sockets:
            socket.drop()
            await socket.until_closed()
        spill.cleanup()


@pytest.fixture
def agent(monkeypatch):
    """The agent of every call of the test, whatever the profile says."""
    agent = RecordingAgent()
    monkeypatch.setattr("media_gateway.runtime.make_agent", lambda settings, resources: agent)
    return agent


@pytest.fixture
async def gateway():
    """A running media gateway with quick durations."""
    async with running_gateway() as running:
        yield running
