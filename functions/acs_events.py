"""Event Grid's deliveries: the two handshakes, and incoming calls.

The path is that of the service this one stands in for, so that an existing subscription only changes host.
"""

import asyncio
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import azure.functions as func

from functions.http import json_response, problem, problems, read_body
from functions.process import PROCESS
from shared.acs.event_grid import (
    INCOMING_CALL,
    MAX_DELIVERY_BYTES,
    MAX_VALIDATION_BYTES,
    SUBSCRIPTION_VALIDATION,
    GridEvent,
    parse_delivery,
    read_validation_code,
)
from shared.acs.shapes import MalformedMessage
from shared.calls.delivering import Delivered
from shared.calls.gateway import Gateway
from shared.errors import BadRequest, GatewayError, TemporaryFault, TooManyAttempts, Unauthorized, meaning
from shared.security.accounts import Account

logger = logging.getLogger(__name__)

bp = func.Blueprint()

ROUTE = "mg-genagent-acs/v1/acs-events"
ALLOWED_RATE = "*"
"""Deliveries a minute that the handshake of CloudEvents asks to be named: as many as there are calls."""

EVENTS_AT_ONCE = 16
"""Of one delivery: a batch leaves the connections to storage to other deliveries too."""
RETRY = HTTPStatus.INTERNAL_SERVER_ERROR
"""For every temporary fault: Event Grid tries again after 10 s. After a 503 it waits 30 s, and the ringing is over."""


@bp.function_name("acs_events_handshake")
@bp.route(route=ROUTE, methods=["OPTIONS"], auth_level=func.AuthLevel.ANONYMOUS)
@problems
async def acs_events_handshake(req: func.HttpRequest) -> func.HttpResponse:
    """Answer the abuse protection of CloudEvents."""
    return await consent(req)


async def consent(req: func.HttpRequest) -> func.HttpResponse:
    """Consent by headers, for Event Grid's own origins only."""
    gateway = await PROCESS.gateway()
    origin = req.headers.get("WebHook-Request-Origin", "")
    if not origin or origin.lower() not in gateway.settings.event_grid_origins:
        return func.HttpResponse(status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})
    headers = {"Allow": "POST", "WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": ALLOWED_RATE}
    return func.HttpResponse(status_code=HTTPStatus.OK, headers=headers)


