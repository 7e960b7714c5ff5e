"""The fault rules, what they hold, and what was asked of the services, from outside the process."""

import asyncio
import contextlib
from typing import Any, Final

import msgspec
from aiohttp import web
from yarl import URL

from emulator.faults.gate import Gate, SeenRequest
from emulator.faults.registry import Faults, Held, Injected
from emulator.faults.rules import RuleRefused, TooManyRules, read_rule
from emulator.request_body import BodyRefused, read_body
from emulator.wire.json_text import NotJson, decode_json, without_nulls

MAX_WAIT_SECONDS: Final = 60.0

_SECRET_HEADERS: Final = frozenset({"authorization"})
_SECRET_QUERY: Final = ("access_token", "awps_reconnection_token")


def fault_routes(faults: Faults, gate: Gate) -> list[web.RouteDef]:
    """All routes; open to everybody, since the emulator serves one machine."""
    handlers = _Handlers(faults, gate)
    return [
        web.post("/emulator/faults", handlers.add),
        web.get("/emulator/faults", handlers.list_rules),
        web.delete("/emulator/faults", handlers.clear),
        web.delete("/emulator/faults/{id:\\d+}", handlers.remove),
        web.get("/emulator/held", handlers.list_held),
        web.post("/emulator/held/{id:\\d+}/{end:release|drop}", handlers.end_held),
        web.get("/emulator/requests", handlers.list_requests),
    ]


class _Handlers:
    def __init__(self, faults: Faults, gate: Gate) -> None:
        self._faults = faults
        self._gate = gate

    async def add(self, request: web.Request) -> web.Response:
        try:
            rule = read_rule(without_nulls(decode_json(await read_body(request))))
            injected = self._faults.add(rule)
        except BodyRefused as refusal:
            return _refused(refusal.status, refusal.code, str(refusal))
        except NotJson as error:
            return _refused(400, "InvalidRequest", f"The rule cannot be read: {error}.")
        except RuleRefused as error:
            return _refused(400, "InvalidRequest", f"The rule is not valid: {error}.", error.problems)
        except TooManyRules as error:
            return _refused(409, "TooManyRules", f"No room for the rule: {error}.")
        return web.json_response(_shown(injected), status=201)

    async def list_rules(self, _: web.Request) -> web.Response:
        return web.json_response({"value": [_shown(injected) for injected in self._faults]})

    async def clear(self, _: web.Request) -> web.Response:
        self._faults.clear()
        return web.Response(status=204)

    async def remove(self, request: web.Request) -> web.Response:
        injected = self._faults.find(int(request.match_info["id"]))
        if injected is None:
            return _refused(404, "NotFound", "There is no rule of this id.")
        self._faults.remove(injected)
        return web.Response(status=204)

    async def list_held(self, request: web.Request) -> web.Response:
        """Everything that is held; with `waitSeconds`, once there is something."""
        try:
            wait = min(float(request.query.get("waitSeconds", 0)), MAX_WAIT_SECONDS)
        except ValueError:
            return _refused(400, "InvalidRequest", "waitSeconds must be a number.")
        operation = request.query.get("operation", "*")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._faults.until_held(operation)
        held = [_shown_held(held) for held in self._faults.all_held(operation)]
        return web.json_response({"value": held})

    async def end_held(self, request: web.Request) -> web.Response:
        held = self._faults.find_held(int(request.match_info["id"]))
        if held is None:
            return _refused(404, "NotFound", "Nothing is held under this id.")
        if request.match_info["end"] == "release":
            held.release()
        else:
            held.drop()
        return web.Response(status=204)

    async def list_requests(self, request: web.Request) -> web.Response:
        seen = self._gate.requests(request.query.get("operation", "*"))
        return web.json_response({"value": [_shown_request(each) for each in seen]})


def _shown(injected: Injected) -> dict[str, Any]:
    return {
        "id": injected.id,
        **msgspec.to_builtins(injected.rule),
        "matched": injected.matched,
        "applied": injected.applied,
    }


def _shown_held(held: Held) -> dict[str, Any]:
    return {
        "id": held.id,
        "operation": held.occasion.name,
        "when": str(held.when),
        "about": held.occasion.about,
    }


def _shown_request(seen: SeenRequest) -> dict[str, Any]:
    headers = {name: value for name, value in seen.headers.items() if name.lower() not in _SECRET_HEADERS}
    path = str(URL(seen.path, encoded=True).without_query_params(*_SECRET_QUERY))
    return {"operation": seen.operation, "method": seen.method, "path": path, "headers": headers}


def _refused(status: int, code: str, message: str, details: tuple[str, ...] = ()) -> web.Response:
    error: dict[str, Any] = {"code": code, "message": message}
    if details:
        error["details"] = list(details)
    return web.json_response({"error": error}, status=status)
