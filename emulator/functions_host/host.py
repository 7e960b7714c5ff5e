"""The host's HTTP side: routes, keys, the admin endpoints, start and graceful stop."""

import asyncio
import hmac
import json
import logging
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from emulator.functions_host.app import Function, IndexingError, load_app
from emulator.functions_host.invocation import Invoker
from emulator.functions_host.routes import BadTemplateError, Template, parse_template
from emulator.functions_host.schedule import BadScheduleError
from emulator.functions_host.settings import HostSettings, read_host_settings
from emulator.functions_host.timers import Timers
from emulator.servers import close_server, listen

MAX_BODY_BYTES = 100 * 1024 * 1024
DRAIN_S = 5.0
"""Below the time that the local stack gives its parts to end, so that the end is always orderly."""

_RESERVED = ("admin", "runtime")
_RUN = "/admin/functions/"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keys:
    """Keys to ask for; `func start` asks for none."""

    function: str
    master: str

    def __repr__(self) -> str:
        """Keep the keys out of logs."""
        return "Keys(...)"


@dataclass(frozen=True)
class Route:
    """An HTTP function and the template it answers."""

    template: Template
    function: Function


class FunctionsHost:
    """Serves the HTTP functions of one app folder, and runs those with a timer, until it is stopped.

    An app that cannot be indexed is served as in Azure: with no functions, every route 404.

    Args:
        root: the app folder, with host.json and function_app.py.
        keys: asked for where a function's auth level demands it; None asks for nothing.
        drain_s: how long `stop` waits for requests and timers in progress before it cancels them.
    """

    def __init__(self, root: Path, *, keys: Keys | None = None, drain_s: float = DRAIN_S) -> None:
        self._root = root.resolve()
        self._keys = keys
        self._drain_s = drain_s
        self._settings = HostSettings()
        self._functions: list[Function] = []
        self._routes: list[Route] = []
        self._errors: dict[str, str] = {}
        self._indexing_error: IndexingError | None = None
        self._invoker = Invoker()
        self._timers = Timers(self._invoker, os.environ)
        self._runner: web.AppRunner | None = None
        self._listener: socket.socket | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """Where the host listens, without a trailing slash."""
        return self._url

    @property
    def functions(self) -> Sequence[Function]:
        """All functions that were indexed, in the host's order."""
        return self._functions

    @property
    def routes(self) -> Sequence[Route]:
        """The HTTP functions that are served, in the order in which they are tried."""
        return self._routes

    @property
    def errors(self) -> dict[str, str]:
        """Functions that are indexed but not served or not run, and why."""
        return self._errors

    @property
    def indexing_error(self) -> IndexingError | None:
        """Why there are no functions, if indexing failed."""
        return self._indexing_error

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Load the app and listen; port 0 takes a free one.

        Raises:
            ProjectError: the folder is no Functions project.
            OSError: the port is taken.
        """
        self._settings = read_host_settings(self._root, os.environ)
        try:
            self._functions = load_app(self._root)
        except IndexingError as error:
            self._indexing_error = error
            logger.exception("The app could not be indexed: no functions are served")
        self._map_routes()
        self._take_timers()
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_route("*", "/{path:.*}", self._handle)
        # Compressed bodies are the function's business, and the query (tokens) stays out of every log.
        self._runner = web.AppRunner(
            application, access_log=None, auto_decompress=False, shutdown_timeout=self._drain_s
        )
        await self._runner.setup()
        self._listener = listen(host, port)
        await web.SockSite(self._runner, self._listener).start()
        self._url = f"http://{host}:{self._runner.addresses[0][1]}"
        self._timers.start()

    async def stop(self) -> None:
        """Stop listening, let requests and timers in progress end within the drain time, then cancel them."""
        runner, self._runner = self._runner, None
        if runner is not None and self._listener is not None:
            await asyncio.gather(close_server(runner, self._listener), self._timers.close(self._drain_s))
        self._invoker.close()

    def _map_routes(self) -> None:
        for function in self._functions:
            if not function.is_http:
                continue
            problem = self._problem(function)
            if problem is None:
                try:
                    template = parse_template(f"{self._settings.route_prefix}/{function.route}")
                    self._routes.append(Route(template, function))
                    continue
                except BadTemplateError as error:
                    problem = str(error)
            self._errors[function.name] = problem
            logger.error("The function %s is not served: %s", function.name, problem)

    def _take_timers(self) -> None:
        for function in self._functions:
            if not function.is_timer:
                continue
            try:
                self._timers.add(function)
            except BadScheduleError as error:
                self._errors[function.name] = str(error)
                logger.error("The function %s is not run: %s", function.name, error)  # noqa: TRY400 - says it all

    def _problem(self, function: Function) -> str | None:
        """Why the host would refuse the function, if it would."""
        if not _NAME.fullmatch(function.name):
            return f"{function.name!r} is not a valid function name"
        # Any route that begins with these letters is refused, `administration` too.
        if function.route.strip("/").lower().startswith(_RESERVED):
            return "the specified route conflicts with one or more built in routes"
        for other in (route.function for route in self._routes):
            same = other.route.strip("/").lower() == function.route.strip("/").lower()
            if same and (not other.methods or not function.methods or other.methods & function.methods):
                return f"the route conflicts with the route defined by function {other.name!r}"
        return None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if any(_is_no_utf8(value) for value in request.headers.values()):
            return web.Response(status=HTTPStatus.BAD_REQUEST)
        path = request.raw_path.partition("?")[0]
        if path.lower().startswith("/admin/"):
            return await self._admin(request, path.lower())
        for route in self._routes:
            values = route.template.match(path)
            if values is None or (route.function.methods and request.method not in route.function.methods):
                continue
            if not self._may_call(request, route.function.auth_level):
                return web.Response(status=HTTPStatus.UNAUTHORIZED)
            return await self._invoker.invoke(route.function, request, values)
        if path == "/":
            return web.Response(text="Your Functions app is up and running", content_type="text/html")
        return web.Response(status=HTTPStatus.NOT_FOUND)

    def _may_call(self, request: web.Request, level: str) -> bool:
        if self._keys is None or level == "anonymous":
            return True
        given = request.headers.get("x-functions-key", request.query.get("code", ""))
        accepted = [self._keys.master] if level == "admin" else [self._keys.master, self._keys.function]
        return any(hmac.compare_digest(given.encode(), key.encode()) for key in accepted)

    async def _admin(self, request: web.Request, path: str) -> web.Response:
        if not self._may_call(request, "admin"):
            return web.Response(status=HTTPStatus.UNAUTHORIZED)
        if request.method == "POST" and path.startswith(_RUN):
            return web.Response(status=await self._run_now(request, path.removeprefix(_RUN)))
        if request.method != "GET" or path not in ("/admin/functions", "/admin/host/status"):
            return web.Response(status=HTTPStatus.NOT_FOUND)
        if path == "/admin/functions":
            return web.json_response([self._describe(function) for function in self._functions])
        errors = [str(self._indexing_error)] if self._indexing_error else []
        errors += [f"The {name!r} function is in error: {problem}" for name, problem in self._errors.items()]
        return web.json_response({"state": "Running", "version": "4.0.0", "errors": errors})

    async def _run_now(self, request: web.Request, name: str) -> HTTPStatus:
        """Begin to run a timer function. Its input, which the real host demands, means nothing to a timer."""
        if request.content_type != "application/json":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        try:
            invocation = json.loads(await request.read())
        except ValueError:
            invocation = None
        if not isinstance(invocation, dict):
            return HTTPStatus.BAD_REQUEST
        return HTTPStatus.ACCEPTED if self._timers.run_now(name) else HTTPStatus.NOT_FOUND

    def _describe(self, function: Function) -> dict[str, object]:
        prefix = f"/{self._settings.route_prefix}" if self._settings.route_prefix else ""
        return {
            "name": function.name,
            "language": "python",
            "isDisabled": self._timers.is_disabled(function.name),
            "config": {"bindings": list(function.bindings)},
            "invoke_url_template": f"{self._url}{prefix}/{function.route}" if function.is_http else None,
        }


def _is_no_utf8(header: str) -> bool:
    """Whether the bytes of a header are no UTF-8, which Kestrel refuses; here they have arrived as surrogates."""
    return any("\ud800" <= character <= "\udfff" for character in header)