@bp.function_name("acs_events")
@bp.route(route=ROUTE, methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@problems
async def acs_events(req: func.HttpRequest) -> func.HttpResponse:
    """Take a delivery for the agents."""
    gateway = await PROCESS.gateway()
    return await take_delivery(gateway, gateway.answerer, req)


class Answerer(Protocol):
    """Who answers calls."""

    async def incoming(self, account: Account, event: GridEvent, *, deadline: float) -> Delivered:
        """Answer the call of an IncomingCall event. Raises `MalformedMessage` and `TemporaryFault`."""
        ...


async def take_delivery(gateway: Gateway, answerer: Answerer, req: func.HttpRequest) -> func.HttpResponse:
    """Take a delivery: every event of it has its own outcome, and the answer is the worst of them."""
    try:
        return await _take(gateway, answerer, req)
    except TimeoutError:
        refusal: GatewayError = TemporaryFault("not done in time")
    except GatewayError as error:
        refusal = error
    what = meaning(refusal)
    status = RETRY if what.retry else what.status
    # Nobody knows how many events it had: it counts as one.
    gateway.metrics.events.add(1, {"outcome": what.metric, "status": int(status)})
    # Refused credentials are logged where attempts are counted.
    if not isinstance(refusal, (Unauthorized, TooManyAttempts)):
        logger.warning("a delivery was not taken", extra={"reason": what.metric, "fault": str(refusal)})
    return problem(refusal, status)


async def _take(gateway: Gateway, answerer: Answerer, req: func.HttpRequest) -> func.HttpResponse:
    deadline = asyncio.get_running_loop().time() + gateway.settings.event_budget_s
    async with asyncio.timeout_at(deadline):
        account = await gateway.authenticator.authenticate(req.headers)
    if account is None:
        return _validation_only(gateway, req)
    events = _parse(req, MAX_DELIVERY_BYTES)
    if (validation := _validation(events)) is not None:
        return _validated(validation)
    turns = asyncio.Semaphore(EVENTS_AT_ONCE)
    outcomes = await asyncio.gather(
        *(_deliver(answerer, account, event, deadline, turns) for event in events)
    )
    status = max((outcome.status for outcome in outcomes), key=_severity)
    for outcome in outcomes:
        gateway.metrics.events.add(1, {"outcome": outcome.label, "status": int(status)})
    each = [
        {"id": getattr(event, "event_id", None), "outcome": outcome.detail or outcome.label}
        for event, outcome in zip(events, outcomes, strict=True)
    ]
    if status < HTTPStatus.BAD_REQUEST:
        return json_response(each)
    fault = BadRequest(each[0]["outcome"]) if len(each) == 1 else BadRequest("see the events")
    return problem(fault, status, events=each)


def _validation_only(gateway: Gateway, req: func.HttpRequest) -> func.HttpResponse:
    """Without credentials only the validation of a subscription is answered: it has no effect here."""
    if not gateway.settings.validation_needs_credentials:
        try:
            events = _parse(req, MAX_VALIDATION_BYTES)
        except GatewayError:
            events = ()
        if (validation := _validation(events)) is not None:
            return _validated(validation)
    raise gateway.authenticator.missing()


def _validation(events: tuple[GridEvent | MalformedMessage, ...]) -> GridEvent | None:
    """Return the validation that a delivery is; one with other events in it is none, not to lose them."""
    match events:
        case (GridEvent(type=kind) as event,) if kind == SUBSCRIPTION_VALIDATION:
            return event
    return None


def _validated(event: GridEvent) -> func.HttpResponse:
    try:
        return json_response({"validationResponse": read_validation_code(event)})
    except MalformedMessage as fault:
        raise BadRequest(str(fault)) from None


def _parse(req: func.HttpRequest, limit: int) -> tuple[GridEvent | MalformedMessage, ...]:
    try:
        return parse_delivery(read_body(req, limit))
    except MalformedMessage as fault:
        raise BadRequest(str(fault)) from None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one event: the status that it alone would get, its label in metrics, and what is wrong."""

    status: int
    label: str
    detail: str = ""


async def _deliver(
    answerer: Answerer,
    account: Account,
    event: GridEvent | MalformedMessage,
    deadline: float,
    turns: asyncio.Semaphore,
) -> _Outcome:
    """Take one event until `deadline` (loop's time); other types than IncomingCall are acknowledged and ignored."""
    if isinstance(event, MalformedMessage):
        return _unreadable(event)
    if event.type != INCOMING_CALL:
        return _Outcome(HTTPStatus.OK, "ignored")
    try:
        async with asyncio.timeout_at(deadline), turns:
            delivered = await answerer.incoming(account, event, deadline=deadline)
            return _Outcome(HTTPStatus.OK, delivered.value)
    except MalformedMessage as fault:
        return _unreadable(fault)
    except TimeoutError:
        logger.warning("a call could not be answered in time")
        return _Outcome(RETRY, "timeout")
    except GatewayError as error:
        logger.warning(
            "a call could not be answered yet", extra={"reason": meaning(error).metric, "fault": str(error)}
        )
        return _Outcome(RETRY, meaning(error).metric)
    except Exception as error:  # a fault of ours with one event must not leave the others half done
        logger.exception("an event failed")
        return _Outcome(RETRY, meaning(error).metric)


def _unreadable(fault: MalformedMessage) -> _Outcome:
    logger.warning("an event cannot be read", extra={"fault": str(fault)})
    return _Outcome(HTTPStatus.BAD_REQUEST, "malformed", str(fault))


def _severity(status: int) -> int:
    """Order statuses: what is worth a retry goes before what is not, for a 400 would end that retry."""
    return status // 100
