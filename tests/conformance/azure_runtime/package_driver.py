"""Runs inside a deployed package's Python, and tells what Microsoft's code makes of the app: JSON on stdout.

Usage: python -P -B package_driver.py <app folder> <placeholder folder>

It plays the host of a Consumption-like plan: the worker starts without the app (placeholder), then its environment
is replaced by the app's (here: no settings at all), the app folder is appended to `sys.path`, and the app is indexed.
Nothing of this project is imported by the driver itself.
"""

import asyncio
import importlib.machinery
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import azure_functions_runtime as runtime

OUTGOING = []


def refuse_network(event, arguments):
    """No Azure is reachable: whatever tries to reach it fails, and is told of."""
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        OUTGOING.append(f"{event} {arguments[1:] if event == 'socket.connect' else arguments[:2]}")
        raise OSError("the network is unreachable")


class Message(SimpleNamespace):
    """One message of the worker's protocol, with the members that the sender gave it."""

    def WhichOneof(self, _):  # noqa: N802 - protobuf's name
        """The one member that is set, as protobuf tells it."""
        return next((name for name, value in vars(self).items() if value is not None), None)


class Protocol:
    """Stands in for the generated protobuf module: any message can be made, the enums have their values."""

    class StatusResult(Message):
        Failure, Success, Cancelled = 0, 1, 2

    class BindingInfo(Message):
        inout, out = 2, 1
        undefined = 0

    def __getattr__(self, name):
        return Message


def request(**content):
    """Wrap a message as the worker receives it."""
    return SimpleNamespace(
        request=SimpleNamespace(**content), properties={"host": "127.0.0.1", "protos": Protocol()}
    )


def check(response):
    """Fail with the worker's own words."""
    result = response.result
    if result.status != Protocol.StatusResult.Success:
        raise SystemExit(f"{result.exception.message}\n{result.exception.stack_trace}")
    return response


async def start(app, placeholder):
    """Start as a placeholder, then become the app."""
    init = Message(capabilities={}, function_app_directory=placeholder)
    check(await runtime.worker_init_request(request(worker_init_request=init)))
    reload = Message(environment_variables={}, function_app_directory=app)
    check(
        await runtime.function_environment_reload_request(request(function_environment_reload_request=reload))
    )
    return (await runtime.functions_metadata_request(request())).function_metadata_results or []


async def invoke(function, method, path):
    """Send one HTTP request to a function, and return status and body."""
    empty = Message(bytes=b"")
    http = Message(
        method=method, url=f"https://app.example{path}", headers={}, params={}, query={}, body=empty
    )
    binding = Message(data=Message(http=http))
    binding.name = next(iter(function.bindings))
    binding.WhichOneof = lambda _: "data"
    invocation = Message(
        invocation_id="00000000-0000-0000-0000-000000000001",
        function_id=function.function_id,
        input_data=[binding],
        trigger_metadata={},
        trace_context=Message(trace_parent="", trace_state="", attributes={}),
        retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
    )
    response = check(await runtime.invocation_request(request(invocation_request=invocation)))
    answer = response.return_value.http
    return {"status": int(answer.status_code), "headers": answer.headers, "body": answer.body.bytes.decode()}


def taken_names(app):
    """Tell which top-level names of the app something else on the path has too, and would win."""
    elsewhere = [entry for entry in sys.path if entry != app]
    ours = [entry.stem for entry in Path(app).iterdir() if entry.is_dir() or entry.suffix == ".py"]
    return sorted(name for name in ours if importlib.machinery.PathFinder.find_spec(name, elsewhere))


async def main(app, placeholder):
    """Index, load and call the app; return what was seen."""
    runtime.start_threadpool_executor()
    functions = await start(app, placeholder)
    for function in functions:
        load = Message(function_id=function.function_id)
        check(await runtime.function_load_request(request(function_load_request=load)))
    by_name = {function.name: function for function in functions}
    return {
        "path_ends_with_app": sys.path[-1] == app and sys.path.count(app) == 1,
        "folder": str(Path.cwd()),
        "bindings": {name: [json.loads(text) for text in f.raw_bindings] for name, f in by_name.items()},
        "modules": {
            name: getattr(sys.modules.get(name), "__file__", None) for name in ("shared", "functions")
        },
        "taken_names": taken_names(app),
        "healthz": await invoke(by_name["healthz"], "GET", "/healthz"),
        "readyz": await invoke(by_name["readyz"], "GET", "/readyz"),
        "outgoing": OUTGOING,
    }


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    sys.addaudithook(refuse_network)
    print(json.dumps(loop.run_until_complete(main(*sys.argv[1:]))))
    # As the host ends a worker: at once.
    sys.stdout.flush()
    os._exit(0)
