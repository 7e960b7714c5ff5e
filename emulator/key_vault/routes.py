"""The HTTP side of the emulated Key Vault."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from emulator.faults.gate import Gate
from emulator.faults.registry import Occasion
from emulator.faults.rules import Status
from emulator.key_vault.store import (
    RECOVERABLE_DAYS,
    RECOVERY_LEVEL,
    DeletedSecret,
    SecretStore,
    SecretVersion,
    VaultError,
)
from emulator.request_body import BodyRefused, read_body
from emulator.wire.json_text import NotJson, decode_json, without_nulls

TENANT_ID: Final = "72f988bf-0000-0000-0000-2d7cd011db47"
"""Tenant that the challenge names; made up."""

CHALLENGE: Final = f'Bearer authorization="https://login.microsoftonline.com/{TENANT_ID}", resource="https://vault.azure.net"'

INJECTED_CODE: Final = "InternalServerError"
"""Code of an injected error that names none."""

_BEARER: Final = "Bearer "
_NAME: Final = re.compile(r"[0-9A-Za-z-]{1,127}")


class SentAttributes(msgspec.Struct, frozen=True):
    """Attributes that a client sets."""

    enabled: bool | None = None
    nbf: int | None = None
    exp: int | None = None


class SentSecret(msgspec.Struct, frozen=True, rename="camel"):
    """Body of setting a secret, and of changing its properties (then without a value)."""

    value: str | None = None
    content_type: str | None = None
    tags: dict[str, str] | None = None
    attributes: SentAttributes = SentAttributes()

    def changes(self) -> dict[str, Any]:
        """What is given, as fields of SecretVersion."""
        given = {
            "content_type": self.content_type,
            "tags": self.tags,
            "enabled": self.attributes.enabled,
            "not_before": self.attributes.nbf,
            "expires": self.attributes.exp,
        }
        return {name: value for name, value in given.items() if value is not None}


class KeyVaultApi:
    """Routes over a store of secrets.

    Args:
        store: the vault's content.
        gate: where requests are remembered, and struck by faults.
        token: the only bearer token accepted; any when None.
    """

    def __init__(self, store: SecretStore, gate: Gate, *, token: str | None) -> None:
        self._store = store
        self._gate = gate
        self._token = token

    def routes(self) -> list[web.RouteDef]:
        """All routes; the real client asks for the latest version with a trailing slash."""
        secret, version = "/secrets/{name}", "/secrets/{name}/{version:[^/]*}"
        return [
            self._route("PUT", secret, "setSecret", self._set),
            self._route("GET", "/secrets", "listSecrets", self._list),
            self._route("GET", secret + "/versions", "listSecretVersions", self._list_versions),
            self._route("GET", secret, "getSecret", self._get),
            self._route("GET", version, "getSecret", self._get),
            self._route("PATCH", secret, "updateSecret", self._update),
            self._route("PATCH", version, "updateSecret", self._update),
            self._route("DELETE", secret, "deleteSecret", self._delete),
            self._route("GET", "/deletedsecrets/{name}", "getDeletedSecret", self._get_deleted),
            self._route("DELETE", "/deletedsecrets/{name}", "purgeDeletedSecret", self._purge),
            self._route("*", "/{path:.*}", "unknown", self._unknown),
        ]

    def _route(
        self,
        method: str,
        path: str,
        operation: str,
        perform: Callable[[web.Request], Awaitable[web.Response]],
    ) -> web.RouteDef:
        async def handle(request: web.Request) -> web.StreamResponse:
            authorization = request.headers.get("Authorization", "")
            if not self._accepts(authorization):
                # The client learns from this where to get a token; its first request never has one.
                refusal = VaultError(
                    401, "Unauthorized", "AKV10000: Request is missing a valid Bearer token."
                )
                return _refused(refusal, {"WWW-Authenticate": CHALLENGE})
            try:
                await read_body(request)  # kept by the request, for whoever performs it
            except BodyRefused as refusal:
                return _refused(VaultError(refusal.status, refusal.code, str(refusal)))

            async def performed() -> web.Response:
                try:
                    _check_version(request)
                    return await perform(request)
                except VaultError as error:
                    return _refused(error)

            return await self._gate.answer(request, _occasion(operation, request), performed, _fault)

        return web.route(method, path, handle)

    def _accepts(self, authorization: str) -> bool:
        token = authorization.removeprefix(_BEARER)
        return authorization.startswith(_BEARER) and bool(token) and self._token in (None, token)

    async def _set(self, request: web.Request) -> web.Response:
        name = _name(request)
        sent = await _sent(request)
        if sent.value is None:
            raise VaultError(400, "BadParameter", "The parameter value is missing.")
        version = self._store.add(name, SecretVersion(value=sent.value, **sent.changes()))
        return web.json_response(_bundle(request, name, version))

    async def _get(self, request: web.Request) -> web.Response:
        name = _name(request)
        version = self._store.read(name, request.match_info.get("version", ""))
        return web.json_response(_bundle(request, name, version))

    async def _list(self, request: web.Request) -> web.Response:
        items = [_item(_url(request, name), self._store.latest(name)) for name in self._store.names()]
        return web.json_response({"value": items, "nextLink": None})

    async def _list_versions(self, request: web.Request) -> web.Response:
        name = _name(request)
        items = [
            _item(_url(request, name, version.version), version) for version in self._store.versions(name)
        ]
        return web.json_response({"value": items, "nextLink": None})

    async def _update(self, request: web.Request) -> web.Response:
        name = _name(request)
        sent = await _sent(request)
        version = self._store.update(name, request.match_info.get("version", ""), sent.changes())
        return web.json_response(_item(_url(request, name, version.version), version))

    async def _delete(self, request: web.Request) -> web.Response:
        name = _name(request)
        return web.json_response(_deleted_bundle(request, name, self._store.delete(name)))

    async def _get_deleted(self, request: web.Request) -> web.Response:
        name = _name(request)
        return web.json_response(_deleted_bundle(request, name, self._store.deleted(name)))

    async def _purge(self, request: web.Request) -> web.Response:
        self._store.purge(_name(request))
        return web.Response(status=204)

    async def _unknown(self, _: web.Request) -> web.Response:
        raise VaultError(404, "NotFound", "This emulator does not have this operation of Key Vault.")


def _check_version(request: web.Request) -> None:
    if "api-version" not in request.query:
        raise VaultError(400, "BadParameter", "The api-version query parameter is missing.")


def _occasion(operation: str, request: web.Request) -> Occasion:
    secret = request.match_info.get("name", "")
    name = f"key_vault.{operation}"
    return Occasion(name, secret, thing=f"{name} {secret}", about=f"{request.method} {request.path}")


def _fault(fault: Status) -> web.Response:
    error = VaultError(fault.status, fault.code or INJECTED_CODE, fault.message)
    return _refused(error, fault.headers())


def _name(request: web.Request) -> str:
    name = request.match_info["name"]
    if not _NAME.fullmatch(name):
        raise VaultError(400, "BadParameter", "A secret's name is 1 to 127 letters, digits and hyphens.")
    return name


async def _sent(request: web.Request) -> SentSecret:
    try:
        return msgspec.convert(without_nulls(decode_json(await read_body(request))), SentSecret)
    except BodyRefused as refusal:
        raise VaultError(refusal.status, refusal.code, str(refusal)) from None
    except (NotJson, msgspec.ValidationError) as error:
        raise VaultError(400, "BadParameter", f"The request's body is not valid: {error}.") from None


def _url(request: web.Request, name: str, version: str | None = None) -> str:
    path = f"/secrets/{name}" if version is None else f"/secrets/{name}/{version}"
    return f"{request.url.origin()}{path}"


def _item(secret_id: str, version: SecretVersion) -> dict[str, Any]:
    """A version as lists show it, without its value."""
    attributes = {
        "enabled": version.enabled,
        "nbf": version.not_before,
        "exp": version.expires,
        "created": version.created,
        "updated": version.updated,
        "recoveryLevel": RECOVERY_LEVEL,
        "recoverableDays": RECOVERABLE_DAYS,
    }
    item = {
        "contentType": version.content_type,
        "id": secret_id,
        "attributes": {name: value for name, value in attributes.items() if value is not None},
        "tags": version.tags,
    }
    return {name: value for name, value in item.items() if value is not None}


def _bundle(request: web.Request, name: str, version: SecretVersion) -> dict[str, Any]:
    return {"value": version.value, **_item(_url(request, name, version.version), version)}


def _deleted_bundle(request: web.Request, name: str, deleted: DeletedSecret) -> dict[str, Any]:
    return {
        "recoveryId": f"{request.url.origin()}/deletedsecrets/{name}",
        "deletedDate": deleted.deleted,
        "scheduledPurgeDate": deleted.purged,
        **_item(_url(request, name, deleted.latest.version), deleted.latest),
    }


def _refused(error: VaultError, headers: dict[str, str] | None = None) -> web.Response:
    inner = {"code": error.inner_code} if error.inner_code is not None else None
    content = {"error": {"code": error.code, "message": str(error), "innererror": inner}}
    return web.json_response(content, status=error.status, headers=headers)
