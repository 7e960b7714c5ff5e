"""Identifiers of those who take part in a call, as events, requests and answers carry them.

`kind` and `rawId` are always in what ACS sends. The SDKs send neither `kind` nor, at times, `rawId`; besides
these two at most one member is set.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

PHONE_PREFIX = "4:"
ANONYMOUS = "anonymous"

_SPOOL_USER_PREFIX = "8:spool:"
_ANONYMOUS_TEAMS_USER_PREFIX = "8:teamsvisitor:"
_RAW_ID = re.compile(r"\d+:.+")
_DIALLED = re.compile(r"\+?\d{3,15}|anonymous")


class IdentifierKind(StrEnum):
    """What sort of participant an identifier names."""

    UNKNOWN = "unknown"
    COMMUNICATION_USER = "communicationUser"
    PHONE_NUMBER = "phoneNumber"
    MICROSOFT_TEAMS_USER = "microsoftTeamsUser"
    MICROSOFT_TEAMS_APP = "microsoftTeamsApp"
    TEAMS_EXTENSION_USER = "teamsExtensionUser"


class Cloud(StrEnum):
    """Where an identity lives."""

    PUBLIC = "public"
    GCCH = "gcch"
    DOD = "dod"


_ACS_USER_PREFIXES: Mapping[str, Cloud] = {
    "8:acs:": Cloud.PUBLIC,
    "8:gcch-acs:": Cloud.GCCH,
    "8:dod-acs:": Cloud.DOD,
}
_TEAMS_USER_PREFIXES: Mapping[str, Cloud] = {
    "8:orgid:": Cloud.PUBLIC,
    "8:gcch:": Cloud.GCCH,
    "8:dod:": Cloud.DOD,
}
_TEAMS_APP_PREFIXES: Mapping[str, Cloud] = {
    "28:orgid:": Cloud.PUBLIC,
    "28:gcch:": Cloud.GCCH,
    "28:dod:": Cloud.DOD,
}


class CommunicationUser(msgspec.Struct, frozen=True):
    """An ACS identity; `id` equals the raw id."""

    id: str


class PhoneNumber(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A phone number; `value` is E.164 with its plus sign, or `anonymous` when it is withheld."""

    value: str
    is_anonymous: bool | None = None
    asserted_id: str | None = None


