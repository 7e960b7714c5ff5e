"""Settings of both processes, read from the environment once, with every fault listed together.

Nothing here opens a connection. Secrets are kept out of `repr`.
"""

import base64
import binascii
import os
import re
import secrets
import socket
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from shared.core.tool_hosts import LOOPBACK_HOSTS, ToolHosts, parse_host

T = TypeVar("T")

EVENT_GRID_PATIENCE_S = 30
MAX_RINGING_S = 60
MAX_TERMINATION_GRACE_S = 600
"""What Container Apps allow; 30 s is their default."""
STOP_RESERVE_S = 26
"""For calls to end in order once they have to, for recordings, and for the last words of the process."""
MAX_GRACE_S = 60
ACS_ISSUER = "https://acscallautomation.communication.azure.com"
ACS_OPENID_METADATA_URL = f"{ACS_ISSUER}/calling/.well-known/acsopenidconfiguration"
FRAME_MS = 20
DEFAULT_SPILL_DIR = Path(tempfile.gettempdir()) / "acs-voice-gateway-recordings"
UPKEEP_SCHEDULE = "0 */5 * * * *"
LOCAL_CREDENTIAL_FAULT = "AZURE_CREDENTIAL may be 'local' only when every endpoint is loopback"


class SettingsInvalid(Exception):
    """The environment does not make a working configuration; `faults` names every fault found."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class AcsTokenSettings:
    """How ACS's own JWT is checked: on every callback and media socket it proves the resource, not the call."""

    audience: str
    issuer: str
    metadata_url: str
    on_callbacks: bool
    on_media: bool


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where tables and blobs are: two endpoints, entered by identity, or a connection string for both."""

    table_endpoint: str | None
    connection_string: str | None = field(repr=False)
    blob_endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class WebPubSubSettings:
    """Where signals go through: an endpoint, entered by identity, or a connection string. One of the two is None."""

    endpoint: str | None
    connection_string: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """Which vault holds the token keys, and how it is entered."""

    url: str
    ca_file: Path | None
    local_credential: bool
    """A fixed token instead of Entra; only against loopback endpoints."""


@dataclass(frozen=True, slots=True)
class TokenKeyTimes:
    """When versions of a token key are read, and when one begins to sign. Seconds."""

    signing_age_s: float = 600.0
    """A version this old is known to every process, so it may sign."""
    refresh_s: float = 300.0
    """How often the vault is read."""
    min_interval_s: float = 10.0
    """Between two reads, however many tokens name an unknown key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonSettings:
    """What both processes need."""

    acs_endpoint: str
    acs_access_key: str | None = field(repr=False)
    """None: the managed identity is used."""
    acs_tokens: AcsTokenSettings | None
    vault: VaultSettings
    token_keys: TokenKeyTimes
    storage: StorageSettings
    web_pubsub: WebPubSubSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepSettings:
    """What upkeep closes and deletes, and when it runs."""

    schedule: str
    """Six fields: seconds, minutes, hours, days, months, days of the week (NCRONTAB), UTC."""
    owner_lost_after_s: int
    """Since the last sign of life of a call whose pod is gone; until then another pod may take it over."""
    claim_retention_hours: int
    """Claims on ringing calls, calls that were answered of late, and pods that went silent."""
    call_retention_days: int
    """Calls with their callbacks, from when they began."""
    recording_retention_days: int
    """Recordings, from the end of the day on which the call began; 0 keeps them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionsSettings:
    """What the Functions app needs. Durations in seconds."""

    common: CommonSettings
    callback_base_url: str
    media_base_url: str
    cognitive_services_endpoint: str | None
    event_grid_origins: frozenset[str]
    validation_needs_credentials: bool
    ring_deadline_s: float
    """After `event time` + this, the ringing is over: a call rings about 30 s."""
    event_budget_s: float
    claim_lease_s: float
    accounts_max_age_s: float
    """A change of an account takes effect within this time."""
    upkeep: UpkeepSettings
    tool_hosts: ToolHosts = field(default_factory=ToolHosts)
    """Which hosts the flows of the IVR may call."""


@dataclass(frozen=True, slots=True)
class LanguageSettings:
    """Where Azure AI Language is, and how it is entered."""

    endpoint: str
    key: str | None = field(repr=False)
    """None: the managed identity is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """What the media gateway needs. Durations in seconds."""

    common: CommonSettings
    host: str
    port: int
    pod_name: str
    max_calls: int
    interruption_grace_s: float
    """How long lost media may take to come back, before the call is sent on or hung up."""
    log_level: str
    tool_hosts: ToolHosts = field(default_factory=ToolHosts)
    """Which hosts the tools of profiles may call."""
    agent_append_ms: int = 20
    """Of the caller's audio in one message to a realtime service; a multiple of 20."""
    recording_spill_dir: Path = DEFAULT_SPILL_DIR
    """A folder on a volume, for parts of recordings while storage is away."""
    recording_spill_max_mb: int = 1024
    """The most that may lie there."""
    drain_s: float = 0.0
    """After SIGTERM: how long calls go on, before they are handed over or ended."""
    callback_base_url: str | None = None
    """Of the Functions app, where ACS can fetch prompts; None: they are not played to calls without media."""
    language: LanguageSettings | None = None
    """None: no transcript is analysed, whatever its profile says."""


