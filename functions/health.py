"""Health of the Functions app."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import azure.functions as func

from functions.http import json_response, problems
from functions.process import PROCESS
from shared.calls.gateway import Gateway
from shared.errors import GatewayError, NotConfigured
from shared.refresh import Refresher
from shared.release import release

logger = logging.getLogger(__name__)

bp = func.Blueprint()

CHECK_BUDGET_S = 3.0
OK = "ok"
KEPT = "kept from before: "
"""Begins the state of a dependency that is away, but whose last word is enough to go on."""


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
        states = {"configuration": OK, **await _states(gateway)}
    ready = all(state == OK or state.startswith(KEPT) for state in states.values())
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    document = {"ready": ready, "release": await asyncio.to_thread(release), "dependencies": states}
    return json_response(document, status)


async def _states(gateway: Gateway) -> dict[str, str]:
    connections = gateway.connections
    media_keys, callback_keys = (keys.refresher for keys in gateway.keyrings)
    checks = {
        "storage": _answers(lambda: connections.pods.since(time.time())),
        "profiles": _kept(gateway.profiles.refresher),
        "media_keys": _kept(media_keys),
        "callback_keys": _kept(callback_keys),
    }
    if connections.acs_tokens is not None:
        checks["acs_public_keys"] = _kept(connections.acs_tokens.refresher)
    states = await asyncio.gather(*checks.values())
    return dict(zip(checks, states, strict=True))


async def _kept(refresher: Refresher) -> str:
    """Return the state of what is kept: read now, kept from before while it cannot be read, or missing."""
    state = await _answers(refresher.ensure)
    return f"{KEPT}{refresher.fault}" if state == OK and refresher.fault is not None else state


async def _answers(check: Callable[[], Awaitable[object]]) -> str:
    try:
        async with asyncio.timeout(CHECK_BUDGET_S):
            await check()
    except GatewayError as error:
        return str(error)
    except TimeoutError:
        return "did not answer in time"
    except Exception as error:
        logger.exception("a check of a dependency failed")
        return f"failed: {type(error).__name__}"
    return OK
