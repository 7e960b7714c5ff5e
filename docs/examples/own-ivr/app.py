"""An IVR of your own before the voice agent: it asks for an account number, hands the call over, and takes it back.

As small as it can be: calls are known to this one process alone, and nothing is asked twice.
"""

import hmac
import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from azure.communication.callautomation import (
    CommunicationUserIdentifier,
    PhoneNumberIdentifier,
    RecognizeInputType,
    TextSource,
)
from azure.communication.callautomation.aio import CallAutomationClient, CallConnectionClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError

logger = logging.getLogger("own-ivr")

DELIVERY_HEADER = "X-Own-Ivr-Secret"
"""Delivery property of the Event Grid subscription."""
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
"""As ACS names them."""


@dataclass(frozen=True)
class Settings:
    """The environment of the process."""

    endpoint: str = os.environ["ACS_ENDPOINT"]
    access_key: str = os.environ["ACS_ACCESS_KEY"]
    ai_endpoint: str = os.environ["AI_ENDPOINT"]
    """Of the Azure AI resource that says the question."""
    url: str = os.environ["OWN_URL"]
    """Where ACS reaches this process."""
    secret: str = os.environ["EVENTS_SECRET"]
    identity: str = os.environ["OWN_IDENTITY"]
    """ACS user to which calls are sent back; its calls come here."""
    agent: str = os.environ["AGENT_IDENTITY"]
    """ACS user that has a route of the gateway."""
    queue: str = os.environ["QUEUE_NUMBER"]


@dataclass(frozen=True)
class Call:
    """What is known of a call that was answered."""

    caller: CommunicationUserIdentifier | PhoneNumberIdentifier = field(repr=False)
    outcome: str
    """Why the agent has sent it back: AGENT, SYSTEM or FAILED; empty: it is new."""


class OwnIvr:
    """Answers calls, and goes on with them as ACS tells of them."""

    def __init__(self, settings: Settings, acs: CallAutomationClient) -> None:
        self._settings = settings
        self._acs = acs
        self._calls: dict[str, Call] = {}

    async def on_events(self, request: web.Request) -> web.Response:
        """Take what Event Grid delivers: the handshake of the subscription, and calls."""
        if not hmac.compare_digest(request.headers.get(DELIVERY_HEADER, ""), self._settings.secret):
            return web.Response(status=401)
        for event in await request.json():
            if event["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent":
                return web.json_response({"validationResponse": event["data"]["validationCode"]})
            if event["eventType"] == "Microsoft.Communication.IncomingCall":
                await self._answer(event["data"])
        return web.Response()

    async def on_callbacks(self, request: web.Request) -> web.Response:
        """Take what Call Automation tells of a call. Nobody else can know the key in the URL."""
        key = request.match_info["key"]
        for event in await request.json():
            name, data = event["type"].removeprefix("Microsoft.Communication."), event["data"]
            call = self._calls.get(key)
            if call is None:
                break
            if name in ("CallDisconnected", "AnswerFailed"):
                self._calls.pop(key)
                continue
            try:
                await self._go_on(call, name, data, self._acs.get_call_connection(data["callConnectionId"]))
            except HttpResponseError as error:
                logger.warning("ACS refuses what comes after %s: %s", name, error.status_code)
        return web.Response()

    async def _answer(self, data: Mapping[str, Any]) -> None:
        context = data.get("customContext") or {}
        headers = context.get("voipHeaders") or {}
        # Calls come back to the identity alone; to the number anybody may send headers.
        is_back = data["to"]["rawId"] == self._settings.identity
        outcome = headers.get("outcome", "") if is_back else ""
        if outcome:
            logger.info("a call is back: %s with %s", outcome, ", ".join(sorted(headers)))
        key = secrets.token_urlsafe()
        self._calls[key] = Call(_identifier(data["from"]["rawId"]), outcome)
        try:
            await self._acs.answer_call(
                data["incomingCallContext"],
                f"{self._settings.url}/callbacks/{key}",
                cognitive_services_endpoint=self._settings.ai_endpoint,
            )
        except HttpResponseError as error:
            # Event Grid may deliver a call twice; the second answer is refused.
            self._calls.pop(key, None)
            logger.warning("a call was not answered: %s", error.status_code)

    async def _go_on(
        self, call: Call, name: str, data: Mapping[str, Any], connection: CallConnectionClient
    ) -> None:
        match name:
            case "CallConnected" if call.outcome == "SYSTEM":  # the agent was all that the caller needed
                await connection.hang_up(is_for_everyone=True)
            case "CallConnected" if call.outcome:  # AGENT, FAILED: a person is needed
                await self._to_queue(connection)
            case "CallConnected":
                await connection.start_recognizing_media(
                    RecognizeInputType.DTMF,
                    call.caller,
                    play_prompt=TextSource(
                        text="Please key your account number.", voice_name="en-US-AvaNeural"
                    ),
                    dtmf_max_tones_to_collect=4,
                    initial_silence_timeout=5,
                )
            case "RecognizeCompleted":
                tones = data["dtmfResult"]["tones"]
                await self._to_agent(
                    connection, "".join(str(DIGITS.index(tone)) for tone in tones if tone in DIGITS)
                )
            case "RecognizeFailed":
                await connection.hang_up(is_for_everyone=True)
            case "CallTransferFailed" if data.get("operationContext") == "agent":
                await self._to_queue(connection)
            case "CallTransferFailed":
                await connection.hang_up(is_for_everyone=True)

    async def _to_agent(self, connection: CallConnectionClient, account: str) -> None:
        await connection.transfer_call_to_participant(
            CommunicationUserIdentifier(self._settings.agent),
            voip_headers={
                "accountNumber": account,
                "taskName": "balance",
                "returnTo": self._settings.identity,
            },
            operation_context="agent",
        )

    async def _to_queue(self, connection: CallConnectionClient) -> None:
        await connection.transfer_call_to_participant(
            PhoneNumberIdentifier(self._settings.queue), operation_context="queue"
        )


def _identifier(raw_id: str) -> CommunicationUserIdentifier | PhoneNumberIdentifier:
    if raw_id.startswith("4:"):
        return PhoneNumberIdentifier(raw_id.removeprefix("4:"))
    return CommunicationUserIdentifier(raw_id)


async def make_app() -> web.Application:
    """Return the web application."""
    settings = Settings()
    key = AzureKeyCredential(settings.access_key)
    acs = CallAutomationClient(settings.endpoint, key, connection_timeout=3, read_timeout=10)
    ivr = OwnIvr(settings, acs)
    app = web.Application()
    app.add_routes([web.post("/events", ivr.on_events), web.post("/callbacks/{key}", ivr.on_callbacks)])

    async def close(_: web.Application) -> None:
        await acs.close()

    app.on_cleanup.append(close)
    return app


def main() -> None:
    """Serve until the process is stopped."""
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    web.run_app(
        make_app(),
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        access_log=None,
        print=lambda _: logger.info("own-ivr listens"),
    )


if __name__ == "__main__":
    main()
