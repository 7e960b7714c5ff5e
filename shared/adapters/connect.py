"""The clients of one process, made from its settings: lazily connected, closed together."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from azure.communication.callautomation.aio import CallAutomationClient
from azure.core.credentials import AccessToken, AccessTokenInfo, AzureKeyCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.secrets.aio import SecretClient

from shared.adapters import call_automation
from shared.adapters.account_store import TableAccountStore
from shared.adapters.answer_store import TableAnswerStore
from shared.adapters.blobs import BlobContainer
from shared.adapters.call_automation import CallControl
from shared.adapters.call_store import TableCallStore
from shared.adapters.claim_store import TableClaimStore
from shared.adapters.dead_letters import CONTAINER as DEAD_LETTERS
from shared.adapters.dead_letters import BlobDeadLetters
from shared.adapters.entra import EntraTokens
from shared.adapters.ivr_store import TableIvrStore
from shared.adapters.key_vault import VaultSecrets
from shared.adapters.pod_store import TablePodStore
from shared.adapters.profile_store import CONTAINER, BlobProfileStore, BlobSoundStore
from shared.adapters.recording_store import BlobRecordings
from shared.adapters.slot_store import TableSlotStore
from shared.adapters.tables import open_tables
from shared.adapters.transport import transport_options
from shared.adapters.web_pubsub import Signals
from shared.config import CommonSettings, VaultSettings
from shared.security.acs_jwt import AcsTokenVerifier

# The SDKs log every request at INFO, with its URL: that is noise, time, and keys of rows in the logs.
logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)

VAULT_CONNECT_TIMEOUT_S = 2
VAULT_READ_TIMEOUT_S = 3
FAR_FUTURE = 4_102_444_800
"""Unix seconds of 2100-01-01: the local token does not expire."""


@dataclass(frozen=True, slots=True)
class Connections:
    """Everything outside that a process talks to."""

    accounts: TableAccountStore
    claims: TableClaimStore
    calls: TableCallStore
    pods: TablePodStore
    answers: TableAnswerStore
    slots: TableSlotStore
    vault: VaultSecrets
    credential: AsyncTokenCredential
    entra: EntraTokens
    call_control: CallControl
    acs_tokens: AcsTokenVerifier | None
    """None: ACS's own JWT is not checked."""
    profiles: BlobProfileStore
    sounds: BlobSoundStore
    recordings: BlobRecordings
    dead_letters: BlobDeadLetters
    signals: Signals
    tables: TableServiceClient
    config_blobs: BlobContainer
    ivr_calls: TableIvrStore


class LocalCredential:
    """Stands in for Entra where every endpoint is loopback: the emulator takes any token."""

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """Return a token that says nothing."""
        return AccessToken("local", FAR_FUTURE)

    async def get_token_info(self, *_scopes: str, **_options: Any) -> AccessTokenInfo:
        """Return a token that says nothing."""
        return AccessTokenInfo("local", FAR_FUTURE)

    async def close(self) -> None:
        """Nothing is held."""

    async def __aenter__(self) -> "LocalCredential":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


@asynccontextmanager
async def open_vault(settings: VaultSettings) -> AsyncIterator[VaultSecrets]:
    """Open the vault alone, with a credential of its own. Closes both at the end."""
    async with AsyncExitStack() as stack:
        credential = _open_credential(stack, is_local=settings.local_credential)
        yield _open_vault(stack, settings, credential)


@asynccontextmanager
async def connect(settings: CommonSettings) -> AsyncIterator[Connections]:
    """Make the clients of a process; nothing is asked of them yet. Closes them all at the end."""
    async with AsyncExitStack() as stack:
        credential = _open_credential(stack, is_local=settings.vault.local_credential)
        tables = open_tables(settings.storage, credential)
        stack.push_async_callback(tables.close)
        vault = _open_vault(stack, settings.vault, credential)
        config_blobs = BlobContainer(settings.storage, credential, CONTAINER)
        stack.push_async_callback(config_blobs.close)
        recordings = BlobRecordings(settings.storage, credential)
        stack.push_async_callback(recordings.close)
        signals = Signals(settings.web_pubsub, credential)
        stack.push_async_callback(signals.close)
        dead_letters = BlobContainer(settings.storage, credential, DEAD_LETTERS)
        stack.push_async_callback(dead_letters.close)
        calls = CallAutomationClient(
            settings.acs_endpoint,
            AzureKeyCredential(settings.acs_access_key) if settings.acs_access_key else credential,
            retry_total=call_automation.RETRIES,
            connection_timeout=call_automation.CONNECT_TIMEOUT_S,
            read_timeout=call_automation.READ_TIMEOUT_S,
            **transport_options(),
        )
        stack.push_async_callback(calls.close)
        acs_tokens = AcsTokenVerifier(settings.acs_tokens) if settings.acs_tokens else None
        if acs_tokens is not None:
            stack.push_async_callback(acs_tokens.refresher.close)
        slots = TableSlotStore(tables)
        yield Connections(
            accounts=TableAccountStore(tables),
            claims=TableClaimStore(tables),
            calls=TableCallStore(tables, slots),
            pods=TablePodStore(tables),
            answers=TableAnswerStore(tables),
            slots=slots,
            vault=vault,
            credential=credential,
            entra=EntraTokens(credential),
            call_control=CallControl(calls),
            acs_tokens=acs_tokens,
            profiles=BlobProfileStore(config_blobs),
            sounds=BlobSoundStore(config_blobs),
            recordings=recordings,
            dead_letters=BlobDeadLetters(dead_letters),
            signals=signals,
            tables=tables,
            config_blobs=config_blobs,
            ivr_calls=TableIvrStore(tables, slots),
        )


def _open_credential(stack: AsyncExitStack, *, is_local: bool) -> AsyncTokenCredential:
    credential: AsyncTokenCredential = LocalCredential() if is_local else DefaultAzureCredential()
    stack.push_async_callback(credential.close)
    return credential


def _open_vault(
    stack: AsyncExitStack, settings: VaultSettings, credential: AsyncTokenCredential
) -> VaultSecrets:
    options = transport_options()
    if settings.ca_file is not None:
        options["connection_verify"] = str(settings.ca_file)
    client = SecretClient(
        settings.url,
        credential,
        # The check wants the vault's host below the challenge's resource, which loopback never is.
        verify_challenge_resource=not settings.local_credential,
        retry_total=1,
        connection_timeout=VAULT_CONNECT_TIMEOUT_S,
        read_timeout=VAULT_READ_TIMEOUT_S,
        **options,
    )
    stack.push_async_callback(client.close)
    return VaultSecrets(client)
