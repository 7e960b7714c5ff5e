"""How numbers and identities outside behave, to be looked at and changed while the emulator runs."""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from emulator.outside import OutsideParties, OutsideParty, OutsideRefused
from emulator.request_body import BodyRefused, read_body
from emulator.wire.json_text import NotJson, decode_json, without_nulls


def outside_routes(outside: OutsideParties) -> list[web.RouteDef]:
    """The routes under `/emulator/outside`; open to everybody, since the emulator serves one machine."""

    async def list_parties(_: web.Request) -> web.Response:
        return web.json_response({"value": [_shown(raw_id, party) for raw_id, party in outside]})

    async def put(request: web.Request) -> web.Response:
        address = request.match_info["address"]
        try:
            party = msgspec.convert(without_nulls(decode_json(await read_body(request))), OutsideParty)
            await asyncio.to_thread(outside.put, address, party)
        except BodyRefused as refusal:
            return _error(refusal.status, refusal.code, str(refusal))
        except (NotJson, msgspec.ValidationError, OutsideRefused) as error:
            return _error(400, "InvalidRequest", f"The behaviour is not valid: {error}.")
        return web.json_response(msgspec.to_builtins(party))

    async def remove(request: web.Request) -> web.Response:
        try:
            was_set = outside.remove(request.match_info["address"])
        except OutsideRefused as error:
            return _error(400, "InvalidRequest", f"The address is not valid: {error}.")
        return web.Response(status=204) if was_set else _error(404, "NotFound", "Nothing is set for it.")

    return [
        web.get("/emulator/outside", list_parties),
        web.put("/emulator/outside/{address}", put),
        web.delete("/emulator/outside/{address}", remove),
    ]


def _shown(raw_id: str, party: OutsideParty) -> dict[str, Any]:
    return {"rawId": raw_id, **msgspec.to_builtins(party)}


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
