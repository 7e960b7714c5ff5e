"""A call of the doctor's own, as far as one comes without a phone: what all the other checks are for.

A local stack places a real one, in which the doctor stands in for ACS's media. In Azure nobody but a caller makes one:
the doctor announces a call that there is not, as Event Grid would, and everything is done for it up to ACS, which does
not know it, and says so to whom it lets in.
"""

import asyncio
import time
import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from shared.acs.event_grid import INCOMING_CALL
from shared.acs.identifiers import PHONE_PREFIX
from shared.adapters.call_automation import Repeatability
from shared.admin.checks.contract import Check, Failed, Site, Skipped, routing_or_skip
from shared.admin.checks.outside import EVENTS_PATH
from shared.calls.incoming import MEDIA_PATH
from shared.core.call_state import CallState
from shared.core.event_filters import EVERYBODY
from shared.core.profiles import Route
from shared.errors import AcsRefused, AcsUnavailable, CallGone

CALLER = "+14255550100"
"""Of the numbers that nobody has."""
ANSWER_S = 10.0
"""For each: to be answered, and to have its media taken."""
POLL_S = 0.2
LET_IN = frozenset({"missed", "acs_refused"})
"""Outcomes of a delivery for which ACS was asked, and knew the Functions app: the call is gone, or no good."""
REFUSED = "acs_unavailable"


async def call(site: Site) -> str:
    """Call the first number that leads to an agent."""
    routing = await routing_or_skip(site)
    route = next((each for each in routing.routes if each.profile and each.to != EVERYBODY), None)
    if route is None:
        raise Skipped("no route leads from a number to an agent")
    return await (_placed(site, route) if site.is_local else _announced(site, route))


async def _placed(site: Site, route: Route) -> str:
    """Place a call at the emulator, take its media to the pod, and hang up."""
    calls = f"{site.settings.common.acs_endpoint}/emulator/calls"
    async with site.http.post(calls, json={"to": route.to, "from": CALLER}) as response:
        if response.status != HTTPStatus.CREATED:
            raise Failed(f"the emulator places no call to the first number that is routed: {response.status}")
        placed = f"{calls}/{(await response.json())['correlationId']}"
    try:
        address = await _media_address(site, placed)
        call_id = address["url"].partition(f"{MEDIA_PATH}/")[2].partition("?")[0]
        async with site.http.ws_connect(address["url"], headers=address["headers"]) as socket:
            await socket.send_json(_metadata(address["sampleRate"]))
            await _until_streaming(site, call_id)
    finally:
        async with site.http.post(f"{placed}/hangup"):
            pass
    return "a call was placed, answered, and its media taken by a pod"


async def _media_address(site: Site, placed: str) -> dict[str, Any]:
    try:
        async with asyncio.timeout(ANSWER_S):
            while True:
                async with site.http.get(placed) as response:
                    shown: dict[str, Any] = await response.json()
                if shown["end"] is not None:
                    raise Failed(f"a call that was placed has ended: {shown['end']}")
                if shown["mediaAddress"] is not None:
                    return dict(shown["mediaAddress"])
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise Failed(f"a call that was placed was not answered within {ANSWER_S:.0f} s") from None


async def _until_streaming(site: Site, call_id: str) -> None:
    try:
        async with asyncio.timeout(ANSWER_S):
            while True:
                record = await site.connections.calls.get(call_id)
                if record is not None and record.state is CallState.STREAMING:
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise Failed(f"no pod took the media of an answered call within {ANSWER_S:.0f} s") from None


def _metadata(rate_hz: int) -> dict[str, Any]:
    """Return what ACS sends first on a media socket."""
    metadata = {
        "subscriptionId": str(uuid.uuid4()),
        "encoding": "PCM",
        "sampleRate": rate_hz,
        "channels": 1,
        "length": rate_hz // 50 * 2,
    }
    return {"kind": "AudioMetadata", "audioMetadata": metadata}


async def _announced(site: Site, route: Route) -> str:
    """Announce a call that there is not."""
    headers = await _credentials(site, route.account)
    url = site.settings.callback_base_url + EVENTS_PATH
    async with site.http.post(url, json=[_event(route)], headers=headers, allow_redirects=False) as response:
        answer = await response.json(content_type=None)
    # Of one event: its outcome, or as a problem its detail.
    outcome = answer[0]["outcome"] if isinstance(answer, list) else answer.get("detail", "nothing")
    if outcome in LET_IN:
        return "a call that there is not was taken as far as ACS, which knows the Functions app, and not the call"
    if outcome != REFUSED:
        raise Failed(f"a call that there is not should be missed, and is: {outcome}")
    if await _knows_us(site):
        raise Failed(
            "ACS lets whoever runs this turn a call away, and does not let the Functions app answer one",
            "give the Functions app's identity the role Communication and Email Service Owner on the ACS resource",
        )
    raise Skipped("ACS says of a call that there is not neither to us nor to the Functions app what is wrong")


async def _credentials(site: Site, account_id: str) -> dict[str, str]:
    """Return the headers that Event Grid would send for an account, where the hook has put them."""
    account = next(
        (each for each in await site.connections.accounts.all() if each.account_id == account_id), None
    )
    if account is None:
        raise Skipped("the account of the first route is not there: see `routes`")
    vault = site.connections.vault
    api_id, secret = [await vault.value(f"{account_id}-{name}") for name in ("api-id", "api-secret")]
    if api_id is None or secret is None:
        raise Skipped(f"Key Vault has no {account_id}-api-id and -api-secret to announce a call with")
    return {account.api_id_header: api_id, account.api_secret_header: secret}


def _event(route: Route) -> dict[str, Any]:
    caller = {"kind": "phoneNumber", "rawId": PHONE_PREFIX + CALLER, "phoneNumber": {"value": CALLER}}
    return {
        "id": str(uuid.uuid4()),
        "topic": "doctor",
        "subject": "doctor",
        "eventType": INCOMING_CALL,
        "eventTime": datetime.now(UTC).isoformat(),
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "data": {
            "from": caller,
            "to": {"rawId": route.to},
            "serverCallId": "",
            "callerDisplayName": "",
            "incomingCallContext": _no_context(),
            "correlationId": str(uuid.uuid4()),
        },
    }


async def _knows_us(site: Site) -> bool:
    """Whether ACS, asked by us about such a call, says what is wrong with it: the like it should say to the app."""
    repeatability = Repeatability(str(uuid.uuid4()), time.time())
    try:
        await site.connections.call_control.reject(
            incoming_call_context=_no_context(), blocked=False, repeatability=repeatability
        )
    except (CallGone, AcsRefused):
        return True
    except AcsUnavailable:
        return False
    return True


def _no_context() -> str:
    return f"doctor-{uuid.uuid4()}"


CHECKS = (
    Check(
        "call",
        "a call would be answered: one is, or is announced and taken as far as ACS",
        call,
        "what the others say; else the logs of both processes, for the call's id",
    ),
)
