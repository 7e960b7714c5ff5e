"""Keeping what ACS says of a call: proved, appended once, and applied where no pod does it."""

import logging

from shared.acs.callbacks import CallbackEvent, parse_callback
from shared.acs.shapes import MalformedMessage
from shared.adapters.call_store import StoredEvent
from shared.adapters.connect import Connections
from shared.calls.pods import PodLoads
from shared.calls.unheld import UnheldCalls
from shared.core.call import CallRecord, WrongConnection, advance, bind_connection
from shared.core.call_state import CallEvent, CallState
from shared.core.callbacks import EVENT_OF_CALLBACK
from shared.core.leg_end import is_last_word
from shared.core.signals import EventsStored
from shared.core.unheld import ToDo, meaning_of, to_do, without_media
from shared.errors import BadRequest, Forbidden, NotFound
from shared.metrics import Metrics
from shared.security.acs_jwt import AcsTokenVerifier
from shared.security.keyring import Keyring
from shared.security.tokens import Audience, Rejection, TokenClaims, TokenRejected

logger = logging.getLogger(__name__)


class CallbackReceiver:
    """Takes callbacks."""

    def __init__(
        self,
        connections: Connections,
        *,
        keys: Keyring,
        acs_tokens: AcsTokenVerifier | None,
        pods: PodLoads,
        prompts_url: str,
        metrics: Metrics,
    ) -> None:
        self._calls = connections.calls
        self._unheld = UnheldCalls(connections.calls, connections.call_control, prompts_url=prompts_url)
        self._signals = connections.signals
        self._keys = keys
        self._acs_tokens = acs_tokens
        self._pods = pods
        self._metrics = metrics

    async def authorize(self, call_id: str, token: str | None, authorization: str | None) -> TokenClaims:
        """Check that the callback comes from ACS, and is about this call; return what our token says.

        Raises:
            TokenRejected: no good token of ours, or of ACS's where that is checked.
            Forbidden: the token is good, for another call.
            TemporaryFault: the keys to check with are away.
        """
        try:
            # Ours first: whoever has none learns nothing, and cannot make us ask for ACS's keys.
            claims = await self._keys.verify_fresh(token or "", audience=Audience.CALLBACK)
            if self._acs_tokens is not None:
                await self._acs_tokens.verify_fresh(authorization)
        except TokenRejected as rejected:
            self._count(rejected.reason)
            raise
        if claims.call_id != call_id:
            self._count(Rejection.OTHER_CALL)
            raise Forbidden("the token is for another call")
        return claims

    async def receive(self, proven: TokenClaims, body: bytes) -> None:
        """Append and apply every event of a callback, then tell the pod that holds the call, once.

        A repeated event changes nothing, but is told again: the signal of the first may not have been sent.

        Args:
            proven: what `authorize` returned.
            body: the callback.

        Raises:
            BadRequest: the body is not what ACS sends.
            Forbidden: the call is another account's, or an event is about another connection than the call's.
            NotFound: there is no such call.
            StoreUnavailable: nothing is lost, ACS may send it again.
        """
        try:
            events = parse_callback(body)
        except MalformedMessage as fault:
            raise BadRequest(str(fault)) from None
        owner: str | None = None
        for event in events:
            if isinstance(event, CallbackEvent):
                owner = await self._take(proven, event)
        if owner is not None:
            await self._signal(owner, proven.call_id)
        faults = [str(event) for event in events if isinstance(event, MalformedMessage)]
        if faults:
            raise BadRequest("; ".join(faults))

    async def _take(self, proven: TokenClaims, event: CallbackEvent) -> str | None:
        """Apply and append one event; return the pod that is to hear of it."""
        call_id = proven.call_id
        row = await self._calls.read(call_id)
        if row is None:
            raise NotFound("no such call")
        if row.record.account_id != proven.account_id:
            self._count(Rejection.OTHER_ACCOUNT)
            raise Forbidden("the token is for another account")
        live = None if row.record.owner is None else await self._pods.live()
        dead_owner = None if live is None or row.record.owner in live else row.record.owner
        is_alone = live is not None and not live
        before = row.record

        def apply(found: CallRecord) -> CallRecord:
            nonlocal before
            before = found
            return applied(found, event, dead_owner=dead_owner, is_alone=is_alone)

        try:
            # Applied first: it refuses another call's event before that is kept among this call's.
            record = await self._calls.change(call_id, apply, known=row)
        except WrongConnection:
            raise Forbidden("the event is about another connection") from None
        kept = StoredEvent(event.event_id, event.name, event.at, event.data)
        if not await self._calls.append_event(call_id, kept):
            logger.info("a callback came again", extra={"call_id": call_id, "callback": event.name})
        todo = left_to_do(before, record, event, dead_owner=dead_owner, is_alone=is_alone)
        if todo is not None:
            await self._unheld.do(record, todo, event.at)
        return None if record.owner == dead_owner or record.state.is_final else record.owner

    async def _signal(self, pod: str, call_id: str) -> None:
        """Tell the pod of what is stored by now; at worst it finds out when it next reads the store."""
        outcome = "sent"
        try:
            await self._signals.send(pod, EventsStored(call_id))
        except Exception as error:  # noqa: BLE001 - the callback is kept, whatever becomes of the signal
            outcome = "failed"
            logger.warning(
                "a signal could not be sent", extra={"call_id": call_id, "error": type(error).__name__}
            )
        self._metrics.signals.add(1, {"outcome": outcome})

    def _count(self, reason: Rejection) -> None:
        self._metrics.tokens_refused.add(1, {"reason": reason.value})


