"""The emulated identity API makes users of the resource, for who has its access key."""

import aiohttp
import pytest

from tests.support.acs_signing import signed_headers

CREATED = "/identities?api-version=2023-10-01"


async def post(emulator, body, *, path=CREATED, key=None):
    url = emulator.base_url + path
    headers = signed_headers("POST", url, body, emulator.settings.access_key if key is None else key)
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
        return response.status, await response.json()


async def test_an_identity_is_a_user_of_the_resource(acs_emulator):
    status, made = await post(acs_emulator, b"{}")
    assert status == 201
    assert made["identity"]["id"].startswith(f"8:acs:{acs_emulator.settings.resource_id}_")


@pytest.mark.parametrize(
    ("body", "how", "status", "code"),
    [
        (b"{}", {"key": "d3Jvbmc="}, 401, "7509"),
        (b"{}", {"path": "/identities"}, 400, "8523"),
        (b"[]", {}, 400, "8523"),
        (b"{", {}, 400, "8523"),
        (b'{"createTokenWithScopes":["voip"]}', {}, 501, "NotImplemented"),
    ],
)
async def test_anything_else_is_refused_in_the_shape_of_acs(acs_emulator, body, how, status, code):
    answered, refusal = await post(acs_emulator, body, **how)
    assert (answered, refusal["error"]["code"]) == (status, code)
