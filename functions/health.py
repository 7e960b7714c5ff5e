"""Health of the Functions app."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import azure.functions as func

from functions.http import json_response, problems
from functions.process import PROCESS
from shared.calls.gateway import Gateway
from shared.errors import GatewayError, NotConfigured

bp = func.Blueprint()

CHECK_BUDGET_S = 3.0


@bp.function_name("healthz")
@bp.route(route="healthz", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def healthz(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the worker names the parameter
    """Say that the process serves; nothing is asked of anybody."""
    return json_response({"status": "ok"})


@bp.function_name("readyz")
@bp.route(route="readyz", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@problems
async def readyz(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the worker names the parameter
    """Name each dependency and its state; 503 while one that a call needs is away."""
    try:
        gateway = await PROCESS.gateway()
    except NotConfigured:
        states = {"configuration": "; ".join(PROCESS.faults)}
    else:
        states = {"configuration": "ok", **await _states(gateway)}
    ready = all(state == "ok" for state in states.values())
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    return json_response({"ready": ready, "dependencies": states}, status)


async def _states(gateway: Gateway) -> dict[str, str]:
    connections = gateway.connections
    checks: dict[str, Callable[[], Awaitable[object]]] = {
        "storage": connections.pods.all,
        "key_vault": lambda: asyncio.gather(*(keys.refresher.ensure() for keys in gateway.keyrings)),
    }
    if connections.acs_tokens is not None:
        checks["acs_public_keys"] = connections.acs_tokens.refresher.ensure
    states = await asyncio.gather(*(_state(check) for check in checks.values()))
    return dict(zip(checks, states, strict=True))


async def _state(check: Callable[[], Awaitable[object]]) -> str:
    try:
        async with asyncio.timeout(CHECK_BUDGET_S):
            await check()
    except GatewayError as error:
        return str(error)
    except TimeoutError:
        return "did not answer in time"
    return "ok"
