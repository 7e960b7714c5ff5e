"""The link between ACS and Azure AI, by which texts are spoken and speech is understood: its faults, and what to do.

The link is three things: the endpoint that a call is answered with, ACS's own identity, and that identity's role on the
account. Sources: the service's table of Call Automation's codes, and its page on the integration with Azure AI.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """What is wrong, and what an operator does about it. No text holds anything of a call."""

    wrong: str
    do: str


NO_ENDPOINT = Advice(
    "calls are answered without an Azure AI account",
    "set COGNITIVE_SERVICES_ENDPOINT to the account's endpoint, https://<name>.cognitiveservices.azure.com",
)
NO_DOMAIN = Advice(
    "the endpoint is a region's, and takes no identity",
    "give the account a custom subdomain, and set COGNITIVE_SERVICES_ENDPOINT to it",
)
IDENTITY_OFF = Advice(
    "the ACS resource has no identity of its own",
    "turn the system-assigned identity of the ACS resource on, then give it the role on the account",
)
IDENTITY_FAILED = Advice(
    "the identity of the ACS resource gave no token",
    "an identity of a moment ago takes minutes; if it lasts, turn it off and on, and give it the role again",
)
NO_ROLE = Advice(
    "the identity of the ACS resource may not use the Azure AI account",
    "give it the role Cognitive Services User on the account of COGNITIVE_SERVICES_ENDPOINT; it takes minutes",
)
WRONG_KIND = Advice(
    "the Azure AI account is of one service alone",
    "link one of the kind CognitiveServices or AIServices, which is what ACS links to",
)
WRONG_REGION = Advice(
    "the Azure AI account is in a region that the link is not known to work in",
    "make one in a region of bicep/ai-link-regions.json; where the list is too old, set ALLOW_ANY_AI_REGION=true",
)
NO_CONNECTION = Advice(
    "ACS lost its connection to the speech service, or got none",
    "check that the account is of the kind CognitiveServices or AIServices, in a region of "
    "bicep/ai-link-regions.json, and reached from everywhere; else Azure AI is away",
)
NOT_UNDERSTOOD = Advice(
    "Azure AI cannot do what it was asked",
    "check the flow's voice, language, SSML, custom voice and speech model; the account's region must have them",
)
TOKEN_REFUSED = Advice(
    "Azure AI does not take the token of the ACS resource",
    "give the account a custom subdomain, and ACS's identity the role Cognitive Services User on it",
)
FORBIDDEN = Advice(
    "Azure AI refuses the ACS resource: its quota is used up, or its network is closed",
    "raise the account's quota, and let it be reached from all networks: ACS has no private way to it",
)
TIMED_OUT = Advice("Azure AI did not answer ACS in time", "if it lasts, take an account in another region")
TOO_MANY = Advice(
    "Azure AI has too many requests at once", "raise the account's quota of concurrent requests"
)

_BY_SUB_CODE: Mapping[int, Advice] = {
    7606: NO_ROLE,
    8564: NO_CONNECTION,
    8565: NOT_UNDERSTOOD,
    8567: IDENTITY_OFF,
    8568: IDENTITY_FAILED,
}
_BY_BOTH: Mapping[tuple[int, int], Advice] = {
    (401, 8565): TOKEN_REFUSED,
    (403, 8565): FORBIDDEN,
    (408, 8565): TIMED_OUT,
    (429, 8565): TOO_MANY,
    # With any other code 8522 says that the call is gone.
    (405, 8522): NO_ENDPOINT,
}


def advice_of(code: int, sub_code: int) -> Advice | None:
    """Return what codes of PlayFailed, RecognizeFailed or of a refused request say of the link; None: nothing."""
    return _BY_BOTH.get((code, sub_code)) or _BY_SUB_CODE.get(sub_code)
