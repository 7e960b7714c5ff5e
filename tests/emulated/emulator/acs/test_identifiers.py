"""Identifiers: what kind a raw id is of, and what of a client's identifiers is believed."""

import msgspec
import pytest
from azure.communication.callautomation import (
    CommunicationCloudEnvironment,
    CommunicationUserIdentifier,
    MicrosoftTeamsAppIdentifier,
    MicrosoftTeamsUserIdentifier,
    PhoneNumberIdentifier,
    TeamsExtensionUserIdentifier,
)

from emulator.wire.identifiers import Identifier, from_raw_id, from_request

PUBLIC = {"cloud": "public"}
RAW_IDS = {
    "4:+14255550100": ("phoneNumber", {"value": "+14255550100"}),
    "4:+14255550100_2": ("phoneNumber", {"value": "+14255550100", "assertedId": "2"}),
    "4:anonymous": ("phoneNumber", {"value": "anonymous", "isAnonymous": True}),
    "8:acs:r_u": ("communicationUser", {"id": "8:acs:r_u"}),
    "8:gcch-acs:r_u": ("communicationUser", {"id": "8:gcch-acs:r_u"}),
    "8:dod-acs:r_u": ("communicationUser", {"id": "8:dod-acs:r_u"}),
    "8:spool:r_t_u": ("communicationUser", {"id": "8:spool:r_t_u"}),
    "8:orgid:u": ("microsoftTeamsUser", {"userId": "u", "isAnonymous": False, **PUBLIC}),
    "8:gcch:u": ("microsoftTeamsUser", {"userId": "u", "isAnonymous": False, "cloud": "gcch"}),
    "8:dod:u": ("microsoftTeamsUser", {"userId": "u", "isAnonymous": False, "cloud": "dod"}),
    "8:teamsvisitor:v": ("microsoftTeamsUser", {"userId": "v", "isAnonymous": True, **PUBLIC}),
    "28:orgid:a": ("microsoftTeamsApp", {"appId": "a", **PUBLIC}),
    "28:gcch:a": ("microsoftTeamsApp", {"appId": "a", "cloud": "gcch"}),
    "28:dod:a": ("microsoftTeamsApp", {"appId": "a", "cloud": "dod"}),
    "8:acs:r_t_u": (
        "teamsExtensionUser",
        {"userId": "u", "tenantId": "t", "resourceId": "r", **PUBLIC},
    ),
    "8:gcch-acs:r_t_u": (
        "teamsExtensionUser",
        {"userId": "u", "tenantId": "t", "resourceId": "r", "cloud": "gcch"},
    ),
}


def read(sent) -> Identifier:
    return from_request(msgspec.convert(sent, Identifier))


@pytest.mark.parametrize(("raw_id", "kind", "part"), [(raw_id, *rest) for raw_id, rest in RAW_IDS.items()])
def test_raw_id_tells_kind_and_parts(raw_id, kind, part):
    assert msgspec.to_builtins(from_raw_id(raw_id)) == {"kind": kind, "rawId": raw_id, kind: part}


@pytest.mark.parametrize("raw_id", ["28:bot", "8:orgid:", "8:other:x", "nonsense"])
def test_any_other_raw_id_is_of_unknown_kind(raw_id):
    assert msgspec.to_builtins(from_raw_id(raw_id)) == {"kind": "unknown", "rawId": raw_id}


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (PhoneNumberIdentifier("+14255550100"), "phoneNumber"),
        (PhoneNumberIdentifier("+14255550100_2"), "phoneNumber"),
        (CommunicationUserIdentifier("8:acs:r_u"), "communicationUser"),
        (MicrosoftTeamsUserIdentifier("u"), "microsoftTeamsUser"),
        (MicrosoftTeamsUserIdentifier("u", is_anonymous=True), "microsoftTeamsUser"),
        (
            MicrosoftTeamsUserIdentifier("u", cloud=CommunicationCloudEnvironment.GCCH),
            "microsoftTeamsUser",
        ),
        (MicrosoftTeamsAppIdentifier("a"), "microsoftTeamsApp"),
        (
            TeamsExtensionUserIdentifier(user_id="u", tenant_id="t", resource_id="r"),
            "teamsExtensionUser",
        ),
    ],
)
async def test_call_is_redirected_to_whomever_the_sdk_can_name(aio_client, place_call, target, kind):
    call = await place_call()

    await aio_client("redirect_call", call.incoming_call_context, target)

    [redirected] = [each for each in call.happenings if each.name == "redirected"]
    assert redirected.detail["kind"] == kind


@pytest.mark.parametrize(("raw_id", "kind", "part"), [(raw_id, *rest) for raw_id, rest in RAW_IDS.items()])
def test_parts_alone_are_enough(raw_id, kind, part):
    assert read({"kind": kind, kind: part}) == from_raw_id(raw_id)
    assert read({kind: part}) == from_raw_id(raw_id)


@pytest.mark.parametrize(
    "sent",
    [
        {"rawId": "4:+14255550100", "phoneNumber": {"value": "+14255550177"}},
        {"rawId": "4:+14255550100_2", "phoneNumber": {"value": "+14255550100", "assertedId": "3"}},
        {"rawId": "4:+14255550100", "communicationUser": {"id": "4:+14255550100"}},
        {"rawId": "8:acs:r_u", "communicationUser": {"id": "8:acs:r_v"}},
        {"communicationUser": {"id": "8:acs:r_t_u"}},
        {"kind": "communicationUser", "rawId": "8:acs:r_t_u"},
        {"kind": "microsoftTeamsApp", "rawId": "8:orgid:u"},
        {"rawId": "8:orgid:u", "microsoftTeamsUser": {"userId": "u", "cloud": "dod"}},
        {"rawId": "8:orgid:u", "microsoftTeamsUser": {"userId": "u", "isAnonymous": True}},
        {"microsoftTeamsUser": {"userId": "u", "cloud": "moon"}},
        {"kind": "phoneNumber", "phoneNumber": {"value": ""}},
    ],
)
def test_contradiction_is_refused(sent):
    with pytest.raises(ValueError, match=r"contradict|nobody|moon"):
        read(sent)
