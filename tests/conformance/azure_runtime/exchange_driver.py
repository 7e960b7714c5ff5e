"""Runs inside a deployed package's Python: what Microsoft's code makes of an app, its requests, and broken apps.

Usage: python -P -B exchange_driver.py <app folder> <placeholder folder> < questions.json

The questions are `settings`, `exchanges` (each a function's name, and a request with its body in hex, or a `timer`),
`apps` (sources of `function_app.py`) and `thread_counts` (settings). The answer on stdout has the bindings of every
function, an answer for each exchange (None where the invocation fails: the host's answer to that is an empty 500), for
each source None or a fault, and for each setting the number of threads or None.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

# What runs with -P has no folder of its own on the path, and the app's path must stay as Azure makes it.
sys.path.insert(0, str(Path(__file__).parent))
from worker_protocol import Protocol, invoke, invoke_timer, start

del sys.path[0]

from azure_functions_runtime import handle_event  # noqa: E402
from azure_functions_runtime.functions import Registry  # noqa: E402
from azure_functions_runtime.utils import threadpool  # noqa: E402


def cookie_of(cookie):
    """Show a cookie as the host gets it."""
    members = {
        name: getattr(member, "value", member)
        for name, member in vars(cookie).items()
        if member is not None
    }  # fmt: skip
    if "expires" in members:
        members["expires"] = members["expires"].seconds
    return members


async def ask(functions, exchange):
    """Send one request, or let a timer run."""
    if "timer" in exchange:
        response = await invoke_timer(functions[exchange["function"]], json.dumps(exchange["timer"]))
        return {"ran": response.result.status == Protocol.StatusResult.Success}
    exchange["body"] = bytes.fromhex(exchange["body"])
    response = await invoke(functions[exchange.pop("function")], **exchange)
    if response.result.status != Protocol.StatusResult.Success:
        return None
    returned = response.return_value
    if returned.WhichOneof("data") == "string":
        return {"text": returned.string}
    http = returned.http
    return {
        "status": http.status_code,
        "headers": http.headers,
        "cookies": [cookie_of(cookie) for cookie in http.cookies or ()],
        "body": http.body.bytes.hex(),
    }


def fault_of(source, folder):
    """Index another app, and return why it cannot be, if so."""
    (folder / "function_app.py").write_text(source)
    sys.path[-1] = str(folder)
    sys.modules.pop("function_app", None)
    sys.path_importer_cache.clear()
    handle_event._functions = Registry()
    try:
        handle_event.load_function_metadata(str(folder), "exchange_driver")
    except Exception as error:  # noqa: BLE001 - whatever an app does at its import
        return f"{type(error).__name__}: {error}"
    return None


def threads_of(setting):
    """Return the threads of sync handlers under a setting."""
    os.environ["PYTHON_THREADPOOL_THREAD_COUNT"] = setting
    return threadpool._get_max_workers()


async def main(app, placeholder):
    """Answer every question."""
    questions = json.load(sys.stdin)
    functions = await start(app, placeholder, questions["settings"])
    answers = {
        "bindings": {
            name: [json.loads(text) for text in function.raw_bindings] for name, function in functions.items()
        },
        "answers": [await ask(functions, exchange) for exchange in questions["exchanges"]],
    }
    faults = []
    for number, source in enumerate(questions["apps"]):
        folder = Path(placeholder) / f"app-{number}"
        folder.mkdir()
        faults.append(fault_of(source, folder))
    return answers | {
        "faults": faults,
        "threads": [threads_of(count) for count in questions["thread_counts"]],
    }


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    print(json.dumps(loop.run_until_complete(main(*sys.argv[1:]))))
    # As the host ends a worker: at once.
    sys.stdout.flush()
    os._exit(0)