class TeamsUser(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A Microsoft Teams user by Entra object id, or a visitor by another id."""

    user_id: str
    is_anonymous: bool | None = None
    cloud: str | None = None


class TeamsApp(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A Microsoft Teams application."""

    app_id: str
    cloud: str | None = None


class TeamsExtensionUser(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A Teams Phone user whose calls go through an ACS resource."""

    user_id: str
    tenant_id: str
    resource_id: str
    cloud: str | None = None


class Identifier(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One participant of a call."""

    kind: IdentifierKind | None = None
    raw_id: str | None = None
    phone_number: PhoneNumber | None = None
    communication_user: CommunicationUser | None = None
    microsoft_teams_user: TeamsUser | None = None
    microsoft_teams_app: TeamsApp | None = None
    teams_extension_user: TeamsExtensionUser | None = None

    @property
    def id(self) -> str:
        """The raw id; there for every identifier made by this module's functions."""
        return self.raw_id or ""


def from_raw_id(raw_id: str) -> Identifier:
    """The full identifier for a raw id such as `4:+14255550100` or `8:acs:<resource>_<user>`."""
    if raw_id.startswith(PHONE_PREFIX):
        value, _, asserted_id = raw_id.removeprefix(PHONE_PREFIX).partition("_")
        number = PhoneNumber(
            value=value, is_anonymous=True if value == ANONYMOUS else None, asserted_id=asserted_id or None
        )
        return Identifier(IdentifierKind.PHONE_NUMBER, raw_id, phone_number=number)
    if raw_id.startswith(_SPOOL_USER_PREFIX):
        return _communication_user(raw_id)
    prefix, rest = _split(raw_id)
    if not rest:
        return Identifier(IdentifierKind.UNKNOWN, raw_id)
    if prefix in _ACS_USER_PREFIXES:
        return _acs_user(raw_id, rest, _ACS_USER_PREFIXES[prefix])
    if prefix == _ANONYMOUS_TEAMS_USER_PREFIX:
        return _teams_user(raw_id, TeamsUser(rest, is_anonymous=True, cloud=Cloud.PUBLIC))
    if prefix in _TEAMS_USER_PREFIXES:
        return _teams_user(raw_id, TeamsUser(rest, is_anonymous=False, cloud=_TEAMS_USER_PREFIXES[prefix]))
    if prefix in _TEAMS_APP_PREFIXES:
        app = TeamsApp(rest, cloud=_TEAMS_APP_PREFIXES[prefix])
        return Identifier(IdentifierKind.MICROSOFT_TEAMS_APP, raw_id, microsoft_teams_app=app)
    return Identifier(IdentifierKind.UNKNOWN, raw_id)


def _split(raw_id: str) -> tuple[str, str]:
    """The prefix with both its colons, and the rest."""
    number, _, after = raw_id.partition(":")
    word, _, rest = after.partition(":")
    return f"{number}:{word}:", rest


def _acs_user(raw_id: str, ids: str, cloud: Cloud) -> Identifier:
    """Two ids are an ACS user; three, with the tenant's in the middle, are a Teams Phone user."""
    parts = ids.split("_")
    if len(parts) != 3:
        return _communication_user(raw_id)
    resource_id, tenant_id, user_id = parts
    user = TeamsExtensionUser(user_id, tenant_id, resource_id, cloud)
    return Identifier(IdentifierKind.TEAMS_EXTENSION_USER, raw_id, teams_extension_user=user)


def _communication_user(raw_id: str) -> Identifier:
    user = CommunicationUser(raw_id)
    return Identifier(IdentifierKind.COMMUNICATION_USER, raw_id, communication_user=user)


def _teams_user(raw_id: str, user: TeamsUser) -> Identifier:
    return Identifier(IdentifierKind.MICROSOFT_TEAMS_USER, raw_id, microsoft_teams_user=user)


def from_dialled(text: str) -> Identifier:
    """The identifier for what a caller gives: a raw id, a phone number, or `anonymous`.

    Raises:
        ValueError: it is none of these.
    """
    if _DIALLED.fullmatch(text):
        return from_raw_id(PHONE_PREFIX + text)
    if _RAW_ID.fullmatch(text):
        return from_raw_id(text)
    raise ValueError("not a phone number, 'anonymous' or a raw id such as 8:acs:<resource>_<user>")


def from_request(sent: Identifier) -> Identifier:
    """The full identifier for one that a client sent, with `kind` and `rawId` filled in.

    Raises:
        ValueError: it names nobody, or its parts contradict each other.
    """
    named = {name: part for name in _RAW_IDS if (part := getattr(sent, name)) is not None}
    if len(named) > 1:
        raise ValueError("besides kind and rawId at most one member may be set")
    raw_id = sent.raw_id or next((_RAW_IDS[name](part) for name, part in named.items()), "")
    if raw_id in ("", PHONE_PREFIX):
        raise ValueError("it names nobody")
    identifier = from_raw_id(raw_id)
    if sent.kind is not None and sent.kind is not identifier.kind:
        raise ValueError("kind and rawId contradict each other")
    if any(_contradicts(part, getattr(identifier, name)) for name, part in named.items()):
        raise ValueError("rawId and the member beside it contradict each other")
    return identifier


def _raw_phone_number(number: PhoneNumber) -> str:
    return PHONE_PREFIX + number.value + (f"_{number.asserted_id}" if number.asserted_id else "")


def _raw_teams_user(user: TeamsUser) -> str:
    prefix = _ANONYMOUS_TEAMS_USER_PREFIX if user.is_anonymous else _of(user.cloud, _TEAMS_USER_PREFIXES)
    return prefix + user.user_id


def _raw_teams_app(app: TeamsApp) -> str:
    return _of(app.cloud, _TEAMS_APP_PREFIXES) + app.app_id


def _raw_teams_extension_user(user: TeamsExtensionUser) -> str:
    return f"{_of(user.cloud, _ACS_USER_PREFIXES)}{user.resource_id}_{user.tenant_id}_{user.user_id}"


def _of(cloud: str | None, prefixes: Mapping[str, Cloud]) -> str:
    """The prefix of a cloud, which the SDK names in upper case; the public one unless another is named."""
    wanted = Cloud((cloud or Cloud.PUBLIC).lower())
    return next(prefix for prefix, found in prefixes.items() if found is wanted)


_RAW_IDS: Mapping[str, Callable[[Any], str]] = {
    "phone_number": _raw_phone_number,
    "communication_user": lambda user: user.id,
    "microsoft_teams_user": _raw_teams_user,
    "microsoft_teams_app": _raw_teams_app,
    "teams_extension_user": _raw_teams_extension_user,
}
"""How each member of an identifier is written as a raw id."""


def _contradicts(sent: msgspec.Struct, known: msgspec.Struct | None) -> bool:
    """Whether what a client sent says something else than the raw id; what it leaves out says nothing."""
    if known is None:
        return True
    if isinstance(sent, TeamsUser | TeamsApp | TeamsExtensionUser) and sent.cloud is not None:
        sent = msgspec.structs.replace(sent, cloud=sent.cloud.lower())
    if isinstance(sent, PhoneNumber):  # one SDK has the asserted id in the number, too
        value, _, asserted_id = sent.value.partition("_")
        sent = PhoneNumber(value, sent.is_anonymous, sent.asserted_id or asserted_id or None)
    return any(
        given is not None and (given or None) != (getattr(known, name) or None)
        for name, given in msgspec.structs.asdict(sent).items()
    )