class _Reader:
    """Reads one environment and gathers faults instead of raising at the first."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.faults: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        value = self._env.get(name, "").strip()
        if value:
            return value
        if default is None:
            self.faults.append(f"{name} is not set")
        return default or ""

    def optional(self, name: str) -> str | None:
        return self._env.get(name, "").strip() or None

    def parsed(self, name: str, parse: Callable[[str], T], default: T, what: str) -> T:
        value = self.optional(name)
        if value is None:
            return default
        try:
            return parse(value)
        except ValueError:
            self.faults.append(f"{name} must be {what}")
            return default

    def positive(self, name: str, default: float) -> float:
        value = self.parsed(name, float, default, "a number of seconds")
        if not 0 < value < float("inf"):
            self.faults.append(f"{name} must be more than 0")
        return value

    def whole(self, name: str, default: int, lowest: int, highest: int) -> int:
        value = self.parsed(name, int, default, "a whole number")
        if not lowest <= value <= highest:
            self.faults.append(f"{name} must be from {lowest} to {highest}")
        return value

    def choice(self, name: str, choices: Mapping[str, T], default: str) -> T:
        value = self.text(name, default)
        if value not in choices:
            self.faults.append(f"{name} must be one of: {', '.join(choices)}")
            return choices[default]
        return choices[value]

    def url(self, name: str, schemes: tuple[str, str | None], *, required: bool = True) -> str | None:
        """Read a base URL; the second, unencrypted scheme is for loopback only. No trailing slash."""
        value = self.text(name) if required else self.optional(name)
        if not value:
            return None
        secure, plain = schemes
        parts = _split(value)
        if parts is None or not parts.hostname or parts.scheme not in schemes:
            self.faults.append(f"{name} must be a URL that starts with {secure}://")
        elif parts.scheme == plain and parts.hostname not in LOOPBACK_HOSTS:
            self.faults.append(f"{name} may use {plain}:// only for a loopback host")
        elif parts.query or parts.fragment:
            self.faults.append(f"{name} must have no query")
        # The ACS SDK signs the endpoint as typed: a trailing slash breaks the signature.
        return value.rstrip("/")


def _split(url: str) -> SplitResult | None:
    """Split a URL; None where it is none, a bad port included."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _members(connection_string: str) -> dict[str, str]:
    """Return the members of a connection string by their names."""
    pairs = (pair.partition("=") for pair in connection_string.split(";") if "=" in pair)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _is_loopback(url: str | None) -> bool:
    parts = _split(url) if url is not None else None
    return parts is None or parts.hostname in LOOPBACK_HOSTS


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False


def _is_guid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _read_acs_tokens(reader: _Reader, acs_endpoint: str | None) -> AcsTokenSettings | None:
    audience = reader.optional("ACS_RESOURCE_ID")
    if audience is not None and not _is_guid(audience):
        reader.faults.append("ACS_RESOURCE_ID must be the resource's immutable id, a GUID")
    if audience is None and reader.optional("ACS_JWT_VERIFIED_ON") is None and not _is_loopback(acs_endpoint):
        reader.faults.append("ACS_RESOURCE_ID is not set; only ACS_JWT_VERIFIED_ON=none does without it")
    choices = {
        "none": (False, False),
        "callbacks": (True, False),
        "media": (False, True),
        "callbacks,media": (True, True),
    }
    on_callbacks, on_media = reader.choice(
        "ACS_JWT_VERIFIED_ON", choices, "callbacks,media" if audience else "none"
    )
    if not (on_callbacks or on_media):
        return None
    if audience is None:
        reader.faults.append("ACS_RESOURCE_ID is not set, and ACS_JWT_VERIFIED_ON needs it")
    metadata_url = reader.url("ACS_OPENID_METADATA_URL", ("https", "http"), required=False)
    return AcsTokenSettings(
        audience=audience or "",
        issuer=reader.text("ACS_TOKEN_ISSUER", ACS_ISSUER),
        metadata_url=metadata_url or ACS_OPENID_METADATA_URL,
        on_callbacks=on_callbacks,
        on_media=on_media,
    )


