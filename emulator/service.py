"""The emulator as a whole: its two servers, and everything that has to be stopped again."""

import asyncio
import logging
import shutil
import socket
import ssl
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

from emulator.azurite import connection_string
from emulator.call_automation.api import call_automation_routes
from emulator.call_automation.leg import LegServices
from emulator.call_automation.play_sources import PlaySources
from emulator.callbacks import Callbacks
from emulator.calls import CALLS, Calls
from emulator.calls_api import own_routes
from emulator.event_grid.grid import EventGrid
from emulator.event_grid.routes import event_grid_routes
from emulator.faults import Faults
from emulator.faults.api import fault_routes
from emulator.faults.gate import Gate, SeenRequest
from emulator.identity import Identity, identity_routes
from emulator.identity_api import IdentityApi
from emulator.incoming_call import announcer
from emulator.key_vault.certificate import make_certificate
from emulator.key_vault.routes import KeyVaultApi
from emulator.key_vault.store import SecretStore
from emulator.language.routes import LanguageApi
from emulator.media.pacing import Ticker
from emulator.outside_api import outside_routes
from emulator.phone import TICKER, phone
from emulator.ports import LOOPBACK
from emulator.servers import close_server, listen
from emulator.settings import EmulatorSettings
from emulator.storage_proxy import MAX_BODY_BYTES, StorageProxy, StorageService
from emulator.tasks import Tasks
from emulator.web_pubsub.own_api import pubsub_routes
from emulator.web_pubsub.pubsub import WebPubSub
from emulator.web_pubsub.routes import WebPubSubApi
from emulator.web_pubsub.socket import ClientEndpoint

SHUTDOWN_SECONDS: Final = 2.0
"""How long requests under way may take to finish at the end."""

MAX_CONNECTIONS: Final = 500
"""Outgoing requests at a time; further ones wait for their turn."""

MAX_BODY_BYTES_OF_APIS: Final = 1024 * 1024

STORAGE_TIMEOUT_SECONDS: Final = 60.0
"""For what Azurite takes to answer; storage itself gives up after 30 s."""

