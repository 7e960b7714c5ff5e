"""A call at the IVR: what ACS tells goes into its flow, and what the flow wants next is asked of ACS.

The row is written first, by its ETag, so that of callbacks that come twice or at once one goes on with the flow. Who
wrote it asks for the next action. Dies it before it has, the callback was not acknowledged, and ACS's next try of it
asks again, by the same id; so does whoever looks after open calls each minute, and lets fail what nothing was heard of.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from shared.acs.callbacks import CallbackEvent, parse_callback
from shared.acs.shapes import MalformedMessage
from shared.adapters.call_automation import CallControl
from shared.adapters.flow_http import FlowHttp
from shared.adapters.ivr_store import IvrRow, TableIvrStore
from shared.calls.ivr_flows import Flows
from shared.core.ai_link import advice_of
from shared.core.flow_actions import Action, CallHttp, HangUpCall, Play, Recognise, TransferCall
from shared.core.flow_events import CallerGone, Failed, FlowEvent, failure_of
from shared.core.flow_model import Flow
from shared.core.ids import first_call_id
from shared.core.ivr_call import (
    ANSWERED_WITHIN_S,
    IvrCall,
    action_to_ask,
    after,
    asked_for,
    bound_to,
    given_up,
    overdue,
    taking_over,
)
from shared.core.ivr_callbacks import event_of, prompts_of, recognition_of
from shared.core.upkeep import OVER_AFTER_S
from shared.errors import (
    AcsRefused,
    AcsUnavailable,
    BadRequest,
    CallGone,
    Forbidden,
    GatewayError,
    NotFound,
    StoreUnavailable,
)
from shared.in_turns import in_turns
from shared.security.tokens import TokenClaims

logger = logging.getLogger(__name__)

NEEDS_AZURE_AI = frozenset({"PlayFailed", "RecognizeFailed"})
"""Callbacks whose codes may blame the link to Azure AI; of other actions the same codes say other things."""
LOOKED_AT_ONCE = 8
"""Open calls."""
SOUNDS_PATH = "/mg-genagent-acs/v1/prompts"


class Ivr:
    """Goes on with calls. `sounds_url` is where ACS finds WAV files; `clock` tells Unix seconds."""

    def __init__(
        self,
        calls: TableIvrStore,
        acs: CallControl,
        http: FlowHttp,
        flows: Flows,
        *,
        sounds_url: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._calls = calls
        self._acs = acs
        self._http = http
        self._flows = flows
        self._sounds_url = sounds_url
        self._clock = clock

    async def receive(self, proven: TokenClaims, body: bytes) -> None:
        """Take every event of a callback, and go on.

        Args:
            proven: what our token in the callback's URL says.
            body: the callback.

        Raises:
            BadRequest: the body is not what ACS sends.
            Forbidden: the call is another account's, or an event is about another connection than the call's.
            NotFound: there is no such call.
            TemporaryFault: nothing is lost, ACS may send it again.
        """
        try:
            events = parse_callback(body)
        except MalformedMessage as fault:
            raise BadRequest(str(fault)) from None
        for event in events:
            if isinstance(event, CallbackEvent):
                await self._take(proven, event)
        faults = [str(event) for event in events if isinstance(event, MalformedMessage)]
        if faults:
            raise BadRequest("; ".join(faults))

    async def look_after_open_calls(self, done: Counter[str]) -> None:
        """Go on with every call that nothing was heard of in time, and that nobody has asked ACS for; counts them.

        Raises:
            StoreUnavailable: which calls are open cannot be read.
        """
        found = await self._calls.open_calls()
        await in_turns(partial(self._look_after, done), found, at_once=LOOKED_AT_ONCE)

    async def _look_after(self, done: Counter[str], call_id: str) -> None:
        """Look after one call; what cannot be done now, the next run does."""
        try:
            row = await self._calls.read(call_id)
            # One without a row was never made, or is about to be; of one so old no callback comes.
            lasts_s = ANSWERED_WITHIN_S if row is None else OVER_AFTER_S
            if call_id < first_call_id(self._clock() - lasts_s) or (row and row.record.ended is not None):
                await self._calls.close(call_id)
                return
            if row is None:
                return
            flow = await self._flows.flow(row.record.flow_version, row.record.flow)
            before = row.record

            def applied(call: IvrCall) -> IvrCall:
                nonlocal before
                before = call
                event = overdue(call, self._clock())
                return call if event is None else after(call, flow, event, self._clock())

            row = await self._calls.change(call_id, applied, known=row)
            is_overdue = row.record is not before
            if is_overdue:
                done["overdue"] += 1
            await self._go_on(before, row, flow, is_asker=is_overdue)
        except GatewayError as error:
            done["failed"] += 1
            logger.warning(
                "a call at the IVR could not go on", extra={"call_id": call_id, "fault": str(error)}
            )

    async def _take(self, proven: TokenClaims, callback: CallbackEvent) -> None:
        row = await self._calls.read(proven.call_id)
        if row is None:
            raise NotFound("no such call")
        if row.record.account_id != proven.account_id:
            raise Forbidden("the token is for another account")
        flow = await self._flows.flow(row.record.flow_version, row.record.flow)

        before = row.record

        def applied(call: IvrCall) -> IvrCall:
            nonlocal before
            before = call
            bound = _bound(call, callback.call_connection_id)
            event = event_of(bound, callback)
            return bound if event is None else after(bound, flow, event, self._clock())

        row = await self._calls.change(proven.call_id, applied, known=row)
        is_news = row.record.state is not before.state
        if is_news and callback.name in NEEDS_AZURE_AI:
            _log_link_fault(before, callback.result.code, callback.result.sub_code)
        await self._go_on(before, row, flow, is_asker=is_news)

    async def _go_on(self, before: IvrCall, row: IvrRow, flow: Flow, *, is_asker: bool) -> None:
        """Ask for what the flow wants, until ACS has something to do, or log that the call has ended.

        Args:
            before: the call as it was before we did anything.
            row: its row as it is now.
            flow: the call's.
            is_asker: whether we wrote the row for what it wants now.
        """
        while (action := action_to_ask(row.record, flow)) is not None:
            if not is_asker:
                found, row = row, await self._take_over(row, flow)
                if row is found or action_to_ask(row.record, flow) != action:
                    break
            event = await self._ask(row.record, action, is_again=not is_asker)
            if event is None:
                await self._mark_asked(row, action.id)
                break
            row = await self._happened(row, flow, event)
            is_asker = True
        if row.record.ended is not None and before.ended is None:
            _log_end(row.record)

    async def _take_over(self, row: IvrRow, flow: Flow) -> IvrRow:
        return await self._calls.change(
            row.record.call_id, lambda call: taking_over(call, flow, self._clock()), known=row
        )

    async def _happened(self, row: IvrRow, flow: Flow, event: FlowEvent) -> IvrRow:
        return await self._calls.change(
            row.record.call_id, lambda call: after(call, flow, event, self._clock()), known=row
        )

    async def _mark_asked(self, row: IvrRow, action_id: str) -> None:
        """Write down that ACS does it; where that fails it is asked again at worst, by the same id."""
        try:
            await self._calls.change(row.record.call_id, lambda call: asked_for(call, action_id), known=row)
        except StoreUnavailable:
            logger.warning(
                "what a flow has asked for could not be marked", extra={"call_id": row.record.call_id}
            )

    async def _ask(self, call: IvrCall, action: Action, *, is_again: bool) -> FlowEvent | None:
        """Have an action done; None: callbacks tell how it went.

        Raises:
            AcsUnavailable: whether ACS does it is unknown.
        """
        try:
            if isinstance(action, CallHttp):
                return await self._http.call(action, call_id=call.call_id)
            await self._ask_acs(call, action)
        except CallGone:
            return CallerGone()
        except AcsRefused as refused:
            logger.warning(
                "ACS refuses what a flow wants",
                extra={"call_id": call.call_id, "step": call.state.step, "fault": str(refused)},
            )
            if isinstance(action, HangUpCall) or (is_again and isinstance(action, TransferCall)):
                # Of a transfer it may be doing already, callbacks tell; so they do of the end.
                return None
            if isinstance(action, Play | Recognise):
                _log_link_fault(call, refused.code, refused.sub_code)
            return Failed(action.id, failure_of(refused.code, refused.sub_code))
        except AcsUnavailable:
            if isinstance(action, TransferCall):
                return None  # it may be under way all the same: then a callback tells, else the time runs out
            await self._calls.change(call.call_id, lambda now: given_up(now, action.id))
            raise
        return None

    async def _ask_acs(self, call: IvrCall, action: Play | Recognise | TransferCall | HangUpCall) -> None:
        connection_id = call.call_connection_id or ""
        match action:
            case Play():
                prompts = prompts_of(action.sources, sounds_url=self._sounds_url)
                await self._acs.play(connection_id, prompts=prompts, operation_context=action.id)
            case Recognise():
                await self._acs.recognize(
                    connection_id,
                    target=call.caller,
                    recognition=recognition_of(action, sounds_url=self._sounds_url),
                    operation_context=action.id,
                )
            case TransferCall():
                if action.left_out:
                    logger.warning(
                        "a transfer cannot carry all of its context",
                        extra={"call_id": call.call_id, "step": call.state.step, "left_out": len(action.left_out)},
                    )  # fmt: skip
                await self._acs.transfer(
                    connection_id,
                    target=action.target,
                    context=action.context,
                    operation_context=action.id,
                    caller_id=action.caller_id,
                )
            case HangUpCall():
                await self._acs.hang_up(connection_id, for_everyone=True)


def _bound(call: IvrCall, call_connection_id: str) -> IvrCall:
    if not call_connection_id or call.call_connection_id == call_connection_id:
        return call
    if call.call_connection_id is not None:
        raise Forbidden("the event is about another connection")
    return bound_to(call, call_connection_id)


def _log_link_fault(call: IvrCall, code: int, sub_code: int) -> None:
    """Say what is wrong with the link to Azure AI, where it is that; the call goes on with sounds and keys."""
    advice = advice_of(code, sub_code)
    if advice is not None:
        logger.error(
            "a call cannot use the speech service",
            extra={
                "call_id": call.call_id,
                "step": call.state.step,
                "code": code,
                "sub_code": sub_code,
                "wrong": advice.wrong,
                "advice": advice.do,
            },
        )


def _log_end(call: IvrCall) -> None:
    logger.info(
        "a call at the IVR has ended",
        extra={
            "call_id": call.call_id,
            "account": call.account_id,
            "flow": call.flow,
            "outcome": call.state.outcome and call.state.outcome.value,
            "steps": len(call.history) + call.history_dropped,
            "seconds": round((call.ended or call.created) - call.created, 3),
        },
    )
