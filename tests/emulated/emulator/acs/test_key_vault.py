"""Key Vault with the real client, synchronous and asynchronous."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AsyncSecretClient

from emulator.faults import Cut, FaultRule, Reset, Status, When
from tests.emulated.emulator.acs.conftest import run
from tests.support.shapes import assert_same_shape, example

API_VERSION = "?api-version=2026-04-01"


class Credential:
    """Gives the token that it was made with."""

    def __init__(self, token: str = "token") -> None:
        self._token = token

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        assert scopes == ("https://vault.azure.net/.default",)
        return AccessToken(self._token, 2_000_000_000)


class AsyncCredential(Credential):
    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return super().get_token(*scopes, **options)

    async def close(self) -> None:
        pass


class Vault:
    """A client of either kind, called in one way."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def __call__(self, method: str, *arguments: Any, **options: Any) -> Any:
        return await run(getattr(self.client, method), *arguments, **options)

    async def delete(self, name: str) -> Any:
        if isinstance(self.client, SecretClient):
            poller = await self("begin_delete_secret", name)
            await run(poller.wait)
            return await run(poller.result)
        return await self("delete_secret", name)


@pytest.fixture(params=["sync", "aio"])
async def vault(request, acs_emulator) -> AsyncIterator[Vault]:
    options = {
        "vault_url": acs_emulator.key_vault_url,
        "connection_verify": str(acs_emulator.key_vault_ca_file),
        "verify_challenge_resource": False,
        "retry_total": 0,
    }
    if request.param == "aio":
        async with AsyncSecretClient(credential=AsyncCredential(), **options) as client:
            yield Vault(client)
    else:
        with SecretClient(credential=Credential(), **options) as sync_client:
            yield Vault(sync_client)


async def test_secret_is_set_and_read(vault, acs_emulator):
    written = await vault(
        "set_secret", "media-token-key", "sekret", content_type="text/plain", tags={"role": "a"}
    )

    read = await vault("get_secret", "media-token-key")

    assert read.value == "sekret"
    assert read.properties.version == written.properties.version
    assert len(read.properties.version) == 32
    assert read.properties.vault_url == acs_emulator.key_vault_url
    assert (read.properties.content_type, read.properties.tags) == ("text/plain", {"role": "a"})
    assert (read.properties.recovery_level, read.properties.recoverable_days) == ("Recoverable+Purgeable", 90)
    assert read.properties.enabled


async def test_latest_version_is_read_unless_another_is_asked_for(vault):
    first = await vault("set_secret", "key", "one")
    second = await vault("set_secret", "key", "two")

    assert (await vault("get_secret", "key")).value == "two"
    assert (await vault("get_secret", "key", first.properties.version)).value == "one"
    versions = await vault("list_properties_of_secret_versions", "key")
    assert [each.version for each in versions] == [first.properties.version, second.properties.version]
    assert all(each.created_on and each.enabled for each in versions)


async def test_secrets_are_listed_by_name(vault):
    await vault("set_secret", "first", "1")
    await vault("set_secret", "second", "2")

    listed = await vault("list_properties_of_secrets")

    assert [(each.name, each.version) for each in listed] == [("first", None), ("second", None)]


async def test_disabled_version_is_listed_but_not_read(vault):
    version = (await vault("set_secret", "key", "one")).properties.version

    updated = await vault("update_secret_properties", "key", version, enabled=False)

    assert updated.enabled is False
    with pytest.raises(HttpResponseError) as refused:
        await vault("get_secret", "key", version)
    assert refused.value.status_code == 403
    assert "disabled" in str(refused.value)
    [listed] = await vault("list_properties_of_secret_versions", "key")
    assert listed.enabled is False
    await vault("update_secret_properties", "key", enabled=True)
    assert (await vault("get_secret", "key")).value == "one"


async def test_deleted_secret_is_gone_and_its_name_is_taken(vault):
    await vault("set_secret", "key", "one")

    deleted = await vault.delete("key")

    assert deleted.name == "key"
    assert deleted.scheduled_purge_date > deleted.deleted_date
    with pytest.raises(ResourceNotFoundError):
        await vault("get_secret", "key")
    with pytest.raises(ResourceExistsError):
        await vault("set_secret", "key", "two")
    await vault("purge_deleted_secret", "key")
    await vault("set_secret", "key", "three")
    assert [each.version for each in await vault("list_properties_of_secret_versions", "key")] != []


