"""Settings of the emulated services; wrong ones are all reported together, before anything starts."""

import base64
import binascii
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec

from emulator.event_grid.subscriptions import EventSubscription, SubscriptionRefused, read_subscription
from emulator.faults.rules import MAX_RULES, FaultRule, RuleRefused, check_rule, read_rule
from emulator.media.impairment import SOUND, Impairment
from emulator.outside import OutsideParties, OutsideParty, OutsideRefused
from emulator.wire.identifiers import PHONE_PREFIX
from emulator.wire.json_text import NotJson, decode_json

DEFAULT_RESOURCE_ID: Final = "11111111-1111-1111-1111-111111111111"

WELL_KNOWN_ACCESS_KEY: Final = base64.b64encode(b"acs-emulator: public, not a secret").decode()
"""The access key unless another is set; everybody knows it, as they know Azurite's."""

MIN_WEB_PUBSUB_KEY_BYTES: Final = 32
"""Keys of HMAC-SHA256 that are shorter are weaker than the hash; PyJWT warns of them."""

DEFAULT_TOKEN_ISSUER: Final = "https://acscallautomation.communication.azure.com"  # noqa: S105 - an issuer's name

MAX_PORT: Final = 65_535

_CONNECTION_STRING_VALUE = re.compile(r"[^;\s]*")
_PHONE_NUMBER = re.compile(r"\+\d{2,15}")


