"""Call Automation's callbacks."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeAlias

import azure.functions as func

from functions.http import problem, problems, read_body
from functions.process import PROCESS
from shared.acs.callbacks import MAX_CALLBACK_BYTES
from shared.calls.gateway import Gateway
from shared.errors import TemporaryFault
from shared.security.tokens import TokenClaims

bp = func.Blueprint()

Receive: TypeAlias = Callable[[TokenClaims, bytes], Awaitable[None]]
"""Takes a callback's body, with what our token in it proves."""

BUDGET_S = 15.0
"""Nothing says how long ACS waits for a callback to be taken; it should not be kept from sending it again. A token
of a key that we do not know yet may wait 10 s for the vault to be read."""


@bp.function_name("call_events")
@bp.route(
    route="mg-genagent-acs/v1/calls/{call_id:guid}/events",
    methods=["POST"],
    auth_level=func.AuthLevel.ANONYMOUS,
)
@problems
async def call_events(req: func.HttpRequest) -> func.HttpResponse:
    """Keep what ACS says of a call. The token in the query proves which call; ACS's own, that it is ACS."""
    gateway = await PROCESS.gateway()
    return await take_callback(gateway, gateway.callbacks.receive, req, budget_s=BUDGET_S)


async def take_callback(
    gateway: Gateway, receive: Receive, req: func.HttpRequest, *, budget_s: float
) -> func.HttpResponse:
    """Check what proves a callback, and have it taken; 503 where that is not done in time."""
    call_id = req.route_params["call_id"].lower()
    try:
        async with asyncio.timeout(budget_s):
            proven = await gateway.callbacks.authorize(
                call_id, req.params.get("token"), req.headers.get("Authorization")
            )
            await receive(proven, read_body(req, MAX_CALLBACK_BYTES))
    except TimeoutError:
        return problem(TemporaryFault("not done in time"), HTTPStatus.SERVICE_UNAVAILABLE)
    return func.HttpResponse(status_code=HTTPStatus.OK)
