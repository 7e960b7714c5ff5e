"""Identities of ACS: users (`8:acs:...`) that a call can be placed or transferred to.

The one request that is needed of this API, so it needs no SDK of its own. Its signature is ACS's published one: HMAC-
SHA256 of method, path, date, host and the content's hash.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from shared.adapters.entra import EntraTokens
from shared.errors import AcsRefused, AcsUnavailable

API_VERSION = "2023-10-01"
PATH = f"/identities?api-version={API_VERSION}"
SCOPE = "https://communication.azure.com//.default"
REQUEST_S = 10.0
BODY = b"{}"


class AcsIdentities:
    """Makes identities of one ACS resource.

    Args:
        endpoint: of the resource, without a slash at its end.
        access_key: base64; None: `tokens` are shown.
        tokens: of whoever asks.
    """

    def __init__(self, endpoint: str, access_key: str | None, tokens: EntraTokens) -> None:
        self._endpoint = endpoint
        self._access_key = access_key
        self._tokens = tokens

    async def create(self) -> str:
        """Make an identity that has no token, and return its raw id. Asked twice, it makes two.

        Raises:
            AcsRefused: ACS does not let us.
            AcsUnavailable: ACS does not answer, or not as it should.
            IdentityUnavailable: there is no Entra token.
        """
        headers = {"Content-Type": "application/json", **await self._proof()}
        timeout = aiohttp.ClientTimeout(total=REQUEST_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(
                    self._endpoint + PATH, data=BODY, headers=headers, allow_redirects=False
                ) as answer,
            ):
                if answer.status != HTTPStatus.CREATED:
                    refused = answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
                    kind = AcsRefused if refused else AcsUnavailable
                    raise kind(f"ACS answered {answer.status}")
                raw_id: str = (await answer.json())["identity"]["id"]
                return raw_id
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AcsUnavailable("ACS did not answer") from error
        except (ValueError, KeyError, TypeError) as error:
            raise AcsUnavailable("ACS's answer has no identity") from error

    async def _proof(self) -> Mapping[str, str]:
        if self._access_key is None:
            return {"Authorization": f"Bearer {await self._tokens.token(SCOPE)}"}
        return signature(self._endpoint, self._access_key, datetime.now(UTC))


def signature(endpoint: str, access_key: str, now: datetime) -> dict[str, str]:
    """Return the headers that prove the access key for this request."""
    date, host = format_datetime(now, usegmt=True), urlsplit(endpoint).netloc
    content = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    text = f"POST\n{PATH}\n{date};{host};{content}".encode()
    signed = base64.b64encode(hmac.digest(base64.b64decode(access_key), text, hashlib.sha256)).decode()
    return {
        "x-ms-date": date,
        "x-ms-content-sha256": content,
        "Authorization": f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signed}",
    }
