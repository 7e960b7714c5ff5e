"""The Functions app on the emulator: real SDKs, real storage emulator, real sockets, one event loop."""

import base64
import contextlib
import copy
import json
import secrets
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import ResourceNotFoundError

from emulator.functions_host import FunctionsHost
from emulator.media.line import Line
from emulator.ports import free_ports
from emulator.service import Emulator
from emulator.settings import EmulatorSettings
from shared.adapters.connect import Connections, connect
from shared.adapters.profile_store import POINTER
from shared.adapters.tables import create_tables
from shared.admin.publish import publish_file
from shared.config import functions_settings
from shared.core.admission import PodLoad
from shared.gateway_file import load_gateway_file
from shared.security.accounts import Account, hash_secret, new_api_id
from shared.security.keyring import CALLBACK_KEY_SECRET, MEDIA_KEY_SECRET
from tests.support.azurite import Azurite
from tests.support.records import data_json

NUMBER = "+18005550199"
CALLER = "+14255550100"
EVENTS_PATH = "/mg-genagent-acs/v1/acs-events"
GATEWAY_FILE = Path(__file__).resolve().parents[2] / "gateway.yaml"
API_SECRET = "the-secret-of-the-subscription"


@dataclass
class Edge:
    """The running app, and everything around it that a test may look at or break."""

    host: FunctionsHost
    emulator: Emulator
    connections: Connections
    http: aiohttp.ClientSession
    api_id: str
    lines: list[Line] = field(default_factory=list)

    @property
    def events_url(self) -> str:
        """Where Event Grid delivers."""
        return self.host.url + EVENTS_PATH

    @property
    def credentials(self) -> dict[str, str]:
        """The headers of the account's subscription."""
        return {"asapp-api-id": self.api_id, "asapp-api-secret": API_SECRET}

    async def deliver(self, body: Any, **headers: str) -> tuple[int, Any]:
        """POST a delivery with the account's credentials; return status and decoded answer."""
        async with self.http.post(self.events_url, json=body, headers=self.credentials | headers) as response:
            return response.status, json.loads(await response.read() or b"null")

    async def ring(self, to: str = NUMBER) -> dict[str, Any]:
        """Let a call ring, with no subscription to announce it; return its IncomingCall event."""
        line = Line(rate_hz=16_000)
        self.lines.append(line)
        call = await self.emulator.calls.place(to=to, from_=CALLER, line=line)
        return incoming_call(call.incoming_call_context, correlation_id=call.correlation_id)

    def answered(self) -> list[str]:
        """The connection ids of every call that was answered, a second answer of one call included."""
        return [
            call.call_connection_id
            for call in self.emulator.calls
            for happening in call.happenings
            if happening.name == "answered" and call.call_connection_id
        ]

    def answers_of(self, event: dict[str, Any]) -> int:
        """How often ACS performed an answer of the call that an event announces."""
        call = self.emulator.calls.find(event["data"]["correlationId"])
        assert call is not None
        return sum(happening.name == "answered" for happening in call.happenings)


async def close_app() -> None:
    """Let the app forget all that it keeps between invocations, as if its process were new."""
    await sys.modules["functions.process"].PROCESS.close()


def incoming_call(context: str, *, age_s: float = 0.0, **data: Any) -> dict[str, Any]:
    """An IncomingCall event as Event Grid sends it, `age_s` old."""
    (event,) = copy.deepcopy(data_json("event_grid/incoming_call.event_grid.json"))
    event["id"] = str(uuid.uuid4())
    event["eventTime"] = datetime.fromtimestamp(time.time() - age_s, UTC).isoformat()
    event["data"] |= {"incomingCallContext": context}
    event["data"] |= {"correlationId": data.pop("correlation_id", str(uuid.uuid4())), **data}
    return event


def local_settings(emulator: Emulator, storage: str) -> dict[str, str]:
    """The gateway's settings against the emulator and a storage emulator."""
    return {
        "ACS_ENDPOINT": emulator.base_url,
        "ACS_ACCESS_KEY": emulator.settings.access_key,
        "ACS_RESOURCE_ID": emulator.settings.resource_id,
        "ACS_TOKEN_ISSUER": emulator.settings.token_issuer,
        "ACS_OPENID_METADATA_URL": f"{emulator.base_url}/calling/.well-known/acsopenidconfiguration",
        "KEY_VAULT_URL": emulator.key_vault_url,
        "KEY_VAULT_CA_FILE": str(emulator.key_vault_ca_file),
        "AZURE_CREDENTIAL": "local",
        "STORAGE_CONNECTION_STRING": storage,
        "WEB_PUBSUB_CONNECTION_STRING": emulator.web_pubsub_connection_string,
        "MEDIA_BASE_URL": "ws://127.0.0.1:9",
        # Tests run them when they mean to, and not whenever minutes of the clock happen to be over.
        "AzureWebJobs.upkeep.Disabled": "true",
        "AzureWebJobs.ivr_upkeep.Disabled": "true",
    }


