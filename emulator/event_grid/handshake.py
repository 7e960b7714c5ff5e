"""Asking an endpoint whether it wants events: Event Grid's validation POST and CloudEvents' OPTIONS."""

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from emulator.event_grid.events import METADATA_VERSION, TOPIC, DeliverySchema
from emulator.event_grid.subscriptions import EventSubscription, SubscriptionRefused
from emulator.wire.json_text import NotJson, decode_json
from emulator.wire.timestamps import event_grid_time

ORIGIN: Final = "eventgrid.azure.net"
REQUESTS_PER_MINUTE: Final = "120"
JSON_CONTENT_TYPE: Final = "application/json; charset=utf-8"
VALIDATION_PATH: Final = "/eventgrid/validate"

_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 5
_DATA_VERSION: Final = "1"
_VALIDATION_API_VERSION: Final = "2018-05-01-preview"


@dataclass(frozen=True)
class Validation:
    """The secrets of one handshake; whoever GETs its URL consents for the endpoint."""

    code: str = field(default_factory=lambda: str(uuid.uuid4()))
    token: str = field(default_factory=lambda: uuid.uuid4().hex, repr=False)
    time: str = field(default_factory=event_grid_time)

    def url(self, base_url: str) -> str:
        """Where consent can be given later."""
        return (
            f"{base_url}{VALIDATION_PATH}?id={self.code}&t={self.time}"
            f"&apiVersion={_VALIDATION_API_VERSION}&token={self.token}"
        )


class ValidationAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What the endpoint answers to the validation POST."""

    validation_response: str | None = None


class Handshake:
    """Performs handshakes.

    Args:
        session: for the requests.
        base_url: of the emulator, where consent can be given later.
        timeout_seconds: for each request.
        time_scale: factor on the pause between attempts.
    """

    def __init__(
        self, session: aiohttp.ClientSession, *, base_url: str, timeout_seconds: float, time_scale: float
    ) -> None:
        self._session = session
        self._base_url = base_url
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._pause_seconds = _PAUSE_SECONDS * time_scale

    async def perform(self, subscription: EventSubscription, validation: Validation) -> bool:
        """Ask the endpoint; an unreachable or slow one is asked again after a pause.

        Returns:
            True when it consents, False when it may still consent through the validation URL.

        Raises:
            SubscriptionRefused: it refuses, answers wrongly, or cannot be reached.
        """
        ask = (
            self._post_validation
            if subscription.schema is DeliverySchema.EVENT_GRID
            else self._ask_for_permission
        )
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await ask(subscription, validation)
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:  # ValueError: no host's name
                problem = (
                    "did not answer in time" if isinstance(error, TimeoutError) else "could not be reached"
                )
            if attempt < _ATTEMPTS:
                await asyncio.sleep(self._pause_seconds)
        raise _failed(subscription, problem)

    async def _post_validation(self, subscription: EventSubscription, validation: Validation) -> bool:
        event = {
            "id": str(uuid.uuid4()),
            "topic": TOPIC,
            "subject": "",
            "data": {"validationCode": validation.code, "validationUrl": validation.url(self._base_url)},
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": validation.time,
            "metadataVersion": METADATA_VERSION,
            "dataVersion": _DATA_VERSION,
        }
        headers = {
            **subscription.sent_headers,
            "Content-Type": JSON_CONTENT_TYPE,
            "aeg-event-type": "SubscriptionValidation",
            "aeg-subscription-name": subscription.name.upper(),
            "aeg-delivery-count": "0",
            "aeg-data-version": _DATA_VERSION,
            "aeg-metadata-version": METADATA_VERSION,
        }
        async with self._session.post(
            URL(subscription.endpoint, encoded=True),
            data=json.dumps([event]).encode(),
            headers=headers,
            timeout=self._timeout,
            allow_redirects=False,
        ) as response:
            content = await response.read()
        if response.status != 200:
            raise _failed(
                subscription, f"answered {response.status} to the validation event; only 200 counts"
            )
        answered = _validation_response(content)
        if answered is not None and answered != validation.code:
            raise _failed(subscription, "answered the validation event with another code than it was sent")
        return answered is not None

    async def _ask_for_permission(self, subscription: EventSubscription, validation: Validation) -> bool:
        headers = {
            **subscription.sent_headers,
            "WebHook-Request-Origin": ORIGIN,
            "WebHook-Request-Callback": validation.url(self._base_url),
            "WebHook-Request-Rate": REQUESTS_PER_MINUTE,
        }
        async with self._session.options(
            URL(subscription.endpoint, encoded=True),
            headers=headers,
            timeout=self._timeout,
            allow_redirects=False,
        ) as response:
            allowed = response.headers.get("WebHook-Allowed-Origin")
        # Consent is the header; the status only tells a refusal from an endpoint that may still consent.
        if allowed is not None:
            if allowed.strip() not in (ORIGIN, "*"):
                raise _failed(subscription, f"allows another origin than {ORIGIN}")
            return True
        if not 200 <= response.status < 300:
            raise _failed(
                subscription, f"answered {response.status} to OPTIONS, without WebHook-Allowed-Origin"
            )
        return False


def _validation_response(content: bytes) -> str | None:
    try:
        return msgspec.convert(decode_json(content), ValidationAnswer).validation_response
    except (NotJson, msgspec.ValidationError):
        return None


def _failed(subscription: EventSubscription, problem: str) -> SubscriptionRefused:
    endpoint = subscription.endpoint.partition("?")[0]
    return SubscriptionRefused(f"The validation handshake failed for {endpoint}: the endpoint {problem}.")
