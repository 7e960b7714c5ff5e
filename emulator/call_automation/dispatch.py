"""What every request goes through before its operation is performed: authentication, version, replay, faults."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from emulator.access_key import SignatureRefused, SignedRequest, check_signature
from emulator.call_automation.operations import Operation
from emulator.call_automation.repeatability import Answer, Repeatability
from emulator.faults import Faults
from emulator.request_body import BodyRefused, read_body
from emulator.settings import EmulatorSettings
from emulator.wire.errors import AcsError, bad_argument, signature_refused, token_refused

_API_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
_BEARER: Final = "Bearer "

Perform = Callable[[web.Request, bytes], Awaitable[Answer]]
"""Performs an operation on its request and that request's body; raises AcsError to refuse."""


class Dispatcher:
    """Turns operations into routes.

    Args:
        settings: of the emulator.
        faults: failures on purpose, by operation name.
    """

    def __init__(self, settings: EmulatorSettings, faults: Faults) -> None:
        self._settings = settings
        self._faults = faults
        self._repeatability = Repeatability()

    def route(self, operation: Operation, perform: Perform) -> web.RouteDef:
        """The route of one operation; whatever it refuses is answered in ACS's error shape."""

        async def handle(request: web.Request) -> web.Response:
            try:
                answer = await self._answer(operation, perform, request)
            except AcsError as error:
                answer = _refusal(error)
            if not answer.body:
                return web.Response(status=answer.status)
            return web.Response(status=answer.status, body=answer.body, content_type="application/json")

        return web.route(operation.method, operation.path, handle)

    async def _answer(self, operation: Operation, perform: Perform, request: web.Request) -> Answer:
        try:
            body = await read_body(request)
        except BodyRefused as refusal:
            raise AcsError(refusal.status, refusal.code, str(refusal)) from None
        self._authenticate(request, body)
        api_version(request)

        async def performed() -> Answer:
            if (fault := self._faults.take(operation.name)) is not None:
                return _refusal(AcsError(fault.status, fault.code, fault.message))
            try:
                return await perform(request, body)
            except AcsError as error:
                return _refusal(error)

        request_id = request.headers.get("Repeatability-Request-ID")
        if request_id and operation.repeatable and self._settings.repeatability:
            return await self._repeatability.first_answer(request.path, request_id, performed)
        return await performed()

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