@contextlib.asynccontextmanager
async def running_emulator(**changes: Any) -> AsyncIterator[Emulator]:
    """An emulator with quick timers, and nothing in its vault."""
    emulator = Emulator(EmulatorSettings(**{"connect_seconds": 0.01, "time_scale": 0.01} | changes))
    await emulator.start()
    try:
        yield emulator
    finally:
        await emulator.stop()


def behind_proxies(azurite: Azurite) -> dict[str, int]:
    """Settings of an emulator through whose storage faults the app reaches Azurite."""
    return {"azurite_blob_port": azurite.ports["blob"], "azurite_table_port": azurite.ports["table"]}


async def push(connections: Connections, gateway_file: Path = GATEWAY_FILE) -> int:
    """Put a gateway file in force; return its version."""
    published = await publish_file(connections.config_blobs, load_gateway_file(gateway_file))
    return published.version


async def seed(connections: Connections, gateway_file: Path | None = GATEWAY_FILE) -> str:
    """Put tables, profiles, token keys and one account in place, no other and no pod; return the account's API id.

    With no `gateway_file` there are no profiles, as if none was ever pushed.
    """
    await create_tables(connections.tables)
    if gateway_file is not None:
        await push(connections, gateway_file)
    else:
        await forget_profiles(connections)
    for name in (MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET):
        await connections.vault.add_version(name, base64.b64encode(secrets.token_bytes(32)).decode())
    for pod in await connections.pods.since(0):
        await connections.pods.remove(pod.name)
    for name in ("accounts", "answers", "slots"):
        table = connections.tables.get_table_client(name)
        async for row in table.list_entities(select=["PartitionKey", "RowKey"]):
            await table.delete_entity(row["PartitionKey"], row["RowKey"])
    account = Account("demo", "Demo", new_api_id(), (hash_secret(API_SECRET),))
    await connections.accounts.create(account)
    return account.api_id


async def forget_profiles(connections: Connections) -> None:
    """Leave the store as if no profiles were ever pushed."""
    await connections.config_blobs.make()
    client = await connections.config_blobs._open()
    with contextlib.suppress(ResourceNotFoundError):
        await client.delete_blob(POINTER)


StartEdge = Callable[..., Awaitable[Edge]]


@pytest.fixture
async def start_edge(
    azurite: Azurite,
    functions_host: Callable[..., Awaitable[FunctionsHost]],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[StartEdge]:
    """Start the app: `edge = await start_edge(RING_DEADLINE_S="2")`; settings override the usual ones.

    `gateway_file` has the profiles in force; None: none was ever pushed.
    """
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            *,
            pods: int = 1,
            emulated: dict[str, Any] | None = None,
            gateway_file: Path | None = GATEWAY_FILE,
            **settings: str,
        ) -> Edge:
            emulator = await stack.enter_async_context(
                running_emulator(**behind_proxies(azurite) | (emulated or {}))
            )
            env = local_settings(emulator, emulator.storage_connection_string)
            # Known before the app is imported, and from below where systems take clients' ports from.
            port = free_ports().functions
            env["CALLBACK_BASE_URL"] = f"http://127.0.0.1:{port}"
            connections = await stack.enter_async_context(connect(functions_settings(env).common))
            api_id = await seed(connections, gateway_file)
            for number in range(pods):
                await connections.pods.beat(PodLoad(f"pod-{number}", 0, 100, time.time() + 60))
            for name, value in (env | settings).items():
                monkeypatch.setenv(name, value)
            host = await functions_host(port=port)
            stack.push_async_callback(close_app)
            stack.push_async_callback(host.stop)
            # First at the end: it sends callbacks, and nothing new may come while the host stops.
            stack.push_async_callback(emulator.stop)
            http = await stack.enter_async_context(
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
            )
            edge = Edge(host, emulator, connections, http, api_id)
            stack.callback(lambda: [line.close() for line in edge.lines])
            return edge

        yield start


@pytest.fixture
async def edge(start_edge: StartEdge) -> Edge:
    """The app with its usual settings and one pod with room."""
    return await start_edge()