def _read_storage(reader: _Reader) -> StorageSettings:
    table_endpoint = reader.url("STORAGE_TABLE_ENDPOINT", ("https", "http"), required=False)
    blob_endpoint = reader.url("STORAGE_BLOB_ENDPOINT", ("https", "http"), required=False)
    connection_string = reader.optional("STORAGE_CONNECTION_STRING")
    is_set = {endpoint is not None for endpoint in (table_endpoint, blob_endpoint)}
    if is_set != {connection_string is None}:
        reader.faults.append(
            "set either STORAGE_TABLE_ENDPOINT and STORAGE_BLOB_ENDPOINT, or STORAGE_CONNECTION_STRING"
        )
    if connection_string is not None:
        names = _members(connection_string)
        if "AccountName" not in names or names.keys().isdisjoint({"AccountKey", "SharedAccessSignature"}):
            reader.faults.append("STORAGE_CONNECTION_STRING must hold AccountName and AccountKey")
    return StorageSettings(table_endpoint, connection_string, blob_endpoint)


def _read_web_pubsub(reader: _Reader) -> WebPubSubSettings:
    endpoint = reader.url("WEB_PUBSUB_ENDPOINT", ("https", "http"), required=False)
    connection_string = reader.optional("WEB_PUBSUB_CONNECTION_STRING")
    if (endpoint is None) == (connection_string is None):
        reader.faults.append("set either WEB_PUBSUB_ENDPOINT or WEB_PUBSUB_CONNECTION_STRING")
    if connection_string is not None:
        members = _members(connection_string)
        parts = _split(members.get("Endpoint", ""))
        if parts is None or not parts.hostname or not members.get("AccessKey"):
            reader.faults.append("WEB_PUBSUB_CONNECTION_STRING must hold Endpoint and AccessKey")
        elif parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS):
            reader.faults.append(
                "WEB_PUBSUB_CONNECTION_STRING must have an Endpoint of https://, or of http:// on loopback"
            )
    return WebPubSubSettings(endpoint, connection_string)


def _read_vault(reader: _Reader) -> VaultSettings:
    url = reader.url("KEY_VAULT_URL", ("https", None))
    ca_file = reader.optional("KEY_VAULT_CA_FILE")
    if ca_file is not None and not Path(ca_file).is_file():
        reader.faults.append("KEY_VAULT_CA_FILE names no file")
    local = reader.choice("AZURE_CREDENTIAL", {"default": False, "local": True}, "default")
    if local and not _is_loopback(url):
        reader.faults.append(LOCAL_CREDENTIAL_FAULT)
    return VaultSettings(url or "", Path(ca_file) if ca_file else None, local)


def _read_token_keys(reader: _Reader) -> TokenKeyTimes:
    default = TokenKeyTimes()
    signing_age_s = reader.positive("TOKEN_KEY_SIGNING_AGE_S", default.signing_age_s)
    refresh_s = reader.positive("TOKEN_KEY_REFRESH_S", default.refresh_s)
    if refresh_s * 2 > signing_age_s:
        reader.faults.append(
            "TOKEN_KEY_REFRESH_S must be half of TOKEN_KEY_SIGNING_AGE_S at most: "
            "a key is to be known everywhere before it signs"
        )
    return TokenKeyTimes(signing_age_s, refresh_s, min(default.min_interval_s, refresh_s))


