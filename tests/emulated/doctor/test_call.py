"""The doctor's own call: placed at a local stack; elsewhere announced, and taken as far as ACS lets it come."""

from contextlib import asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio

from shared.adapters.connect import connect
from shared.admin.checks import call
from shared.admin.checks.catalogue import NAMES, examine_all, open_site
from shared.admin.checks.contract import Check, Outcome, examine, routing_in_force
from shared.config import functions_settings
from shared.security.accounts import hash_secret, new_api_secret, rotation_cancelled, with_next_secret
from tests.emulated.doctor.conftest import finding

pytestmark = pytest.mark.asyncio(loop_scope="package")

PAIR = ("demo-api-id", "demo-api-secret")


async def announced(site):
    """As the check does where there is no emulator."""
    (route, *_) = (await routing_in_force(site)).routes
    return await call._announced(site, route)


ANNOUNCED = Check("call", "", announced, "")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def secret(stack):
    """A secret of the account, that Event Grid might show, in the vault where a deployment's hook puts it."""
    secret = new_api_secret()
    async with connect(functions_settings(stack.settings).common) as connections:
        account = await connections.accounts.change(
            "demo", lambda account: with_next_secret(account, secret, hash_secret(secret))
        )
        for name, value in zip(PAIR, (account.api_id, secret), strict=True):
            await connections.vault.add_version(name, value)
        yield secret
        await connections.accounts.change("demo", rotation_cancelled)


@asynccontextmanager
async def acs_refusing(stack, *operations, status=403):
    """Have ACS refuse operations while this lasts."""
    url = f"{stack.settings['ACS_ENDPOINT']}/emulator/faults"
    async with aiohttp.ClientSession() as http:
        for operation in operations:
            rule = {"operation": operation, "action": {"kind": "status", "status": status}}
            async with http.post(url, json=rule) as response:
                assert response.status == 201
        yield
        async with http.delete(url) as response:
            assert response.ok


async def examined(stack):
    async with open_site(stack.settings, functions_settings(stack.settings)) as site:
        return await examine(ANNOUNCED, site)


async def test_a_call_that_is_announced_is_taken_as_far_as_acs(stack, secret):
    found = await examined(stack)
    assert (found.outcome, found.found) == (
        Outcome.PASS,
        "a call that there is not was taken as far as ACS, which knows the Functions app, and not the call",
    )


async def test_an_answer_that_acs_does_not_allow_the_functions_app_is_a_missing_role(stack, secret):
    async with acs_refusing(stack, "answer"):
        found = await examined(stack)
    assert found.outcome is Outcome.FAIL
    assert "does not let the Functions app answer" in found.found
    assert "Communication and Email Service Owner" in found.advice


async def test_an_acs_that_tells_nobody_what_is_wrong_is_no_fault_of_the_deployment(stack, secret):
    async with acs_refusing(stack, "answer", "reject", status=503):
        found = await examined(stack)
    assert found.outcome is Outcome.SKIP


async def test_credentials_that_are_not_the_account_s_would_let_no_call_in(stack, secret):
    async with connect(functions_settings(stack.settings).common) as connections:
        await connections.vault.add_version(PAIR[1], "another-secret-than-the-account-has")
        try:
            found = await examined(stack)
        finally:
            await connections.vault.add_version(PAIR[1], secret)
    assert found.outcome is Outcome.FAIL
    assert found.found.startswith("a call that there is not should be missed, and is: ")
    assert secret not in found.found


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ({"end": None, "mediaAddress": None}, "a call that was placed was not answered within 0 s"),
        (
            {
                "end": None,
                "mediaAddress": {"url": "ws://127.0.0.1:9/media/one", "headers": {}, "sampleRate": 16000},
            },
            "no good answer: ClientConnectorError",
        ),
    ],
    ids=["no answer", "no pod"],
)
async def test_a_call_that_nobody_takes_is_a_fault(stack, stand_in, monkeypatch, shown, said):
    monkeypatch.setattr(call, "ANSWER_S", 0.3)
    acs = f"http://{await stand_in(201, {'correlationId': 'one', **shown})}"
    found = await finding({**stack.settings, "ACS_ENDPOINT": acs}, "call")
    assert (found.outcome, found.found) == (Outcome.FAIL, said)


async def test_no_call_is_placed_while_something_else_has_failed(stack):
    env = {**stack.settings, "ACS_TOKEN_ISSUER": "https://other.example.com"}
    kept = ("acs-keys", "call")
    findings = {
        each.check: each for each in await examine_all(env, without=[n for n in NAMES if n not in kept])
    }
    assert findings["acs-keys"].outcome is Outcome.FAIL
    assert (findings["call"].outcome, findings["call"].found) == (Outcome.SKIP, "something else has failed")
