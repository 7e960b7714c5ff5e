"""The IVR's edge: its own Event Grid endpoint, and the callbacks of its calls."""

import azure.functions as func

from functions.acs_events import consent, take_delivery
from functions.call_events import take_callback
from functions.http import problems
from functions.process import PROCESS

bp = func.Blueprint()

ROUTE = "mg-genagent-acs/v1/ivr-events"
BUDGET_S = 80.0
"""A step of a flow may ask an API for 60 s, and what follows it is asked of ACS. Should ACS send the callback again
meanwhile, it changes nothing."""


@bp.function_name("ivr_events_handshake")
@bp.route(route=ROUTE, methods=["OPTIONS"], auth_level=func.AuthLevel.ANONYMOUS)
@problems
async def ivr_events_handshake(req: func.HttpRequest) -> func.HttpResponse:
    """Answer the abuse protection of CloudEvents."""
    return await consent(req)


@bp.function_name("ivr_events")
@bp.route(route=ROUTE, methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@problems
async def ivr_events(req: func.HttpRequest) -> func.HttpResponse:
    """Take a delivery for the IVR."""
    gateway = await PROCESS.gateway()
    return await take_delivery(gateway, gateway.ivr_answerer, req)


@bp.function_name("ivr_call_events")
@bp.route(
    route="mg-genagent-acs/v1/ivr/{call_id:guid}/events",
    methods=["POST"],
    auth_level=func.AuthLevel.ANONYMOUS,
)
@problems
async def ivr_call_events(req: func.HttpRequest) -> func.HttpResponse:
    """Go on with a call as ACS tells of it. What proves the callback is the same as for an agent's call."""
    gateway = await PROCESS.gateway()
    return await take_callback(gateway, gateway.ivr.receive, req, budget_s=BUDGET_S)
