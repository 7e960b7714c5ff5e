"""What every request goes through before its operation is performed: authentication, version, replay, faults."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from emulator.access_key import SignatureRefused, SignedRequest, check_signature
from emulator.call import Call
from emulator.call_automation.operations import Operation
from emulator.call_automation.repeatability import Answer, Repeatability
from emulator.calls import Calls
from emulator.faults.gate import Gate
from emulator.faults.registry import Occasion
from emulator.faults.rules import Status
from emulator.request_body import BodyRefused, read_body
from emulator.settings import EmulatorSettings
from emulator.wire.errors import AcsError, bad_argument, signature_refused, token_refused
from emulator.wire.json_text import NotJson, decode_json

_API_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
_BEARER: Final = "Bearer "

INJECTED_CODE: Final = "InternalServerError"
"""Code of an injected error that names none."""

Perform = Callable[[web.Request, bytes], Awaitable[Answer]]
"""Performs an operation on its request and that request's body; raises AcsError to refuse."""


class Dispatcher:
    """Turns operations into routes.

    Args:
        settings: of the emulator.
        calls: to know of which call a request is.
        gate: where requests are remembered, and struck by faults.
    """

    def __init__(self, settings: EmulatorSettings, calls: Calls, gate: Gate) -> None:
        self._settings = settings
        self._calls = calls
        self._gate = gate
        self._repeatability = Repeatability()

    def route(self, operation: Operation, perform: Perform) -> web.RouteDef:
        """The route of one operation; whatever it refuses is answered in ACS's error shape."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                body = await self._admit(request)
            except AcsError as error:
                return _response(_refusal(error))

            async def perform_once() -> web.Response:
                return _response(await self._answer(operation, perform, request, body))

            return await self._gate.answer(
                request, self._occasion(operation, request, body), perform_once, _fault
            )

        return web.route(operation.method, operation.path, handle)

    async def _admit(self, request: web.Request) -> bytes:
        """The body of a request that may pass."""
        try:
            body = await read_body(request)
        except BodyRefused as refusal:
            raise AcsError(refusal.status, refusal.code, str(refusal)) from None
        self._authenticate(request, body)
        api_version(request)
        return body

    async def _answer(
        self, operation: Operation, perform: Perform, request: web.Request, body: bytes
    ) -> Answer:
        async def performed() -> Answer:
            try:
                return await perform(request, body)
            except AcsError as error:
                return _refusal(error)

        request_id = request.headers.get("Repeatability-Request-ID")
        if request_id and operation.repeatable and self._settings.repeatability:
            return await self._repeatability.first_answer(request.path, request_id, performed)
        return await performed()

    def _occasion(self, operation: Operation, request: web.Request, body: bytes) -> Occasion:
        call = self._call_of(request, body)
        about = f"{request.method} {request.path}"
        if call is None:
            return Occasion(operation.name, thing=operation.name, about=about)
        return Occasion(operation.name, names=call.names, thing=f"{operation.name} {call.thing}", about=about)

    def _call_of(self, request: web.Request, body: bytes) -> Call | None:
        connection = request.match_info.get("callConnectionId")
        if connection is not None:
            return self._calls.known_by(call_connection_id=connection)
        try:
            sent = decode_json(body)
        except NotJson:
            return None
        context = sent.get("incomingCallContext") if isinstance(sent, dict) else None
        return self._calls.known_by(incoming_call_context=context) if isinstance(context, str) else None

    def _authenticate(self, request: web.Request, body: bytes) -> None:
        authorization = request.headers.get("Authorization", "")
        if authorization.startswith(_BEARER) and self._settings.entra_token is not None:
            if authorization.removeprefix(_BEARER) != self._settings.entra_token:
                raise token_refused("The bearer token is not valid.")
            return
        signed = SignedRequest(request.method, request.raw_path, request.headers, body)
        try:
            check_signature(signed, access_key=self._settings.access_key_bytes, now=datetime.now(UTC))
        except SignatureRefused as refusal:
            raise signature_refused(str(refusal)) from None


def api_version(request: web.Request) -> str:
    """The request's api-version.

    Raises:
        AcsError: it is missing or no version.
    """
    version = request.query.get("api-version", "")
    if not _API_VERSION.fullmatch(version):
        raise bad_argument("The api-version query parameter is missing or no version.", "api-version")
    return version


def _refusal(error: AcsError) -> Answer:
    return Answer(error.status, error.body())


def _response(answer: Answer) -> web.Response:
    if not answer.body:
        return web.Response(status=answer.status)
    return web.Response(status=answer.status, body=answer.body, content_type="application/json")


def _fault(fault: Status) -> web.Response:
    error = AcsError(fault.status, fault.code or INJECTED_CODE, fault.message)
    return web.Response(
        status=error.status, body=error.body(), content_type="application/json", headers=fault.headers()
    )
