"""The Functions app's edges in one process, over tables and a vault in memory: nothing is waited for, nothing is kept.

Everything of the gateway down to the adapters is real; below them stand dictionaries that refuse what Table storage
refuses. Only credentials and keys are known beforehand.
"""

import asyncio
import base64
import copy
import importlib
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import jwt
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableEntity
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.adapters.account_store import TableAccountStore
from shared.adapters.answer_store import TableAnswerStore
from shared.adapters.call_store import TableCallStore
from shared.adapters.claim_store import TableClaimStore
from shared.adapters.connect import Connections
from shared.adapters.ivr_store import TableIvrStore
from shared.adapters.pod_store import TablePodStore
from shared.adapters.slot_store import TableSlotStore
from shared.calls.gateway import Gateway, compose
from shared.config import AcsTokenSettings, functions_settings
from shared.core.admission import PodLoad
from shared.gateway_document import encode
from shared.gateway_file import load_gateway_file
from shared.security.accounts import Account, hash_secret
from shared.security.acs_jwt import AcsTokenVerifier
from shared.security.keyring import SecretVersion
from shared.security.tokens import Audience, SigningKey, mint
from tests.support.records import CONNECTION_ID, call_record

REPOSITORY = Path(__file__).resolve().parents[2]
NOW = 1795196453.0
"""A second after the recorded calls began to ring."""
API_ID, API_SECRET = "the-api-id-of-the-account", "the-secret-of-the-account"
ACCOUNT = Account("demo", "Demo", API_ID, (hash_secret(API_SECRET),))
CALL_ID = "01980d5e-8f1c-7d3a-9b1e-0a1b2c3d4e5f"
CALL = call_record(call_id=CALL_ID)
KEY = base64.b64encode(b"k" * 32).decode()
KID = "the-version-of-the-key"
TOKEN = mint(
    Audience.CALLBACK,
    call_id=CALL_ID,
    account_id="demo",
    jti="jti-2",
    signing=SigningKey(KID, base64.b64decode(KEY)),
)
SETTINGS = functions_settings(
    {
        "ACS_ENDPOINT": "https://acs.example",
        "KEY_VAULT_URL": "https://vault.example",
        "STORAGE_TABLE_ENDPOINT": "https://tables.example",
        "STORAGE_BLOB_ENDPOINT": "https://blobs.example",
        "WEB_PUBSUB_ENDPOINT": "https://push.example",
        "CALLBACK_BASE_URL": "https://app.example",
        "MEDIA_BASE_URL": "wss://media.example",
        "ACS_JWT_VERIFIED_ON": "none",
    }
)
DOCUMENT = encode(load_gateway_file(REPOSITORY / "gateway.yaml").document)
ACS_TOKENS = AcsTokenSettings("acs-resource", "https://acs.example", "https://acs.example/openid", True, True)
CHECKING_ACS = replace(SETTINGS, common=replace(SETTINGS.common, acs_tokens=ACS_TOKENS))
_ACS_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ACS_TOKEN = jwt.encode(
    {"iss": ACS_TOKENS.issuer, "aud": ACS_TOKENS.audience, "exp": 4_000_000_000},
    _ACS_KEY,
    "RS256",
    {"kid": "acs"},
)
_ACS_JWK = jwt.PyJWK(
    jwt.algorithms.RSAAlgorithm.to_jwk(_ACS_KEY.public_key(), as_dict=True) | {"kid": "acs"}, "RS256"
)

MAX_PROPERTIES, MAX_STRING, MAX_ROW, MAX_KEY = 252, 64 * 1024, 1024 * 1024, 1024
"""Table storage's limits; the last three in bytes, of UTF-16 where they are of text."""


