"""Getting through to a realtime service: what a refusal means, and what a credential is."""

from collections import Counter
from http import HTTPStatus
from types import SimpleNamespace

import pytest
from picows import WSHandshakeError

from media_gateway.agents.contract import AgentFailed
from media_gateway.agents.realtime.connection import Connector, _reason
from shared.core.profiles import EntraAuth, KeyAuth
from shared.errors import NotConfigured, VaultUnavailable


class Given:
    """A vault and an identity that have one value, or none."""

    def __init__(self, value):
        self._value = value

    async def value(self, name):
        if isinstance(self._value, Exception):
            raise self._value
        return self._value

    token = value


def connector(value):
    return Connector(Given(value), Given(value), Counter(), tls=None)


@pytest.mark.parametrize("stored", ["sk-1", "sk-1\n", " sk-1\r\n"])
async def test_a_file_s_last_line_break_is_no_part_of_a_key(stored):
    assert await connector(stored)._credential(KeyAuth("openai-key")) == "sk-1"


@pytest.mark.parametrize("error", [NotConfigured("none"), VaultUnavailable("away")])
@pytest.mark.parametrize("auth", [KeyAuth("openai-key"), EntraAuth("https://x/.default")])
async def test_a_credential_that_cannot_be_had_is_an_outcome_of_its_own(auth, error):
    with pytest.raises(AgentFailed, match=r"^no_credential$"):
        await connector(error)._credential(auth)


async def test_a_service_on_loopback_asks_for_none():
    assert await connector(NotConfigured("none"))._credential(None) == ""


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "unauthorized"),
        (403, "unauthorized"),
        (404, "no_such_model"),
        (429, "quota"),
        (301, "refused"),
        (400, "refused"),
        (418, "refused"),
        (500, "unavailable"),
        (503, "unavailable"),
    ],
)
def test_a_status_before_the_upgrade_has_a_meaning(status, reason):
    error = WSHandshakeError("no")
    error.response = SimpleNamespace(status=HTTPStatus(status))
    assert _reason(error) == reason


def test_no_answer_in_http_is_a_refusal():
    error = WSHandshakeError("no")
    error.response = None
    assert _reason(error) == "refused"
