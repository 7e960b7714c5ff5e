"""Access-key signatures and bearer tokens on requests."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from azure.communication.callautomation import PhoneNumberIdentifier
from azure.communication.callautomation.aio import CallAutomationClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from multidict import CIMultiDict

from emulator.access_key import SignatureRefused, SignedRequest, check_signature
from tests.support.acs_signing import signed_headers
from tests.support.shapes import assert_same_shape, example

NOW = datetime(2026, 11, 20, 17, 40, 52, tzinfo=UTC)
KEY = base64.b64encode(b"the key").decode()
URL = "http://127.0.0.1:8061/calling/callConnections:answer?api-version=2026-03-12"
BODY = b'{"a":1}'


def signed(*, date: datetime = NOW, key: str = KEY, url: str = URL) -> SignedRequest:
    headers = CIMultiDict(signed_headers("POST", url, BODY, key, date=date), Host="127.0.0.1:8061")
    return SignedRequest("POST", url.removeprefix("http://127.0.0.1:8061"), headers, BODY)


def with_header(name: str, value: str | None) -> SignedRequest:
    request = signed()
    headers = CIMultiDict(request.headers)
    headers.pop(name)
    if value is not None:
        headers[name] = value
    return replace(request, headers=headers)


REFUSED = {
    "no authorization": (with_header("Authorization", None), "Authorization header is missing"),
    "bearer": (with_header("Authorization", "Bearer abc"), "not 'HMAC-SHA256"),
    "other headers signed": (
        with_header("Authorization", "HMAC-SHA256 SignedHeaders=date;host&Signature=abc"),
        "SignedHeaders must be",
    ),
    "wrong signature": (
        with_header(
            "Authorization",
            "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=" + "A" * 43 + "=",
        ),
        "does not match",
    ),
    "no date": (with_header("x-ms-date", None), "x-ms-date header is missing"),
    "no http date": (with_header("x-ms-date", "yesterday"), "not an HTTP date"),
    "too old": (signed(date=NOW - timedelta(minutes=5, seconds=1)), "more than 5 minutes"),
    "too new": (signed(date=NOW + timedelta(minutes=5, seconds=1)), "more than 5 minutes"),
    "no content hash": (with_header("x-ms-content-sha256", None), "x-ms-content-sha256 header is missing"),
    "other content": (replace(signed(), body=b"{}"), "does not match the content"),
    "other key": (signed(key=base64.b64encode(b"another").decode()), "signature does not match"),
    "other path": (replace(signed(), target="/calling/callConnections:reject"), "signature does not match"),
    "other query": (replace(signed(), target=signed().target + "&x=1"), "signature does not match"),
    "other method": (replace(signed(), method="PUT"), "signature does not match"),
    "other host": (with_header("Host", "127.0.0.1:8062"), "signature does not match"),
    "signed with a trailing slash": (with_header("Host", "127.0.0.1:8061/"), "signature does not match"),
}


@pytest.mark.parametrize(("request_", "reason"), REFUSED.values(), ids=REFUSED)
def test_bad_signature_is_refused(request_, reason):
    with pytest.raises(SignatureRefused, match=reason):
        check_signature(request_, access_key=b"the key", now=NOW)


@pytest.mark.parametrize("minutes", [-5, 0, 5])
def test_good_signature_is_accepted_within_five_minutes(minutes):
    check_signature(signed(date=NOW + timedelta(minutes=minutes)), access_key=b"the key", now=NOW)


def test_path_that_was_signed_encoded_and_sent_decoded_is_accepted():
    encoded = "http://127.0.0.1:8061/calling/callConnections/1/participants/4%3A%2B14255550100?api-version=1"
    request = signed(url=encoded)

    sent = replace(request, target=request.target.replace("4%3A%2B", "4:%2B"))

    check_signature(sent, access_key=b"the key", now=NOW)


async def test_sdk_gets_past_authentication_with_an_identifier_in_the_path(client):
    with pytest.raises(HttpResponseError) as refused:
        await client.on_call("1", "get_participant", PhoneNumberIdentifier("+14255550100"))

    assert refused.value.status_code == 404  # and not 401


async def test_wrong_access_key_is_refused_in_the_shape_of_acs(acs_emulator, http):
    url = acs_emulator.base_url + "/calling/callConnections/1?api-version=2026-03-12"

    async with http.get(url, headers=signed_headers("GET", url, b"", KEY)) as response:
        sent = await response.json()

    assert response.status == 401
    assert_same_shape(sent, example("error"))
    assert sent["error"]["code"] == "7509"


async def test_sdk_raises_its_authentication_error(acs_emulator):
    credential = AzureKeyCredential(KEY)

    async with CallAutomationClient(acs_emulator.base_url, credential, retry_total=0) as client:
        with pytest.raises(ClientAuthenticationError) as refused:
            await client.reject_call("context")

    assert refused.value.error.code == "7509"


@pytest.mark.parametrize(
    ("configured", "sent", "status"),
    [("entra", "entra", 404), ("entra", "other", 401), (None, "entra", 401)],
)
async def test_bearer_token_counts_only_where_one_is_configured(
    start_emulator, http, configured, sent, status
):
    emulator = await start_emulator(entra_token=configured)
    url = emulator.base_url + "/calling/callConnections/1?api-version=2026-03-12"

    async with http.get(url, headers={"Authorization": f"Bearer {sent}"}) as response:
        assert response.status == status
