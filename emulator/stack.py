"""The local stack: every part as a process of its own, started in order, watched, and stopped together."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from emulator.azurite import AzuriteMissingError, azurite_command
from emulator.environment import gateway_environment
from emulator.gateway_file import PushedFile
from emulator.ingress import Ingress, IngressSettings
from emulator.pods import PodError, PodPool
from emulator.ports import LOOPBACK, Ports
from emulator.processes import Process
from emulator.realtime.settings import WELL_KNOWN_KEY, Behaviour
from emulator.routed import GATEWAY_FILE, Addresses
from emulator.seeding import SeedingError, create_account, put_secrets, put_signing_keys, subscribe
from emulator.waiting import cancel_and_wait

START_S = 30.0
"""How long a part may take until it is healthy."""
CORE_TOOLS_START_S = 120.0
"""The first `func start` on a machine fetches its extension bundle."""
GRACE_S = 8.0
"""How long a part may take to end when it is asked to."""
POLL_S = 0.05
REQUEST_S = 5.0

AZURITE = "azurite"
EMULATOR = "emulator"
FUNCTIONS = "functions"
INGRESS = "ingress"
MEDIA = "media"
REALTIME = "realtime"
STOPPED = ((FUNCTIONS, MEDIA), (EMULATOR, REALTIME), (AZURITE,))
"""One after another: the gateway hangs up and stores at its end, and reaches storage through the emulator."""
PROFILES = "profiles"
"""Under this name the watch over the gateway file speaks."""


class StackError(Exception):
    """The stack cannot start or go on; the text is for the person in front of it.

    `tail` holds the last lines of the part that failed.
    """

    def __init__(self, message: str, tail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.tail = list(tail)


@dataclass(frozen=True)
class StackOptions:
    """How a stack is started.

    Attributes:
        root: the gateway's folder, with function_app.py and gateway.yaml.
        ports: where the parts listen.
        data: a folder for storage, to outlive the stack, and for Key Vault's authority, to be found by programs
            beside the stack; None keeps storage in memory.
        real_func: serve the Functions app by `func start` of Azure Functions Core Tools.
        addresses: what can be called.
        settings: of the gateway, instead of the local stack's usual ones.
        gateway_file: who answers, from the gateway's folder.
        realtime: what a stand-in of a realtime voice service does; None starts none.
        secrets: further ones for Key Vault, by name.
        pods: how many media gateways there are; several are on ports of their own, and an ingress has theirs.
        ingress: how it behaves; where it listens is the stack's.
    """

    root: Path
    ports: Ports
    data: Path | None = None
    real_func: bool = False
    addresses: Addresses = field(default_factory=Addresses)
    settings: Mapping[str, str] = field(default_factory=dict)
    gateway_file: str | Path = GATEWAY_FILE
    realtime: Behaviour | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    pods: int = 1
    ingress: IngressSettings = field(default_factory=IngressSettings)


@dataclass(frozen=True)
class _Part:
    name: str
    command: Sequence[str]
    health_url: str
    any_answer: bool = False
    """Healthy as soon as it answers at all: Azurite has no health endpoint."""
    status_url: str | None = None
    """Where a Functions host tells why it has no functions."""
    start_s: float = START_S


class Stack:
    """Azurite, the emulator, the Functions app, the media gateway and what else is asked for.

    `stop` is owed once `start` was called.

    Args:
        options: how it is started.
        on_line: called with the part's name and each line of its output.
    """

    def __init__(self, options: StackOptions, on_line: Callable[[str, str], None]) -> None:
        self._options = options
        self._on_line = on_line
        self._started: list[Process] = []
        self._closing = contextlib.AsyncExitStack()
        self._settings: dict[str, str] = {}
        self._environment: dict[str, str] = {}
        self._gateway_file = PushedFile(options.root, self._environment)
        self.pods: PodPool | None = None
        """The media gateways, where several are asked for, once `start` was called."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The gateway's settings, once `start` was called."""
        return self._settings

    async def start(self) -> None:
        """Start everything, seed it, and return when all parts are healthy.

        Raises:
            StackError: a port is taken, something is missing, or a part did not get healthy.
        """
        options, ports = self._options, self._options.ports
        taken = [each for each in ports.in_use() if each[0] != REALTIME or options.realtime]
        if taken:
            listed = ", ".join(f"{port} ({name})" for name, port in taken)
            raise StackError(f"in use already: port {listed}; stop what listens there, or use --port-offset")
        self._make_data_folder()
        session = await self._closing.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_S))
        )
        folder = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="acs-voice-gateway-"))
        kept = options.data or Path(folder)
        ca_file = kept / "key-vault-ca.pem"
        self._settings = gateway_environment(ports, ca_file, kept / "recordings") | dict(options.settings)
        self._environment = os.environ | self._settings | _around_proxies() | {"PYTHONUNBUFFERED": "1"}
        self._gateway_file = PushedFile(options.root, self._environment, options.gateway_file)
        try:
            # What is missing is found here, before anything starts.
            azurite, functions = self._azurite(), self._functions()
            emulator = self._emulator(Path(folder), ca_file)
            await _together(self._bring_up(azurite, session), self._bring_up(emulator, session))
            _, _, credentials, _ = await _together(
                put_signing_keys(session, ports, ca_file),
                put_secrets(session, ports, ca_file, options.secrets),
                create_account(options.root, self._environment, self._storage),
                self._gateway_file.push(),
            )
            last = [functions, *self._media(), *self._realtime()]
            await _together(*(self._bring_up(part, session) for part in last), self._start_pods())
            await subscribe(session, ports, credentials, options.addresses)
        except PodError as error:
            raise StackError(str(error), error.tail) from error
        except (AzuriteMissingError, SeedingError, aiohttp.ClientError, TimeoutError) as error:
            raise StackError(str(error) or type(error).__name__) from error

    async def watch(self) -> None:
        """Wait until a part ends, which none should; put the gateway file in force whenever it changes.

        Of several pods, one that ends is restarted.

        Raises:
            StackError: always; it names the part.
        """
        waits = {asyncio.create_task(process.wait()): process for process in self._started}
        changes = asyncio.create_task(
            self._gateway_file.push_changes(lambda line: self._on_line(PROFILES, line))
        )
        pods = asyncio.create_task(self._keep_pods())
        try:
            await asyncio.wait([pods, *waits], return_when=asyncio.FIRST_COMPLETED)
            for wait, process in waits.items():
                if wait.done():
                    raise _ended(process)
            await pods
        except PodError as error:
            raise StackError(str(error), error.tail) from error
        finally:
            await cancel_and_wait(changes, pods, *waits)

    async def stop(self) -> None:
        """Stop every part and leave nothing behind: no process, no temporary file."""
        for names in STOPPED:
            stops = [process.stop(GRACE_S) for process in self._started if process.name in names]
            if self.pods is not None and MEDIA in names:
                stops.append(self.pods.close(GRACE_S))
            await asyncio.gather(*stops)
        await self._closing.aclose()

    async def _bring_up(self, part: _Part, session: aiohttp.ClientSession) -> None:
        """Start a part and wait until it is healthy, or has ended, or the time is over."""
        process = Process(
            part.name,
            part.command,
            environment=self._environment,
            folder=self._options.root,
            on_line=lambda line: self._on_line(part.name, line),
        )
        try:
            await process.start()
        except OSError as error:
            raise StackError(f"{part.name} could not be started: {error}") from error
        self._started.append(process)
        ended = asyncio.create_task(process.wait())
        healthy = asyncio.create_task(_until_healthy(part, session))
        try:
            await asyncio.wait({ended, healthy}, timeout=part.start_s, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise _ended(process)
            if not healthy.done():
                answer = await _answer(part, session)
                raise StackError(
                    f"{part.name} was not ready within {part.start_s:.0f} s: {answer}", process.tail
                )
            fault = healthy.result()
            if fault is not None:
                raise StackError(f"{part.name}: {fault}", process.tail)
        finally:
            await cancel_and_wait(ended, healthy)

    @property
    def _storage(self) -> Path | None:
        """Where Azurite keeps what it stores, and what belongs to that beside it."""
        return self._options.data / "azurite" if self._options.data else None

    def _make_data_folder(self) -> None:
        if self._options.data is not None:
            try:
                self._options.data.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StackError(f"storage cannot be kept there: {error}") from error

    def _azurite(self) -> _Part:
        ports = self._options.ports
        command = azurite_command(blob=ports.blob, queue=ports.queue, table=ports.table, data=self._storage)
        return _Part(AZURITE, command, f"http://{LOOPBACK}:{ports.table}/", any_answer=True)

    def _emulator(self, folder: Path, ca_file: Path) -> _Part:
        ports, addresses = self._options.ports, self._options.addresses
        settings = {
            "port": ports.emulator,
            "key_vault_port": ports.key_vault,
            "key_vault_ca_file": str(ca_file),
            "phone_numbers": addresses.phone_numbers,
            "identities": addresses.identities,
            "azurite_blob_port": ports.blob,
            "azurite_table_port": ports.table,
            "storage_blob_port": ports.storage_blob,
            "storage_table_port": ports.storage_table,
        }
        file = folder / "emulator.json"
        file.write_text(json.dumps(settings))
        command = [sys.executable, "-m", "emulator", "serve", "--settings", str(file)]
        return _Part(EMULATOR, command, f"http://{LOOPBACK}:{ports.emulator}/emulator/health")

    def _functions(self) -> _Part:
        port = str(self._options.ports.functions)
        url = f"http://{LOOPBACK}:{port}"
        health, status = f"{url}/readyz", f"{url}/admin/host/status"
        if not self._options.real_func:
            command = [sys.executable, "-m", "emulator", "functions", "--root", ".", "--port", port]
            return _Part(FUNCTIONS, command, health, status_url=status)
        func = shutil.which("func")
        if func is None:
            raise StackError(
                "Azure Functions Core Tools (`func`) is not installed; without --func the emulator serves"
            )
        # Core Tools takes the first `python` of the path for its worker.
        self._environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return _Part(FUNCTIONS, [func, "start", "--port", port], health, False, status, CORE_TOOLS_START_S)

    def _media(self) -> list[_Part]:
        if self._options.pods > 1:
            return []
        health = f"http://{LOOPBACK}:{self._options.ports.media}/readyz"
        return [_Part(MEDIA, [sys.executable, "-m", "media_gateway"], health)]

    async def _start_pods(self) -> None:
        """Start several media gateways, and before them, on the port of the one that there usually is, an ingress."""
        options = self._options
        if options.pods == 1:
            return
        ingress = Ingress(
            replace(options.ingress, host=LOOPBACK, port=options.ports.media),
            on_change=lambda backend: self._on_line(INGRESS, f"{backend.url} is {backend.state}"),
        )
        self._closing.push_async_callback(ingress.stop)
        await ingress.start()
        self.pods = PodPool(
            ingress,
            environment=self._environment,
            folder=options.root,
            volumes=Path(self._environment["RECORDING_SPILL_DIR"]),
            on_line=self._on_line,
        )
        await self.pods.start(options.pods)

    async def _keep_pods(self) -> None:
        if self.pods is None:
            await asyncio.Event().wait()
        else:
            await self.pods.keep()

    def _realtime(self) -> list[_Part]:
        behaviour, port = self._options.realtime, self._options.ports.realtime
        if behaviour is None:
            return []
        command = [sys.executable, "-m", "emulator", "realtime", "--port", str(port)]
        command += ["--behaviour", behaviour, "--key", WELL_KNOWN_KEY]
        return [_Part(REALTIME, command, f"http://{LOOPBACK}:{port}/healthz")]


async def _until_healthy(part: _Part, session: aiohttp.ClientSession) -> str | None:
    """Poll until the part is healthy (None) or tells a fault that waiting does not mend."""
    while True:
        try:
            async with session.get(part.health_url) as response:
                if part.any_answer or response.status == HTTPStatus.OK:
                    return None
                if response.status == HTTPStatus.NOT_FOUND and part.status_url is not None:
                    async with session.get(part.status_url) as status:
                        errors = (await status.json()).get("errors") if status.ok else None
                    if errors:
                        return "; ".join(errors)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            pass  # not up yet
        await asyncio.sleep(POLL_S)


async def _answer(part: _Part, session: aiohttp.ClientSession) -> str:
    try:
        async with session.get(part.health_url) as response:
            return f"{part.health_url} answers {response.status} {(await response.text())[:500]}".strip()
    except (aiohttp.ClientError, TimeoutError):
        return f"{part.health_url} does not answer"


def _around_proxies() -> dict[str, str]:
    """Settings by which no client takes a company's proxy to reach the other parts."""
    excepted = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "", LOOPBACK, "localhost"]
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(filter(None, excepted)))


def _ended(process: Process) -> StackError:
    return StackError(f"{process.name} has ended with exit code {process.exit_code}", process.tail)


async def _together(*parts: Coroutine[Any, Any, Any]) -> list[Any]:
    """Await all; the first error cancels the others and is raised."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await cancel_and_wait(*tasks)
