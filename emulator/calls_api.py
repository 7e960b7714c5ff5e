"""The emulator's own API: health, every call with what happened to it, and calls whose media is left to others."""

from typing import Any, Final

import msgspec
from aiohttp import web

from emulator.call import Call, MediaAddress
from emulator.calls import Calls, UnknownNumber
from emulator.media.impairment import ImpairmentRefused, read_impairment
from emulator.media.line import Line
from emulator.plays import Play
from emulator.recognitions import Recognition
from emulator.request_body import BodyRefused, read_body
from emulator.transfers import Transfer

LINE_RATE_HZ: Final = 16_000


class _NewCall(msgspec.Struct, forbid_unknown_fields=True):
    """The body that places a call."""

    to: str
    from_: str = msgspec.field(name="from")


def own_routes(calls: Calls) -> list[web.RouteDef]:
    """The routes under `/emulator`; open to everybody, since the emulator serves one machine."""

    async def health(_: web.Request) -> web.Response:
        live = sum(call.end is None for call in calls)
        return web.json_response({"status": "ok", "liveCalls": live})

    async def list_calls(_: web.Request) -> web.Response:
        return web.json_response({"value": [_summary(call) for call in calls]})

    async def place(request: web.Request) -> web.Response:
        try:
            new = msgspec.json.decode(await read_body(request), type=_NewCall)
            # It never speaks: whoever opens the media socket is the caller's voice.
            line = Line(rate_hz=LINE_RATE_HZ)
            call = await calls.place(to=new.to, from_=new.from_, line=line, leaves_media=True)
        except BodyRefused as refusal:
            return _error(refusal.status, refusal.code, str(refusal))
        except (UnknownNumber, ValueError, RecursionError) as error:
            return _error(400, "InvalidRequest", str(error))
        return web.json_response(_summary(call), status=201)

    async def get_call(request: web.Request) -> web.Response:
        call = calls.find(request.match_info["correlationId"])
        return web.json_response(_details(call)) if call is not None else _no_such_call()

    async def hang_up(request: web.Request) -> web.Response:
        call = calls.find(request.match_info["correlationId"])
        if call is None:
            return _no_such_call()
        await calls.caller_hangs_up(call)
        return web.Response(status=204)

    async def impair(request: web.Request) -> web.Response:
        try:
            impairment = read_impairment(await read_body(request))
        except BodyRefused as refusal:
            return _error(refusal.status, refusal.code, str(refusal))
        except ImpairmentRefused as refusal:
            return _error(400, "InvalidRequest", str(refusal))
        call = calls.find(request.match_info["correlationId"])
        if call is None:
            return _no_such_call()
        if call.end is not None:
            return _error(409, "CallEnded", "The call is over.")
        call.network.impair(impairment)
        return web.json_response(msgspec.to_builtins(impairment))

    return [
        web.get("/emulator/health", health),
        web.get("/emulator/calls", list_calls),
        web.post("/emulator/calls", place),
        web.get("/emulator/calls/{correlationId}", get_call),
        web.post("/emulator/calls/{correlationId}/hangup", hang_up),
        web.put("/emulator/calls/{correlationId}/impairment", impair),
    ]


def _summary(call: Call) -> dict[str, Any]:
    return {
        "correlationId": call.correlation_id,
        "callConnectionId": call.call_connection_id,
        "serverCallId": call.server_call_id,
        "to": call.to.id,
        "from": call.from_.id,
        "state": str(call.phase),
        "end": str(call.end) if call.end is not None else None,
    }


def _details(call: Call) -> dict[str, Any]:
    happenings = [
        {"at": round(happening.at, 6), "name": happening.name, "detail": dict(happening.detail)}
        for happening in call.happenings
    ]
    streams = [stats.summary() for stats in call.streams]
    address = call.media_address
    return {
        **_summary(call),
        "happenings": happenings,
        "forgottenHappenings": call.forgotten_happenings,
        "impairment": msgspec.to_builtins(call.network.impairment),
        "mediaStreams": streams,
        "mediaAddress": _shown(address) if address is not None else None,
        "transfers": [_transfer(transfer) for transfer in call.transfers],
        "plays": [_play(play) for play in call.plays],
        "recognitions": [_recognition(each) for each in call.recognitions],
    }


def _transfer(transfer: Transfer) -> dict[str, Any]:
    return {
        "target": transfer.target.id,
        "sourceCallerIdNumber": transfer.caller_id.value if transfer.caller_id is not None else None,
        "customContext": msgspec.to_builtins(transfer.custom_context),
        "operationContext": transfer.operation_context,
        "askedAt": _at(transfer.asked_at),
        "settledAt": _at(transfer.settled_at),
        "outcome": str(transfer.outcome) if transfer.outcome is not None else None,
    }


def _play(play: Play) -> dict[str, Any]:
    return {
        "sources": msgspec.to_builtins(play.sources),
        "loop": play.loop,
        "operationContext": play.operation_context,
        "askedAt": _at(play.asked_at),
        "startedAt": _at(play.started_at),
        "endedAt": _at(play.ended_at),
        "outcome": str(play.outcome) if play.outcome is not None else None,
        "subCode": play.sub_code,
    }


def _recognition(recognition: Recognition) -> dict[str, Any]:
    return {
        "request": msgspec.to_builtins(recognition.request),
        "askedAt": _at(recognition.asked_at),
        "startedAt": _at(recognition.started_at),
        "listeningAt": _at(recognition.listening_at),
        "endedAt": _at(recognition.ended_at),
        "outcome": str(recognition.outcome) if recognition.outcome is not None else None,
        "subCode": recognition.sub_code,
    }


def _at(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _shown(address: MediaAddress) -> dict[str, Any]:
    return {"url": address.url, "headers": dict(address.headers), "sampleRate": address.rate_hz}


def _no_such_call() -> web.Response:
    return _error(404, "NotFound", "No call has this correlation id.")


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
