"""Injecting faults through the emulator's own API."""

import pytest
from azure.core.exceptions import HttpResponseError

from emulator.faults import MAX_WAITING


async def inject(http, emulator, **fault) -> tuple[int, str]:
    async with http.post(emulator.base_url + "/emulator/faults", json=fault) as response:
        return response.status, await response.text()


async def test_next_requests_of_the_operation_fail_as_told(
    acs_emulator, aio_client, place_call, application, http
):
    call = await place_call()

    status, _ = await inject(
        http, acs_emulator, operation="answer", status=429, code="8516", message="Slow down.", times=2
    )

    assert status == 204
    for _ in range(2):
        with pytest.raises(HttpResponseError) as failed:
            await aio_client.answer(call, application)
        assert (failed.value.status_code, failed.value.error.code) == (429, "8516")
        assert "Slow down." in failed.value.message
    assert (await aio_client.answer(call, application)).call_connection_id


async def test_operation_and_status_are_enough(acs_emulator, aio_client, place_call, http):
    call = await place_call()

    await inject(http, acs_emulator, operation="reject", status=503, code=None)

    with pytest.raises(HttpResponseError) as failed:
        await aio_client("reject_call", call.incoming_call_context)
    assert (failed.value.status_code, failed.value.error.code) == (503, "InternalServerError")


async def test_key_vault_can_be_made_to_fail(acs_emulator, http):
    status, _ = await inject(http, acs_emulator, operation="key_vault.getSecret", status=503)

    assert status == 204
    assert acs_emulator.faults.take("key_vault.getSecret").status == 503


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ({"status": 503}, "operation"),
        ({"operation": "answer"}, "status"),
        ({"operation": "answer", "status": 200}, "status"),
        ({"operation": "answer", "status": 503, "times": 0}, "times"),
        ({"operation": "answer", "status": 503, "time": 1}, "time"),
        ({"operation": "dance", "status": 503}, "there are: addParticipant, answer"),
    ],
)
async def test_wrong_fault_is_refused(acs_emulator, http, fault, problem):
    status, text = await inject(http, acs_emulator, **fault)

    assert status == 400
    assert problem in text


async def test_only_so_many_faults_wait(acs_emulator, http):
    await inject(http, acs_emulator, operation="answer", status=503, times=MAX_WAITING)

    status, _ = await inject(http, acs_emulator, operation="answer", status=503)

    assert status == 409


async def test_rubbish_is_refused(acs_emulator, http):
    async with http.post(acs_emulator.base_url + "/emulator/faults", data=b"[" * 100_000) as response:
        assert response.status == 400
