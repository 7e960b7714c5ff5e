"""The Functions app's side of the gateway, put together from its settings."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.adapters.connect import Connections, connect
from shared.adapters.flow_http import FlowHttp
from shared.calls.admission import Admission
from shared.calls.callbacks import CallbackReceiver
from shared.calls.delivering import Deliveries
from shared.calls.incoming import CallAnswerer
from shared.calls.ivr import SOUNDS_PATH, Ivr
from shared.calls.ivr_answers import IvrAnswerer
from shared.calls.ivr_flows import Flows
from shared.calls.lost_calls import LostCalls
from shared.calls.pods import PodLoads
from shared.calls.profiles import Profiles
from shared.calls.retention import Retention
from shared.calls.upkeep import Upkeep
from shared.config import FunctionsSettings
from shared.core.upkeep import CallLimits
from shared.metrics import Metrics
from shared.refresh import Refresher
from shared.security.attempts import MAX_PENALTY_S, Attempts
from shared.security.authenticator import Authenticator
from shared.security.directory import AccountDirectory
from shared.security.keyring import CALLBACK_KEY_SECRET, MEDIA_KEY_SECRET, Keyring


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the edges call."""

    settings: FunctionsSettings
    connections: Connections
    metrics: Metrics
    authenticator: Authenticator
    answerer: CallAnswerer
    callbacks: CallbackReceiver
    keyrings: tuple[Keyring, ...]
    profiles: Profiles
    upkeep: Upkeep
    ivr_answerer: IvrAnswerer
    ivr: Ivr
    flow_http: FlowHttp
    kept: tuple[Refresher, ...]
    """Everything that is read from afar and kept fresh."""


@asynccontextmanager
async def open_gateway(settings: FunctionsSettings) -> AsyncIterator[Gateway]:
    """Make the gateway, and begin to read the agent profiles; nothing else is asked for until it is used."""
    async with connect(settings.common) as connections:
        gateway = compose(settings, connections)
        try:
            # Every call needs them: a cold process reads them while it checks who delivers.
            gateway.profiles.refresher.begin()
            yield gateway
        finally:
            await gateway.flow_http.close()
            for refresher in gateway.kept:
                await refresher.close()


def compose(
    settings: FunctionsSettings, connections: Connections, *, clock: Callable[[], float] = time.time
) -> Gateway:
    """Put the gateway together from its connections. `clock` tells Unix seconds."""
    metrics = Metrics()
    media_keys = Keyring(connections.vault, MEDIA_KEY_SECRET, settings.common.token_keys)
    callback_keys = Keyring(connections.vault, CALLBACK_KEY_SECRET, settings.common.token_keys)
    accounts = AccountDirectory(connections.accounts, max_age_s=settings.accounts_max_age_s)
    # With the wait for a read of the accounts before it, a penalty must fit into the time of a delivery.
    attempts = Attempts(metrics, max_penalty_s=min(MAX_PENALTY_S, settings.event_budget_s / 2))
    profiles = Profiles(connections.profiles)
    pods = PodLoads(connections.pods, connections.answers, clock=clock)
    acs_tokens = settings.common.acs_tokens
    limits = CallLimits(settings.ring_deadline_s, settings.upkeep.owner_lost_after_s)
    lost_calls = LostCalls(connections.calls, connections.pods, connections.call_control, limits, clock=clock)
    flows = Flows(profiles, connections.profiles, clock=clock)
    flow_http = FlowHttp(settings.tool_hosts, connections.vault)
    prompts_url = f"{settings.callback_base_url}{SOUNDS_PATH}"
    ivr = Ivr(
        connections.ivr_calls,
        connections.call_control,
        flow_http,
        flows,
        sounds_url=prompts_url,
        clock=clock,
    )
    deliveries = Deliveries(settings, connections, metrics, clock=clock)
    admission = Admission(pods, connections.slots, connections.calls, connections.ivr_calls, clock=clock)
    checks_acs = acs_tokens is not None and acs_tokens.on_callbacks
    return Gateway(
        settings=settings,
        connections=connections,
        metrics=metrics,
        authenticator=Authenticator(accounts, attempts),
        answerer=CallAnswerer(
            settings,
            connections,
            profiles,
            deliveries,
            media_keys=media_keys,
            callback_keys=callback_keys,
            admission=admission,
            pods=pods,
            clock=clock,
        ),
        callbacks=CallbackReceiver(
            connections,
            keys=callback_keys,
            acs_tokens=connections.acs_tokens if checks_acs else None,
            pods=pods,
            prompts_url=prompts_url,
            metrics=metrics,
        ),
        keyrings=(media_keys, callback_keys),
        profiles=profiles,
        upkeep=Upkeep(
            lost_calls,
            Retention(connections, lost_calls, settings.upkeep, clock=clock),
            connections.dead_letters,
            ivr,
            metrics,
            clock=clock,
        ),
        ivr_answerer=IvrAnswerer(
            settings,
            connections,
            flows,
            deliveries,
            callback_keys=callback_keys,
            admission=admission,
            clock=clock,
        ),
        ivr=ivr,
        flow_http=flow_http,
        kept=tuple(kept.refresher for kept in (accounts, profiles, pods, media_keys, callback_keys)),
    )
