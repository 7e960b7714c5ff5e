"""Identifiers of those who take part in a call, as events, requests and answers carry them.

`kind` and `rawId` are always in what ACS sends. The SDKs send neither `kind` nor, at times, `rawId`; besides
these two at most one member is set.
"""

import re
from enum import StrEnum

import msgspec

PHONE_PREFIX = "4:"
ANONYMOUS = "anonymous"

_ACS_USER = re.compile(r"8:(acs|spool|gcch-acs|dod-acs):")
_TEAMS_USER_PREFIX = "8:orgid:"
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


class CommunicationUser(msgspec.Struct, frozen=True):
    """An ACS identity; `id` equals the raw id."""

    id: str


class PhoneNumber(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A phone number; `value` is E.164 with its plus sign, or `anonymous` when it is withheld."""

    value: str
    is_anonymous: bool | None = None
    asserted_id: str | None = None


class TeamsUser(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A Microsoft Teams user by Entra object id."""

    user_id: str
    is_anonymous: bool | None = None
    cloud: str | None = None


class Identifier(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One participant of a call."""

    kind: IdentifierKind | None = None
    raw_id: str | None = None
    phone_number: PhoneNumber | None = None
    communication_user: CommunicationUser | None = None
    microsoft_teams_user: TeamsUser | None = None

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
    if _ACS_USER.match(raw_id):
        user = CommunicationUser(raw_id)
        return Identifier(IdentifierKind.COMMUNICATION_USER, raw_id, communication_user=user)
    if raw_id.startswith(_TEAMS_USER_PREFIX):
        teams_user = TeamsUser(raw_id.removeprefix(_TEAMS_USER_PREFIX), is_anonymous=False, cloud="public")
        return Identifier(IdentifierKind.MICROSOFT_TEAMS_USER, raw_id, microsoft_teams_user=teams_user)
    return Identifier(IdentifierKind.UNKNOWN, raw_id)


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
    parts = [
        PHONE_PREFIX + sent.phone_number.value if sent.phone_number else None,
        sent.communication_user.id if sent.communication_user else None,
        _TEAMS_USER_PREFIX + sent.microsoft_teams_user.user_id if sent.microsoft_teams_user else None,
    ]
    named = [raw_id for raw_id in parts if raw_id is not None]
    if len(named) > 1:
        raise ValueError("besides kind and rawId at most one member may be set")
    raw_id = sent.raw_id or (named[0] if named else "")
    if not raw_id:
        raise ValueError("it names nobody")
    identifier = from_raw_id(raw_id)
    if sent.kind is not None and sent.kind is not identifier.kind:
        raise ValueError("kind and rawId contradict each other")
    return identifier
