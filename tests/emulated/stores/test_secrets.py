"""Secrets of agents, on the emulated Key Vault through the real SDK; and tokens of the process's identity."""

import asyncio
from collections import Counter

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from emulator.faults import Status
from media_gateway.secrets import Secrets
from shared.adapters import entra
from shared.adapters.connect import LocalCredential, open_vault
from shared.adapters.entra import EntraTokens
from shared.config import VaultSettings
from shared.errors import IdentityUnavailable, NotConfigured, VaultUnavailable, meaning
from tests.support.gateway import running_emulator

SCOPE = "https://ai.azure.com/.default"


@pytest.fixture
async def emulator():
    async with running_emulator() as emulator:
        yield emulator


@pytest.fixture
async def vault(emulator):
    settings = VaultSettings(emulator.key_vault_url, emulator.key_vault_ca_file, local_credential=True)
    async with open_vault(settings) as vault:
        yield vault


@pytest.fixture
async def secrets(vault):
    secrets = Secrets(vault, Counter())
    yield secrets
    await secrets.close()


async def test_the_latest_version_is_read(vault):
    await vault.add_version("api-key", "one")
    await vault.add_version("api-key", "two")
    assert await vault.value("api-key") == "two"


async def test_what_is_not_there_is_none(vault):
    assert await vault.value("api-key") is None


async def test_a_disabled_latest_version_is_refused(vault):
    version = await vault.add_version("api-key", "one")
    await vault.disable_version("api-key", version)
    with pytest.raises(VaultUnavailable, match="403"):
        await vault.value("api-key")


async def test_a_rotated_secret_is_found_when_the_old_one_is_refused(vault, secrets):
    await vault.add_version("api-key", "one")
    assert await secrets.value("api-key") == "one"
    await vault.add_version("api-key", "two")
    assert await secrets.value("api-key") == "one"
    secrets.forget("api-key")
    assert await secrets.value("api-key") == "two"


async def test_a_vault_that_is_away_costs_only_what_was_never_read(emulator, vault, secrets):
    await vault.add_version("api-key", "one")
    await secrets.value("api-key")
    emulator.faults.fail_next("key_vault.getSecret", Status(status=403), times=10)
    secrets.forget("api-key")
    assert await secrets.value("api-key") == "one"
    with pytest.raises(VaultUnavailable):
        await secrets.value("another")


async def test_a_name_that_the_vault_does_not_have_is_named(secrets):
    with pytest.raises(NotConfigured, match="no secret 'another'"):
        await secrets.value("another")


async def test_a_token_is_given_for_a_scope():
    assert await EntraTokens(LocalCredential()).token(SCOPE) == "local"


class Credential:
    """Gives, refuses, or does not answer."""

    def __init__(self, answer):
        self.answer = answer

    async def get_token(self, scope):
        assert scope == SCOPE
        if isinstance(self.answer, Exception):
            raise self.answer
        await self.answer.wait()
        return AccessToken("token", 0)


async def test_a_refusal_by_entra_is_a_temporary_fault_and_shows_nothing_of_its_text():
    tokens = EntraTokens(Credential(ClientAuthenticationError("AADSTS700016: tenant 1234")))
    with pytest.raises(IdentityUnavailable, match="ClientAuthenticationError") as refused:
        await tokens.token(SCOPE)
    assert "1234" not in str(refused.value)
    assert meaning(refused.value).metric == "identity_unavailable"


async def test_an_entra_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(entra, "TOKEN_S", 0.01)
    with pytest.raises(IdentityUnavailable, match="in time"):
        await EntraTokens(Credential(asyncio.Event())).token(SCOPE)
