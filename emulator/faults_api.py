"""Injecting faults from outside the process."""

from typing import Annotated, Final

import msgspec
from aiohttp import web

from emulator.call_automation import operations
from emulator.faults import MAX_WAITING, Fault, Faults, TooManyFaults
from emulator.key_vault.routes import OPERATIONS as KEY_VAULT_OPERATIONS
from emulator.request_body import BodyRefused, read_body
from emulator.wire.json_text import NotJson, decode_json, without_nulls

OPERATIONS: Final = frozenset(
    {operation.name for operation in operations.ALL}
    | {f"key_vault.{operation}" for operation in KEY_VAULT_OPERATIONS}
)
"""Names of everything that can be made to fail."""


class InjectedFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /emulator/faults`."""

    operation: str
    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    code: str = Fault.code
    message: str = Fault.message
    times: Annotated[int, msgspec.Meta(ge=1, le=MAX_WAITING)] = 1


def fault_routes(faults: Faults) -> list[web.RouteDef]:
    """The route; open to everybody, since the emulator serves one machine."""

    async def inject(request: web.Request) -> web.Response:
        try:
            content = without_nulls(decode_json(await read_body(request)))
            injected = msgspec.convert(content, InjectedFault)
        except BodyRefused as refusal:
            return _refused(refusal.status, refusal.code, str(refusal))
        except (NotJson, msgspec.ValidationError) as error:
            return _refused(400, "InvalidRequest", f"The fault is not valid: {error}.")
        if injected.operation not in OPERATIONS:
            known = ", ".join(sorted(OPERATIONS))
            return _refused(400, "InvalidRequest", f"There is no such operation; there are: {known}.")
        fault = Fault(injected.status, injected.code, injected.message)
        try:
            faults.fail_next(injected.operation, fault, times=injected.times)
        except TooManyFaults as error:
            return _refused(409, "TooManyFaults", str(error))
        return web.Response(status=204)

    return [web.post("/emulator/faults", inject)]


def _refused(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
