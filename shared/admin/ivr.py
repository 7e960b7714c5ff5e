"""`ivr`: what came of calls at the IVR."""

import argparse
import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from azure.identity.aio import DefaultAzureCredential

from shared.adapters.ivr_store import TableIvrStore
from shared.adapters.profile_store import BlobProfileStore
from shared.adapters.slot_store import TableSlotStore
from shared.adapters.tables import open_tables
from shared.admin.parsers import Subparsers
from shared.admin.publish import config_container
from shared.config import storage_settings
from shared.core.flow_model import Flow
from shared.core.flow_state import MASK, shown_variables
from shared.core.ivr_call import IvrCall
from shared.errors import NotFound
from shared.gateway_document import DocumentInvalid, decode, to_routing


def add_commands(subjects: Subparsers) -> None:
    """Add `ivr show`."""
    commands = subjects.add_parser("ivr", help="calls at the IVR").add_subparsers(required=True)
    show = commands.add_parser(
        "show", help="show what came of a call, or of every call of a journey; sensitive values are masked"
    )
    show.add_argument("id", help="the call's id, or the correlation id of its journey")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=lambda arguments: asyncio.run(_show(arguments)))


async def _show(arguments: argparse.Namespace) -> int:
    async with DefaultAzureCredential() as credential, open_tables(storage_settings(), credential) as tables:
        store = TableIvrStore(tables, TableSlotStore(tables))
        row = await store.read(arguments.id)
        calls = [row.record] if row is not None else await store.journey(arguments.id)
    if not calls:
        raise NotFound("no such call or journey at the IVR")
    async with config_container() as container:
        flows = await _flows_of(BlobProfileStore(container), calls)
    results = [_result(call, flows.get((call.flow_version, call.flow))) for call in calls]
    if arguments.json:
        print(msgspec.json.encode(results).decode())
        return 0
    for number, result in enumerate(results):
        if number:
            print()
        for line in _lines(result):
            print(line)
    return 0


async def _flows_of(store: BlobProfileStore, calls: list[IvrCall]) -> Mapping[tuple[int, str], Flow]:
    """Return the flows of calls by version and name, as far as they are still stored."""
    flows: dict[tuple[int, str], Flow] = {}
    for version in {call.flow_version for call in calls}:
        try:
            routing = to_routing(decode(await store.document(version)))
        except (NotFound, DocumentInvalid):
            continue
        flows |= {(version, name): flow for name, flow in routing.flows.items()}
    return flows


def _result(call: IvrCall, flow: Flow | None) -> dict[str, Any]:
    """Return what may be shown of a call; where its flow is gone nobody knows what is sensitive."""
    values = call.state.variables
    variables = dict.fromkeys(values, MASK) if flow is None else shown_variables(flow, call.state)
    return {
        "call_id": call.call_id,
        "correlation_id": call.correlation_id,
        "account": call.account_id,
        "flow": call.flow,
        "version": call.flow_version,
        "created": _moment(call.created),
        "ended": None if call.ended is None else _moment(call.ended),
        "came_back": call.outcome or None,
        "outcome": call.state.outcome and call.state.outcome.value,
        "transferred_to": call.transferred_to or None,
        "steps": [
            {"at": _moment(passed.at), "step": passed.step, "result": passed.result.value}
            for passed in call.history
        ],
        "steps_left_out": call.history_dropped,
        "variables": variables,
    }


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    for name, value in result.items():
        if name == "steps":
            for passed in value:
                yield f"{name:<15} {passed['at']:%H:%M:%S} {passed['step']}: {passed['result']}"
        elif name == "variables":
            for variable, text in value.items():
                yield f"{name:<15} {variable}={text}"
        else:
            text = f"{value:%Y-%m-%d %H:%M:%SZ}" if isinstance(value, datetime) else value
            yield f"{name:<15} {'none' if text is None else text}"


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