_LOOPBACK_FOR: Mapping[str, str] = {"0.0.0.0": "127.0.0.1", "::": "::1"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Running:
    """What there is between start and stop."""

    base_url: str
    key_vault_url: str
    key_vault_ca_file: Path
    calls: Calls
    event_grid: EventGrid
    web_pubsub: WebPubSub
    identity: Identity
    storage_ports: Mapping[str, int]


class Emulator:
    """ACS, Event Grid, Web PubSub, Azure AI Language and Key Vault in one process; `start` and `stop` each once.

    Args:
        settings: what the emulator is and how it behaves.

    Attributes:
        faults: what goes wrong on purpose; rules can be added before and while it runs.
    """

    def __init__(self, settings: EmulatorSettings) -> None:
        self.settings = settings
        self.faults = Faults(settings.faults, seed=settings.seed)
        self._gate = Gate(self.faults)
        self._closing = AsyncExitStack()
        self._started: _Running | None = None

    @property
    def base_url(self) -> str:
        """Of everything but Key Vault, for example `http://127.0.0.1:8061`."""
        return self._running.base_url

    @property
    def key_vault_url(self) -> str:
        """Of Key Vault, for example `https://127.0.0.1:8062`."""
        return self._running.key_vault_url

    @property
    def key_vault_ca_file(self) -> Path:
        """PEM file of the certificate authority that Key Vault's clients have to trust."""
        return self._running.key_vault_ca_file

    @property
    def calls(self) -> Calls:
        """The calls, for callers in this process."""
        return self._running.calls

    @property
    def event_grid(self) -> EventGrid:
        """Event Grid, for subscribers and publishers in this process."""
        return self._running.event_grid

    @property
    def web_pubsub(self) -> WebPubSub:
        """Web PubSub: its clients and what they were sent."""
        return self._running.web_pubsub

    @property
    def web_pubsub_connection_string(self) -> str:
        """Of Web PubSub, with its access key."""
        return f"Endpoint={self.base_url};AccessKey={self.settings.web_pubsub_access_key};Version=1.0;"

    @property
    def identity(self) -> Identity:
        """Who signs what ACS sends, for tests that send it themselves."""
        return self._running.identity

    @property
    def storage_connection_string(self) -> str:
        """Of Azurite behind the fault proxies; names only the services that the settings name."""
        return connection_string(**self._running.storage_ports)

    def requests(self, operation: str = "*") -> list[SeenRequest]:
        """The latest requests to the services that are named by an operation as in fault rules, the oldest first."""
        return self._gate.requests(operation)

    async def start(self) -> None:
        """Start to listen, then create the subscriptions of the settings.

        Raises:
            OSError: a port is taken, or the CA file cannot be written.
            SubscriptionRefused: the endpoint of a subscription of the settings does not consent.
        """
        try:
            key_vault_url, ca_file = await self._start_key_vault()
            storage_ports = await self._start_storage_proxies()
            self._started = await self._start_acs(key_vault_url, ca_file, storage_ports)
            # First at the end: what hangs would keep the servers.
            self._closing.callback(self.faults.close)
            for subscription in self.settings.subscriptions:
                await self.event_grid.subscribe(subscription)
        except BaseException:
            await self.stop()
            raise
        logger.info("Emulator started")

    async def stop(self) -> None:
        """End all calls as failed, and leave no task, timer, temporary file or listening socket.

        A client of Key Vault that has connected and not finished its TLS handshake keeps that socket until it goes
        away or asyncio's time limit for handshakes, 60 s, is over.
        """
        self._started = None
        await self._closing.aclose()

    @property
    def _running(self) -> _Running:
        if self._started is None:
            raise RuntimeError("the emulator is not running")
        return self._started

    async def _start_key_vault(self) -> tuple[str, Path]:
        certificate = await asyncio.to_thread(make_certificate, self.settings.host)
        ca_file = self.settings.key_vault_ca_file
        if ca_file is None:
            folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="acs-emulator-")
            self._closing.push_async_callback(asyncio.to_thread, shutil.rmtree, folder)
            ca_file = Path(folder) / "key-vault-ca.pem"
        await asyncio.to_thread(ca_file.write_bytes, certificate.authority_pem)
        listener, address = self._listen(self.settings.key_vault_port)
        api = KeyVaultApi(SecretStore(), self._gate, token=self.settings.entra_token)
        await self._serve(listener, api.routes(), tls=certificate.context)
        return f"https://{address}", ca_file

    async def _start_storage_proxies(self) -> dict[str, int]:
        """A proxy before each service of Azurite that the settings name; returns their ports."""
        settings = self.settings
        wanted = {
            StorageService.BLOB: (settings.azurite_blob_port, settings.storage_blob_port),
            StorageService.TABLE: (settings.azurite_table_port, settings.storage_table_port),
        }
        ports = {}
        for service, (azurite_port, port) in wanted.items():
            if not azurite_port:
                continue
            session = await self._closing.enter_async_context(
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
                    timeout=aiohttp.ClientTimeout(total=STORAGE_TIMEOUT_SECONDS),
                    auto_decompress=False,
                )
            )
            proxy = StorageProxy(service, f"http://{LOOPBACK}:{azurite_port}", session, self._gate)
            listener, _ = self._listen(port)
            ports[str(service)] = listener.getsockname()[1]
            await self._serve(
                listener, [web.route("*", "/{path:.*}", proxy.handle)], max_body_bytes=MAX_BODY_BYTES
            )
        return ports

    async def _start_acs(
        self, key_vault_url: str, ca_file: Path, storage_ports: Mapping[str, int]
    ) -> _Running:
        settings = self.settings
        listener, address = self._listen(settings.port)
        base_url = f"http://{address}"
        identity = await Identity.create(issuer=settings.token_issuer, audience=settings.resource_id)
        session = await self._closing.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS))
        )
        tasks = Tasks()
        self._closing.push_async_callback(tasks.close)
        event_grid = EventGrid(
            session,
            self.faults,
            base_url=base_url,
            timeout_seconds=settings.request_timeout_seconds,
            time_scale=settings.time_scale,
            probation=settings.probation,
        )
        self._closing.push_async_callback(event_grid.close)
        calls = Calls(
            addresses=settings.addresses,
            ring_seconds=settings.ring_seconds,
            announce=announcer(event_grid),
            impairment=settings.media_impairment,
            outside=await asyncio.to_thread(settings.outside),
        )
        callbacks = Callbacks(
            session,
            identity,
            tasks,
            self.faults,
            timeout_seconds=settings.request_timeout_seconds,
            time_scale=settings.time_scale,
        )
        web_pubsub = WebPubSub(self.faults, recovery_seconds=settings.web_pubsub_recovery_seconds)
        web_pubsub_key = settings.web_pubsub_access_key
        play_sources = PlaySources(session, self.faults, timeout_seconds=settings.request_timeout_seconds)
        services = LegServices(settings, calls, callbacks, identity, tasks, play_sources)
        await self._serve(
            listener,
            [
                *identity_routes(identity, base_url, self._gate),
                *IdentityApi(settings).routes(),
                *call_automation_routes(services, self._gate),
                *event_grid_routes(event_grid),
                *WebPubSubApi(
                    web_pubsub, self._gate, access_key=web_pubsub_key, entra_token=settings.entra_token
                ).routes(),
                *ClientEndpoint(web_pubsub, self._gate, access_key=web_pubsub_key).routes(),
                *pubsub_routes(web_pubsub),
                *LanguageApi(self._gate, key=settings.access_key, entra_token=settings.entra_token).routes(),
                *own_routes(calls),
                *outside_routes(calls.outside),
                *fault_routes(self.faults, self._gate),
                web.get("/phone", phone),
            ],
            calls=calls,
        )
        # Ended calls close their phones, so that the server need not wait for them.
        self._closing.push_async_callback(calls.close)
        self._closing.push_async_callback(web_pubsub.close)
        return _Running(
            base_url, key_vault_url, ca_file, calls, event_grid, web_pubsub, identity, storage_ports
        )

    def _listen(self, port: int) -> tuple[socket.socket, str]:
        """Take a port; known before the server runs, since the routes tell their own address."""
        host = self.settings.host
        listener = listen(host, port)
        self._closing.callback(listener.close)
        reachable = _LOOPBACK_FOR.get(host, host)
        bracketed = f"[{reachable}]" if ":" in reachable else reachable
        return listener, f"{bracketed}:{listener.getsockname()[1]}"

    async def _serve(
        self,
        listener: socket.socket,
        routes: Iterable[web.RouteDef],
        *,
        tls: ssl.SSLContext | None = None,
        calls: Calls | None = None,
        max_body_bytes: int = MAX_BODY_BYTES_OF_APIS,
    ) -> None:
        app = web.Application(client_max_size=max_body_bytes)
        if calls is not None:
            app[CALLS] = calls
            app[TICKER] = Ticker()
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        self._closing.push_async_callback(close_server, runner, listener)
        await web.SockSite(runner, listener, ssl_context=tls).start()
