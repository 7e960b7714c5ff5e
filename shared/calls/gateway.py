"""The Functions app's side of the gateway, put together from its settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.adapters.connect import Connections, connect
from shared.calls.admission import Admission
from shared.calls.callbacks import CallbackReceiver
from shared.calls.incoming import CallAnswerer
from shared.calls.pods import PodLoads
from shared.calls.profiles import Profiles
from shared.config import FunctionsSettings
from shared.metrics import Metrics
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


@asynccontextmanager
async def open_gateway(settings: FunctionsSettings) -> AsyncIterator[Gateway]:
    """Make the gateway, and begin to read the agent profiles; nothing else is asked for until it is used."""
    async with connect(settings.common) as connections:
        media_keys = Keyring(connections.vault, MEDIA_KEY_SECRET, settings.common.token_keys)
        callback_keys = Keyring(connections.vault, CALLBACK_KEY_SECRET, settings.common.token_keys)
        metrics = Metrics()
        accounts = AccountDirectory(connections.accounts, max_age_s=settings.accounts_max_age_s)
        # With the wait for a read of the accounts before it, a penalty must fit into the time of a delivery.
        attempts = Attempts(metrics, max_penalty_s=min(MAX_PENALTY_S, settings.event_budget_s / 2))
        profiles = Profiles(connections.profiles)
        pods = PodLoads(connections.pods, connections.answers)
        acs_tokens = connections.acs_tokens
        on_callbacks = settings.common.acs_tokens is not None and settings.common.acs_tokens.on_callbacks
        try:
            # Every call needs them: a cold process reads them while it checks who delivers.
            profiles.refresher.begin()
            yield Gateway(
                settings=settings,
                connections=connections,
                metrics=metrics,
                authenticator=Authenticator(accounts, attempts),
                answerer=CallAnswerer(
                    settings,
                    connections,
                    profiles,
                    media_keys=media_keys,
                    callback_keys=callback_keys,
                    admission=Admission(pods, connections.slots, connections.calls),
                    pods=pods,
                    metrics=metrics,
                ),
                callbacks=CallbackReceiver(
                    connections,
                    keys=callback_keys,
                    acs_tokens=acs_tokens if on_callbacks else None,
                    pods=pods,
                    metrics=metrics,
                ),
                keyrings=(media_keys, callback_keys),
                profiles=profiles,
            )
        finally:
            for kept in (accounts, profiles, media_keys, callback_keys):
                await kept.refresher.close()