def applied(
    record: CallRecord, event: CallbackEvent, *, dead_owner: str | None, is_alone: bool = False
) -> CallRecord:
    """Return the call after a callback; a call with a live owner is only bound, for the owner moves it.

    Args:
        record: the call as it is now.
        event: the callback.
        dead_owner: the owner that was found silent; one that took the call since is alive.
        is_alone: whether no pod at all is alive, that could take the call over.

    Raises:
        WrongConnection: the event is about another connection than the call's.
    """
    if event.call_connection_id:
        record = bind_connection(record, event.call_connection_id)
    is_unheld = _is_unheld(record, dead_owner=dead_owner, is_alone=is_alone)
    meaning = meaning_of(record, event.name, event.data) if is_unheld else EVENT_OF_CALLBACK.get(event.name)
    has_live_owner = record.owner is not None and record.owner != dead_owner
    # An owner that could not hang up leaves the row at ENDING and the call to ACS, whose last word this then is.
    is_left_to_acs = meaning is CallEvent.CALL_DISCONNECTED and record.state is CallState.ENDING
    if meaning is None or (has_live_owner and not is_left_to_acs):
        return record
    # Whoever takes the call over waits for the rest.
    if dead_owner is not None and not is_alone and not is_last_word(record, meaning, event.result):
        return record
    if any(entry.event is meaning and entry.at == event.at for entry in record.history):
        return record
    record = advance(record, meaning, event.at, event.result)
    if is_unheld and meaning is CallEvent.MEDIA_STREAMING_FAILED:
        record = without_media(record, event.data, event.at)
    return record


def left_to_do(
    before: CallRecord,
    after: CallRecord,
    event: CallbackEvent,
    *,
    dead_owner: str | None,
    is_alone: bool = False,
) -> ToDo | None:
    """Return what ACS is to be asked for after `applied` has made `after` of `before`; nothing where a pod does it."""
    if not _is_unheld(after, dead_owner=dead_owner, is_alone=is_alone):
        return None
    return to_do(before, after, meaning_of(before, event.name, event.data), event.data)


def _is_unheld(record: CallRecord, *, dead_owner: str | None, is_alone: bool) -> bool:
    """Whether no pod holds the call, or will: none ever did, or the one that did is dead and no other is left."""
    return record.owner is None or (is_alone and record.owner == dead_owner)