def _read_upkeep(reader: _Reader) -> UpkeepSettings:
    schedule = reader.text("UPKEEP_SCHEDULE", UPKEEP_SCHEDULE)
    if not re.fullmatch(r"[\dA-Za-z*,/-]+( +[\dA-Za-z*,/-]+){5}", schedule):
        reader.faults.append("UPKEEP_SCHEDULE must have six fields, as 0 */5 * * * *")
    return UpkeepSettings(
        schedule=schedule,
        owner_lost_after_s=reader.whole("OWNER_LOST_AFTER_S", 60, 10, 3600),
        # A redirected call is known again for as long: no journey lasts longer than a few calls.
        claim_retention_hours=reader.whole("CLAIM_RETENTION_HOURS", 24, 4, 24 * 365),
        call_retention_days=reader.whole("CALL_RETENTION_DAYS", 90, 1, 3650),
        recording_retention_days=reader.whole("RECORDING_RETENTION_DAYS", 0, 0, 3650),
    )


def _read_common(reader: _Reader) -> CommonSettings:
    acs_endpoint = reader.url("ACS_ENDPOINT", ("https", "http"))
    acs_access_key = reader.optional("ACS_ACCESS_KEY")
    if acs_access_key is not None and not _is_base64(acs_access_key):
        reader.faults.append("ACS_ACCESS_KEY must be base64 text, as the portal shows it")
    if acs_endpoint and acs_endpoint.startswith("http://") and acs_access_key is None:
        reader.faults.append("ACS_ACCESS_KEY is not set, and ACS_ENDPOINT is http: Entra tokens need https")
    vault = _read_vault(reader)
    storage = _read_storage(reader)
    web_pubsub = _read_web_pubsub(reader)
    endpoints = (acs_endpoint, storage.table_endpoint, storage.blob_endpoint, web_pubsub.endpoint)
    if vault.local_credential and not all(map(_is_loopback, endpoints)):
        reader.faults.append(LOCAL_CREDENTIAL_FAULT)
    return CommonSettings(
        acs_endpoint=acs_endpoint or "",
        acs_access_key=acs_access_key,
        acs_tokens=_read_acs_tokens(reader, acs_endpoint),
        vault=vault,
        token_keys=_read_token_keys(reader),
        storage=storage,
        web_pubsub=web_pubsub,
    )


def storage_settings(env: Mapping[str, str] = os.environ) -> StorageSettings:
    """Read where the storage is, which is all that some commands need.

    Raises:
        SettingsInvalid: with every fault.
    """
    reader = _Reader(env)
    return _checked(reader, _read_storage(reader))


def vault_settings(env: Mapping[str, str] = os.environ) -> tuple[VaultSettings, TokenKeyTimes]:
    """Read which vault holds the token keys, and when they sign, which is all that some commands need.

    Raises:
        SettingsInvalid: with every fault.
    """
    reader = _Reader(env)
    return _checked(reader, (_read_vault(reader), _read_token_keys(reader)))


def functions_settings(env: Mapping[str, str] = os.environ) -> FunctionsSettings:
    """Read the settings of the Functions app.

    Raises:
        SettingsInvalid: with every fault.
    """
    reader = _Reader(env)
    origins = reader.text("EVENT_GRID_ORIGINS", "eventgrid.azure.net,eventgrid.azure.com")
    settings = FunctionsSettings(
        common=_read_common(reader),
        callback_base_url=reader.url("CALLBACK_BASE_URL", ("https", "http")) or "",
        media_base_url=reader.url("MEDIA_BASE_URL", ("wss", "ws")) or "",
        cognitive_services_endpoint=reader.url(
            "COGNITIVE_SERVICES_ENDPOINT", ("https", "http"), required=False
        ),
        event_grid_origins=frozenset(o.strip().lower() for o in origins.split(",") if o.strip()),
        validation_needs_credentials=reader.choice(
            "EVENT_GRID_VALIDATION", {"open": False, "credentials": True}, "open"
        ),
        ring_deadline_s=reader.positive("RING_DEADLINE_S", 25),
        event_budget_s=reader.positive("EVENT_BUDGET_S", 8),
        claim_lease_s=reader.positive("CLAIM_LEASE_S", 8),
        accounts_max_age_s=reader.positive("ACCOUNTS_MAX_AGE_S", 30),
        upkeep=_read_upkeep(reader),
        tool_hosts=_read_tool_hosts(reader),
    )
    if settings.event_budget_s >= EVENT_GRID_PATIENCE_S:
        reader.faults.append(
            f"EVENT_BUDGET_S must be below {EVENT_GRID_PATIENCE_S}: Event Grid waits no longer"
        )
    if settings.claim_lease_s < settings.event_budget_s:
        reader.faults.append(
            "CLAIM_LEASE_S must not be below EVENT_BUDGET_S: a delivery at work keeps its claim"
        )
    if settings.ring_deadline_s > MAX_RINGING_S:
        reader.faults.append(f"RING_DEADLINE_S must be {MAX_RINGING_S} at most: no call rings longer")
    return _checked(reader, settings)


