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

# What runs with -P has no folder of its own on the path, and the app's path must stay as Azure makes it.
sys.path.insert(0, str(Path(__file__).parent))
from worker_protocol import check, invoke, start

del sys.path[0]

OUTGOING = []


def refuse_network(event, arguments):
    """No Azure is reachable: whatever tries to reach it fails, and is told of."""
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        OUTGOING.append(f"{event} {arguments[1:] if event == 'socket.connect' else arguments[:2]}")
        raise OSError("the network is unreachable")


async def get(function, path):
    """Ask a function, and return status and body."""
    response = check(await invoke(function, method="GET", url=f"https://app.example{path}"))
    answer = response.return_value.http
    return {"status": int(answer.status_code), "headers": answer.headers, "body": answer.body.bytes.decode()}


def taken_names(app):
    """Tell which top-level names of the app something else on the path has too, and would win."""
    elsewhere = [entry for entry in sys.path if entry != app]
    ours = [entry.stem for entry in Path(app).iterdir() if entry.is_dir() or entry.suffix == ".py"]
    return sorted(name for name in ours if importlib.machinery.PathFinder.find_spec(name, elsewhere))


async def main(app, placeholder):
    """Index, load and call the app; return what was seen."""
    by_name = await start(app, placeholder, settings={})
    return {
        "path_ends_with_app": sys.path[-1] == app and sys.path.count(app) == 1,
        "folder": str(Path.cwd()),
        "bindings": {name: [json.loads(text) for text in f.raw_bindings] for name, f in by_name.items()},
        "modules": {
            name: getattr(sys.modules.get(name), "__file__", None) for name in ("shared", "functions")
        },
        "taken_names": taken_names(app),
        "healthz": await get(by_name["healthz"], "/healthz"),
        "readyz": await get(by_name["readyz"], "/readyz"),
        "outgoing": OUTGOING,
    }


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    sys.addaudithook(refuse_network)
    print(json.dumps(loop.run_until_complete(main(*sys.argv[1:]))))
    # As the host ends a worker: at once.
    sys.stdout.flush()
    os._exit(0)