class MemoryTable:
    """One table, as far as the adapters use it."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}

    async def create_entity(self, entity: Mapping[str, Any], **_: Any) -> dict[str, str]:
        if _key(entity) in self._rows:
            raise ResourceExistsError
        return self._write(entity)

    async def upsert_entity(self, entity: Mapping[str, Any], **_: Any) -> dict[str, str]:
        return self._write(entity)

    async def update_entity(self, entity: Mapping[str, Any], *, etag: str, **_: Any) -> dict[str, str]:
        number, _row = self._rows[_key(entity)]
        assert etag == str(number), "nobody else writes here"
        return self._write(entity)

    async def get_entity(self, partition: str, row: str) -> TableEntity:
        found = self._rows.get((partition, row))
        if found is None:
            raise ResourceNotFoundError
        entity = TableEntity(copy.copy(found[1]))
        entity._metadata = {"etag": str(found[0])}
        return entity

    async def submit_transaction(self, operations: Iterable[tuple[Any, Mapping[str, Any]]]) -> None:
        for _create, entity in operations:
            await self.create_entity(entity)

    async def query_entities(
        self, *_: Any, parameters: Mapping[str, Any], **__: Any
    ) -> AsyncIterator[TableEntity]:
        for _number, row in self._rows.values():
            # Accounts share their partition with rows that only reserve a key.
            if "end" not in parameters or parameters["first"] <= row["RowKey"] < parameters["end"]:
                yield TableEntity(row)

    def _write(self, entity: Mapping[str, Any]) -> dict[str, str]:
        check_row(entity)
        number = self._rows.get(_key(entity), (0, {}))[0] + 1
        self._rows[_key(entity)] = (number, dict(entity))
        return {"etag": str(number)}


def _key(entity: Mapping[str, Any]) -> tuple[str, str]:
    return entity["PartitionKey"], entity["RowKey"]


def check_row(entity: Mapping[str, Any]) -> None:
    """Refuse what Table storage would refuse, in its way."""
    sizes = {name: _size(value) for name, value in entity.items()}
    for name in ("PartitionKey", "RowKey"):
        if sizes[name] > MAX_KEY or set(entity[name]) & set("/\\#?") or not entity[name].isprintable():
            raise _refusal(400)
    if len(entity) > MAX_PROPERTIES or max(sizes.values()) > MAX_STRING:
        raise _refusal(400)
    if sum(sizes.values()) + sum(2 * len(name) + 12 for name in entity) > MAX_ROW:
        raise _refusal(413)


def _size(value: object) -> int:
    match value:
        case str():
            return len(value.encode("utf-16-le"))
        case bytes():
            return len(value)
        case bool():
            return 1
        case int():
            assert -(2**63) <= value < 2**63
            return 8
        case float():
            assert value - value == 0, "JSON has no such number"
            return 8
    raise AssertionError(f"no property of a row: {type(value).__name__}")


def _refusal(status: int) -> HttpResponseError:
    error = HttpResponseError(f"table storage answers {status}")
    error.status_code = status
    return error


class MemoryTables:
    """Table storage."""

    def __init__(self) -> None:
        self._tables: dict[str, MemoryTable] = {}

    def get_table_client(self, name: str) -> MemoryTable:
        return self._tables.setdefault(name, MemoryTable())


class MemoryVault:
    """Key Vault: one version of every secret."""

    async def enabled_versions(self, _name: str) -> list[SecretVersion]:
        return [SecretVersion(KID, 0.0, KEY)]


class YesMan:
    """ACS and Web PubSub: everything is taken."""

    async def answer(self, *, incoming_call_context: str, callback_url: str, media_url: str, **_: Any) -> str:
        assert incoming_call_context
        assert callback_url.isascii()
        assert media_url.isascii()
        return str(uuid.uuid4())

    async def send(self, *_: Any) -> None:
        return None

    async def reject(self, **_: Any) -> None:
        return None

    async def hang_up(self, *_: Any, **__: Any) -> None:
        return None


class KnownAcsTokens(AcsTokenVerifier):
    """ACS's verifier with a key it needs not fetch."""

    async def _refresh(self) -> None:
        self._keys = {"acs": _ACS_JWK}


class OneVersion:
    """The profiles: those of the repository's gateway file."""

    async def current(self, _known: Any = None) -> Any:
        return SimpleNamespace(version=1)

    async def document(self, _version: int) -> bytes:
        return DOCUMENT


async def open_world(*, acs_tokens: bool = False) -> Gateway:
    """Make a gateway with one account and one call; nothing of an earlier one is in it."""
    tables = MemoryTables()
    slots = TableSlotStore(tables)
    connections = Connections(
        accounts=TableAccountStore(tables),
        claims=TableClaimStore(tables),
        calls=TableCallStore(tables, slots),
        pods=TablePodStore(tables),
        answers=TableAnswerStore(tables),
        ivr_calls=TableIvrStore(tables, slots),
        slots=slots,
        vault=MemoryVault(),
        call_control=YesMan(),
        signals=YesMan(),
        acs_tokens=KnownAcsTokens(ACS_TOKENS),
        profiles=OneVersion(),
        sounds=None,
        recordings=None,
        dead_letters=None,
        entra=None,
        credential=None,
        tables=tables,
        config_blobs=None,
    )
    await connections.accounts.create(ACCOUNT)
    await connections.pods.beat(PodLoad("pod-0", 0, 100, NOW))
    await connections.calls.create(replace(CALL, call_connection_id=CONNECTION_ID))
    gateway = compose(CHECKING_ACS if acs_tokens else SETTINGS, connections, clock=lambda: NOW)
    # Whoever is refused waits for a read of the accounts and then some: here, not at all.
    gateway.authenticator._attempts._sleep = _at_once
    for refresher in gateway.kept:
        refresher._min_interval_s = 0.0
    return gateway


async def _at_once(_seconds: float) -> None:
    return None


class Edges:
    """The app's functions, each request with a world of its own. Owns an event loop."""

    def __init__(self, monkeypatch: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._gateway: Gateway | None = None
        self._handlers: dict[str, Any] = {}
        # Of two events with one context the second waits for the first: looks, here, without a pause.
        monkeypatch.setattr("shared.calls.claiming.WAIT_STEP_S", 0)
        for name in ("acs_events", "call_events"):
            module = importlib.import_module(f"functions.{name}")
            monkeypatch.setattr(module, "PROCESS", self)
            for value in vars(module).values():
                if hasattr(value, "_function"):
                    self._handlers[value._function.get_function_name()] = value._function.get_user_function()

    async def gateway(self) -> Gateway:
        """Stand in for the process."""
        assert self._gateway is not None
        return self._gateway

    def ask(self, function: str, *, acs_tokens: bool = False, **request: Any) -> func.HttpResponse:
        """Put one request to a function, and return its answer."""
        complete = {"method": "POST", "url": "https://app.example/", "body": b"", **request}

        async def run() -> func.HttpResponse:
            self._gateway = await open_world(acs_tokens=acs_tokens)
            return await self._handlers[function](func.HttpRequest(**complete))

        return self._loop.run_until_complete(run())

    def close(self) -> None:
        """End the loop."""
        self._loop.close()