def media_settings(env: Mapping[str, str] = os.environ) -> MediaSettings:
    """Read the settings of the media gateway.

    Raises:
        SettingsInvalid: with every fault.
    """
    reader = _Reader(env)
    settings = MediaSettings(
        common=_read_common(reader),
        host=reader.text("MEDIA_HOST", "0.0.0.0"),  # noqa: S104 - the platform's ingress is in front
        port=reader.whole("MEDIA_PORT", 8063, 0, 65535),
        pod_name=_pod_name(reader),
        max_calls=reader.whole("MAX_CALLS", 100, 1, 10_000),
        interruption_grace_s=reader.positive("INTERRUPTION_GRACE_S", 8),
        log_level=reader.choice(
            "LOG_LEVEL", {level: level for level in ("DEBUG", "INFO", "WARNING", "ERROR")}, "INFO"
        ),
        tool_hosts=_read_tool_hosts(reader),
        agent_append_ms=reader.whole("AGENT_APPEND_MS", 20, 20, 200),
        recording_spill_dir=Path(reader.text("RECORDING_SPILL_DIR", str(DEFAULT_SPILL_DIR))),
        recording_spill_max_mb=reader.whole("RECORDING_SPILL_MAX_MB", 1024, 1, 1024 * 1024),
        drain_s=reader.whole("DRAIN_S", 0, 0, MAX_TERMINATION_GRACE_S),
        callback_base_url=reader.url("CALLBACK_BASE_URL", ("https", "http"), required=False),
        language=_read_language(reader),
    )
    grace_s = reader.whole("TERMINATION_GRACE_S", 30, STOP_RESERVE_S, MAX_TERMINATION_GRACE_S)
    if settings.drain_s + STOP_RESERVE_S > grace_s:
        reader.faults.append(
            f"DRAIN_S must be {STOP_RESERVE_S} below TERMINATION_GRACE_S ({grace_s}): calls end in order after it,"
            " before the platform kills the process"
        )
    if settings.agent_append_ms % FRAME_MS:
        reader.faults.append(
            f"AGENT_APPEND_MS must be a multiple of {FRAME_MS}: ACS sends frames of that length"
        )
    if settings.interruption_grace_s > MAX_GRACE_S:
        reader.faults.append(
            f"INTERRUPTION_GRACE_S must be {MAX_GRACE_S} at most: the caller hears nothing meanwhile"
        )
    return _checked(reader, settings)


def _read_language(reader: _Reader) -> LanguageSettings | None:
    endpoint = reader.url("LANGUAGE_ENDPOINT", ("https", "http"), required=False)
    key = reader.optional("LANGUAGE_KEY")
    if endpoint is None:
        if key is not None:
            reader.faults.append("LANGUAGE_KEY is set, and LANGUAGE_ENDPOINT is not")
        return None
    if key is None and reader.text("AZURE_CREDENTIAL", "default") == "local" and not _is_loopback(endpoint):
        reader.faults.append(LOCAL_CREDENTIAL_FAULT)
    return LanguageSettings(endpoint, key)


def _pod_name(reader: _Reader) -> str:
    """Return a name that no other process ever has: one that restarts in its replica does not own the old calls."""
    name = (
        reader.optional("POD_NAME") or reader.optional("CONTAINER_APP_REPLICA_NAME") or socket.gethostname()
    )
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name):
        reader.faults.append("POD_NAME must be letters, digits, dots, hyphens and underscores, 100 at most")
    return f"{name}-{secrets.token_hex(4)}"


def _read_tool_hosts(reader: _Reader) -> ToolHosts:
    hosts = set()
    for entry in filter(None, map(str.strip, reader.text("TOOL_HOSTS", "").split(","))):
        try:
            hosts.add(parse_host(entry))
        except ValueError:
            reader.faults.append(
                f"TOOL_HOSTS must list hosts, as api.example.com:8443 or *.example.com; '{entry}' is none"
            )
    return ToolHosts(frozenset(hosts))


def _checked(reader: _Reader, settings: T) -> T:
    if reader.faults:
        raise SettingsInvalid(tuple(dict.fromkeys(reader.faults)))
    return settings
