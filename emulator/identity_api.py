"""Making identities: the one operation of ACS's identity API that is emulated."""

import uuid
from datetime import UTC, datetime

from aiohttp import web

from emulator.access_key import SignatureRefused, SignedRequest, check_signature
from emulator.call_automation.dispatch import api_version
from emulator.request_body import BodyRefused, read_body
from emulator.settings import EmulatorSettings
from emulator.wire.errors import AcsError, bad_argument, not_emulated, signature_refused, token_refused
from emulator.wire.json_text import NotJson, decode_json

PATH = "/identities"
_BEARER = "Bearer "


class IdentityApi:
    """Gives each request an identity of the resource; it is called by nobody unless the settings name it.

    Args:
        settings: say who may ask, and of which resource the identities are.
    """

    def __init__(self, settings: EmulatorSettings) -> None:
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        """Its one route."""
        return [web.post(PATH, self._create)]

    async def _create(self, request: web.Request) -> web.Response:
        try:
            body = await read_body(request)
            self._authenticate(request, body)
            api_version(request)
            _check(body)
        except BodyRefused as refusal:
            return _refusal(AcsError(refusal.status, refusal.code, str(refusal)))
        except AcsError as error:
            return _refusal(error)
        user = str(uuid.uuid4())
        raw_id = f"8:acs:{self._settings.resource_id}_{user}"
        return web.json_response({"identity": {"id": raw_id}}, status=201)

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


def _check(body: bytes) -> None:
    try:
        sent = decode_json(body) if body else {}
    except NotJson as error:
        raise bad_argument(f"The request's body is not valid: {error}.") from None
    if not isinstance(sent, dict):
        raise bad_argument("The request's body is no JSON object.")
    if sent.get("createTokenWithScopes"):
        raise not_emulated("This emulator gives identities no tokens.")


def _refusal(error: AcsError) -> web.Response:
    return web.Response(status=error.status, body=error.body(), content_type="application/json")
