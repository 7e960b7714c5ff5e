"""Runs a function, for a request or when its timer is due: async handlers on the loop, sync ones in threads."""

import asyncio
import json
import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from aiohttp import web
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequestConverter

from emulator.functions_host.app import Function
from emulator.functions_host.context import Context, new_trace_context
from emulator.functions_host.messages import BadReturnError, to_function_request, to_http_response

_THREADS_SETTING = "PYTHON_THREADPOOL_THREAD_COUNT"

logger = logging.getLogger(__name__)


def thread_count(setting: str | None) -> int | None:
    """Return how many threads sync handlers share; None for the executor's own default, min(32, CPUs + 4).

    As in the worker, a setting that is no number of threads counts as none.
    """
    try:
        count = int(setting or "")
    except ValueError:
        return None
    return count if 1 <= count <= sys.maxsize else None


class Invoker:
    """Runs functions; owns the threads of the sync ones."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(thread_count(os.environ.get(_THREADS_SETTING)), "function")
        self._thread_local = threading.local()

    def close(self) -> None:
        """Let the threads end; one that is busy is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def invoke(
        self, function: Function, request: web.Request, route_values: Mapping[str, str]
    ) -> web.Response:
        """Answer the request with the function; an error in it becomes an empty 500 and a logged trace."""
        invocation_id = str(uuid.uuid4())
        function_request = await to_function_request(request, route_values)
        arguments: dict[str, object] = {function.trigger_parameter: function_request}
        if function.wants_context:
            traces = request.headers.get("traceparent"), request.headers.get("tracestate")
            arguments["context"] = self._context(function, invocation_id, *traces)
        started = time.perf_counter()
        try:
            response = to_http_response(await self._call(function, invocation_id, arguments))
        except Exception:
            logger.exception("Executed function %s (Failed, Id=%s)", function.name, invocation_id)
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        took_ms = (time.perf_counter() - started) * 1000
        logger.info(
            "Executed function %s (Succeeded, Id=%s, Status=%d, Duration=%.0fms)",
            function.name, invocation_id, response.status, took_ms,
        )  # fmt: skip
        return response

    async def invoke_timer(self, function: Function, info: Mapping[str, object]) -> None:
        """Run a timer function; what it raises is logged. One that returns something fails, as in the worker.

        Args:
            function: has a timer.
            info: what the host tells of the run, as its TimerInfo is written in JSON.
        """
        invocation_id = str(uuid.uuid4())
        timer = TimerRequestConverter.decode(Datum(json.dumps(info), "json"), trigger_metadata=None)
        arguments: dict[str, object] = {function.trigger_parameter: timer}
        if function.wants_context:
            arguments["context"] = self._context(function, invocation_id, None, None)
        try:
            _expect_nothing(await self._call(function, invocation_id, arguments))
        except Exception:
            logger.exception("Executed function %s (Failed, Id=%s)", function.name, invocation_id)
        else:
            logger.info("Executed function %s (Succeeded, Id=%s)", function.name, invocation_id)

    async def _call(self, function: Function, invocation_id: str, arguments: dict[str, object]) -> object:
        if function.is_async:
            self._thread_local.invocation_id = invocation_id
            return await function.handler(**arguments)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, self._call_in_thread, function, invocation_id, arguments
        )

    def _call_in_thread(self, function: Function, invocation_id: str, arguments: dict[str, object]) -> object:
        self._thread_local.invocation_id = invocation_id
        try:
            return function.handler(**arguments)
        finally:
            self._thread_local.invocation_id = None

    def _context(
        self, function: Function, invocation_id: str, traceparent: str | None, tracestate: str | None
    ) -> Context:
        trace = new_trace_context(traceparent, tracestate)
        return Context(invocation_id, function.name, function.folder, trace, self._thread_local)


def _expect_nothing(returned: object) -> None:
    if returned is not None:
        raise BadReturnError("a function without a $return binding returned something")