class SettingsError(ValueError):
    """Settings are wrong; the text lists every fault.

    Attributes:
        faults: one by one.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            "The emulator's settings are wrong:\n" + "\n".join(f"- {fault}" for fault in self.faults)
        )


@dataclass(frozen=True, kw_only=True)
class EmulatorSettings:
    """What the emulator is and how it behaves.

    Durations that Azure fixes (waits between attempts, lifetimes of pending things) are multiplied by `time_scale`.
    What people and programs do runs on the real clock: ringing, connecting, audio, and time-outs of requests.

    Attributes:
        host: address to listen on.
        port: of ACS, Event Grid, Web PubSub, the phone socket and the emulator's own API; 0 takes a free one.
        key_vault_port: of Key Vault (HTTPS); 0 takes a free one.
        key_vault_ca_file: where to write the PEM of the certificate authority that signs Key Vault's certificate;
            a temporary file that goes away at the end when None.
        resource_id: GUID of the ACS resource, the audience of its tokens.
        access_key: base64 text, as shown in the portal.
        entra_token: bearer token that stands in for Entra's. Call Automation, Web PubSub and Azure AI Language accept
            bearer tokens only when it is set; Key Vault accepts any token when it is not.
        token_issuer: `iss` of the tokens that the emulator signs.
        phone_numbers: E.164 numbers of the resource.
        identities: raw ids of the resource's ACS users.
        outside_parties: by number or raw id, how others behave to whom a call is transferred.
        ring_seconds: how long a call rings before it ends unanswered.
        connect_seconds: from answering to the connected call.
        request_timeout_seconds: how long webhooks and callbacks may take to answer.
        web_pubsub_access_key: of Web PubSub, used as text; signs requests and clients' tokens.
        web_pubsub_recovery_seconds: how long a reliable client that lost its socket may take to come back.
        media_reconnect_tries: how often a lost media socket is opened anew before streaming fails.
        late_tones_complete: whether a recognition in which the next key does not come in time tells the keys so far,
            by RecognizeCompleted with code 400, and does not fail; Azure's documentation has had both.
        media_impairment: what is wrong with every call's media sockets, unless a call is placed with its own.
        time_scale: factor on the protocol's waits and lifetimes.
        probation: whether Event Grid holds back endpoints that fail again and again, as Azure does.
        repeatability: whether a repeated Repeatability-Request-ID replays the first answer.
        subscriptions: Event Grid subscriptions to create at start; their endpoints must be up by then.
        azurite_blob_port, azurite_table_port: where Azurite listens on the loopback address; a fault proxy is put
            before each that is not 0.
        storage_blob_port, storage_table_port: of these proxies; 0 takes a free one.
        faults: rules in force from the start.
        seed: of the faults' draws; the same seed and the same calls give the same faults.
    """

    host: str = "127.0.0.1"
    port: int = 0
    key_vault_port: int = 0
    key_vault_ca_file: Path | None = None
    resource_id: str = DEFAULT_RESOURCE_ID
    access_key: str = field(default=WELL_KNOWN_ACCESS_KEY, repr=False)
    entra_token: str | None = field(default=None, repr=False)
    token_issuer: str = DEFAULT_TOKEN_ISSUER
    phone_numbers: tuple[str, ...] = ("+18005550199",)
    identities: tuple[str, ...] = ()
    outside_parties: Mapping[str, OutsideParty] = field(default_factory=dict)
    ring_seconds: float = 30.0
    connect_seconds: float = 0.1
    request_timeout_seconds: float = 30.0
    web_pubsub_access_key: str = field(default=WELL_KNOWN_ACCESS_KEY, repr=False)
    web_pubsub_recovery_seconds: float = 30.0
    late_tones_complete: bool = False
    media_reconnect_tries: int = 3
    media_impairment: Impairment = SOUND
    time_scale: float = 1.0
    probation: bool = False
    repeatability: bool = True
    subscriptions: tuple[EventSubscription, ...] = field(default=(), repr=False)
    azurite_blob_port: int = 0
    azurite_table_port: int = 0
    storage_blob_port: int = 0
    storage_table_port: int = 0
    faults: tuple[FaultRule, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        faults = [*self._identity_faults(), *self._number_faults()]
        try:
            self.outside()
        except OutsideRefused as refusal:
            faults.append(f"outside_parties: {refusal}")
        for subscription in self.subscriptions:
            try:
                read_subscription(subscription.name, msgspec.to_builtins(subscription))
            except SubscriptionRefused as refusal:
                faults.append(f"subscription {subscription.name}: {refusal}")
        for index, rule in enumerate(self.faults, 1):
            try:
                check_rule(rule)
            except RuleRefused as refusal:
                faults.extend(f"faults: number {index}: {problem}" for problem in refusal.problems)
        if len(self.faults) > MAX_RULES:
            faults.append(f"faults: more than {MAX_RULES}")
        if faults:
            raise SettingsError(faults)

    @property
    def access_key_bytes(self) -> bytes:
        """The access key as it is used for signing."""
        return base64.b64decode(self.access_key)

    @property
    def addresses(self) -> frozenset[str]:
        """Raw ids of everything that can be called."""
        return frozenset({PHONE_PREFIX + number for number in self.phone_numbers} | set(self.identities))

    def outside(self) -> OutsideParties:
        """Everybody who does not belong to the resource. Blocks while it reads their recordings.

        Raises:
            OutsideRefused: one of them cannot be as set; the text names who.
        """
        return OutsideParties(self.outside_parties, ours=self.addresses)

    @property
    def application_id(self) -> str:
        """Raw id under which the application takes part in calls to a phone number, unless it names another."""
        return f"8:acs:{self.resource_id}_00000014-0000-0000-0000-000000000001"

    def _identity_faults(self) -> list[str]:
        found = []
        try:
            uuid.UUID(self.resource_id)
        except ValueError:
            found.append("resource_id is not a GUID")
        try:
            usable = bool(base64.b64decode(self.access_key, validate=True))
        except binascii.Error:
            usable = False
        if not usable:
            found.append("access_key is not base64 text")
        if len(self.web_pubsub_access_key.encode()) < MIN_WEB_PUBSUB_KEY_BYTES:
            found.append(f"web_pubsub_access_key has less than {MIN_WEB_PUBSUB_KEY_BYTES} bytes")
        if not _CONNECTION_STRING_VALUE.fullmatch(self.web_pubsub_access_key):
            found.append("web_pubsub_access_key has spaces or semicolons")
        found += [
            f"phone_numbers: number {index} is not E.164 with a plus sign"
            for index, number in enumerate(self.phone_numbers, 1)
            if not _PHONE_NUMBER.fullmatch(number)
        ]
        found += [
            f"identities: {identity} is not an ACS user of the resource (8:acs:<resource_id>_<user>)"
            for identity in self.identities
            if not identity.startswith(f"8:acs:{self.resource_id}_")
        ]
        return found

    def _number_faults(self) -> list[str]:
        positive = ("ring_seconds", "request_timeout_seconds", "web_pubsub_recovery_seconds", "time_scale")
        ports = (
            "port",
            "key_vault_port",
            "azurite_blob_port",
            "azurite_table_port",
            "storage_blob_port",
            "storage_table_port",
        )
        not_negative = (*ports, "connect_seconds", "media_reconnect_tries")
        return [
            *(f"{name} must not be above {MAX_PORT}" for name in ports if getattr(self, name) > MAX_PORT),
            *(f"{name} must be greater than 0" for name in positive if getattr(self, name) <= 0),
            *(f"{name} must not be negative" for name in not_negative if getattr(self, name) < 0),
        ]


def read_settings(path: Path) -> EmulatorSettings:
    """Read settings from a file: a JSON object whose members are named as the fields of `EmulatorSettings`.

    Subscriptions are as in `PUT /eventgrid/subscriptions/{name}`, each with its `name`. What the file does not name
    has its default.

    Raises:
        OSError: the file cannot be read.
        SettingsError: with every fault of the file.
    """
    try:
        content = decode_json(path.read_bytes())
    except NotJson as error:
        raise SettingsError([f"{path.name} cannot be read: {error}"]) from None
    if not isinstance(content, dict):
        raise SettingsError([f"{path.name} is not a JSON object"])
    kinds = get_type_hints(EmulatorSettings)
    known = {each.name for each in fields(EmulatorSettings)}
    faults = [f"{name} is not a setting" for name in content if name not in known]
    read: dict[str, Any] = {}
    for name in (name for name in content if name in known):
        try:
            if name == "subscriptions":
                read[name] = _read_subscriptions(content[name])
            elif name == "faults":
                read[name] = _read_rules(content[name])
            else:
                read[name] = msgspec.convert(content[name], kinds[name], dec_hook=_read_path)
        except msgspec.ValidationError as error:
            faults.append(f"{name}: {error}")
        except SettingsError as error:
            faults.extend(error.faults)
    try:
        settings = EmulatorSettings(**read)
    except SettingsError as error:
        faults.extend(error.faults)
    if faults:
        raise SettingsError(faults)
    return settings


def _read_subscriptions(content: object) -> tuple[EventSubscription, ...]:
    read, faults = [], []
    for index, subscription in enumerate(msgspec.convert(content, list[dict[str, Any]]), 1):
        try:
            read.append(read_subscription(subscription.get("name", ""), subscription))
        except SubscriptionRefused as refusal:
            faults.append(f"subscriptions: number {index}: {refusal}")
    if faults:
        raise SettingsError(faults)
    return tuple(read)


def _read_rules(content: object) -> tuple[FaultRule, ...]:
    read, problems = [], []
    for index, rule in enumerate(msgspec.convert(content, list[Any]), 1):
        try:
            read.append(read_rule(rule))
        except RuleRefused as refusal:
            problems += [f"faults: number {index}: {problem}" for problem in refusal.problems]
    if problems:
        raise SettingsError(problems)
    return tuple(read)


def _read_path(_: type, content: object) -> Path:
    """Paths are the only values of the settings that JSON does not have."""
    if not isinstance(content, str):
        raise TypeError("Expected a path")
    return Path(content)
