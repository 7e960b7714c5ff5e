"""Call Automation's callbacks."""

import asyncio
from http import HTTPStatus

import azure.functions as func

from functions.http import problem, problems, read_body
from functions.process import PROCESS
from shared.acs.callbacks import MAX_CALLBACK_BYTES
from shared.errors import TemporaryFault

bp = func.Blueprint()

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
    call_id = req.route_params["call_id"].lower()
    try:
        async with asyncio.timeout(BUDGET_S):
            proven = await gateway.callbacks.authorize(
                call_id, req.params.get("token"), req.headers.get("Authorization")
            )
            await gateway.callbacks.receive(proven, read_body(req, MAX_CALLBACK_BYTES))
    except TimeoutError:
        return problem(TemporaryFault("not done in time"), HTTPStatus.SERVICE_UNAVAILABLE)
    return func.HttpResponse(status_code=HTTPStatus.OK)