async def test_unknown_secret_is_not_found(vault):
    for method in ("get_secret", "list_properties_of_secret_versions", "get_deleted_secret"):
        with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
            await vault(method, "nope")


async def test_injected_fault_is_answered_once(vault, acs_emulator):
    await vault("set_secret", "key", "one")
    acs_emulator.faults.fail_next("key_vault.getSecret", Status(status=503, message="Busy."))

    with pytest.raises(HttpResponseError, match="Busy"):
        await vault("get_secret", "key")

    assert (await vault("get_secret", "key")).value == "one"


@pytest.mark.parametrize("action", [Reset(), Cut()])
async def test_answer_may_get_lost(vault, acs_emulator, action):
    await vault("set_secret", "key", "one")
    # Twice: HTTP libraries ask again by themselves when a connection is reset.
    acs_emulator.faults.add(FaultRule("key_vault.getSecret:key", action, times=2))

    with pytest.raises(AzureError):
        await vault("get_secret", "key")


async def test_secret_is_held_until_it_is_released(vault, acs_emulator):
    await vault("set_secret", "key", "one")
    acs_emulator.faults.hold_next("key_vault.getSecret", when=When.AFTER)
    reading = asyncio.create_task(vault("get_secret", "key"))

    held = await acs_emulator.faults.held("key_vault.*")

    assert not reading.done()
    held.release()
    assert (await reading).value == "one"


async def test_wrong_token_is_refused_where_one_is_configured(start_emulator):
    emulator = await start_emulator(entra_token="right")
    options = {
        "vault_url": emulator.key_vault_url,
        "connection_verify": str(emulator.key_vault_ca_file),
        "verify_challenge_resource": False,
        "retry_total": 0,
    }

    async with AsyncSecretClient(credential=AsyncCredential("wrong"), **options) as client:
        with pytest.raises(HttpResponseError) as refused:
            await client.set_secret("key", "one")
    assert refused.value.status_code == 401
    async with AsyncSecretClient(credential=AsyncCredential("right"), **options) as client:
        await client.set_secret("key", "one")


@pytest.fixture
async def https(acs_emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """Speaks to the vault by hand, with as strict a check of its certificate as Python 3.13's."""
    context = ssl.create_default_context(cafile=acs_emulator.key_vault_ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    async with aiohttp.ClientSession(acs_emulator.key_vault_url, connector=connector) as session:
        yield session


async def test_shapes_are_the_published_ones(https):
    headers = {"Authorization": "Bearer token"}
    secret = {"value": "sekret", "contentType": "text/plain", "tags": {"role": "primary"}}
    attributes = {"enabled": True, "nbf": 1700000000, "exp": 1900000000}

    async with https.put(
        f"/secrets/s1{API_VERSION}", json={**secret, "attributes": attributes}, headers=headers
    ) as response:
        assert_same_shape(await response.json(), example("secret_bundle"))
    async with https.get(f"/secrets/nope/{API_VERSION}", headers=headers) as response:
        assert response.status == 404
        assert await response.json() == example("key_vault_error")
    async with https.get(f"/secrets/s1/versions{API_VERSION}", headers=headers) as response:
        listed = await response.json()
        assert "value" not in listed["value"][0]
        assert listed["nextLink"] is None


async def test_request_without_a_token_is_told_where_to_get_one(https):
    async with https.get(f"/secrets/s1/{API_VERSION}") as response:
        challenge = response.headers["WWW-Authenticate"]

    assert response.status == 401
    assert challenge.startswith('Bearer authorization="https://login.microsoftonline.com/')
    assert challenge.endswith('resource="https://vault.azure.net"')


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/secrets/s1/", None, 400),
        ("PUT", f"/secrets/s_1{API_VERSION}", b'{"value": "1"}', 400),
        ("PUT", f"/secrets/s1{API_VERSION}", b"{}", 400),
        ("PUT", f"/secrets/s1{API_VERSION}", b"nonsense", 400),
        ("PATCH", f"/secrets/s1/1{API_VERSION}", b"{}", 404),
        ("GET", f"/keys/k1{API_VERSION}", None, 404),
    ],
)
async def test_bad_request_is_refused_in_the_shape_of_key_vault(https, method, path, body, status):
    async with https.request(method, path, data=body, headers={"Authorization": "Bearer token"}) as response:
        assert response.status == status
        assert_same_shape(await response.json(), example("key_vault_error"))
