"""Call Automation's callbacks."""

from http import HTTPStatus

import azure.functions as func

from functions.http import problems, read_body
from functions.process import PROCESS
from shared.acs.callbacks import MAX_CALLBACK_BYTES

bp = func.Blueprint()


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
    await gateway.callbacks.authorize(call_id, req.params.get("token"), req.headers.get("Authorization"))
    await gateway.callbacks.receive(call_id, read_body(req, MAX_CALLBACK_BYTES))
    return func.HttpResponse(status_code=HTTPStatus.OK)
