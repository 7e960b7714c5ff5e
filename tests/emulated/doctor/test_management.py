"""What only Azure's management API tells, read from a stand-in of it: subscriptions, ids, and the link to Azure AI."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from aiohttp import web

from shared.admin.checks import resources
from shared.admin.checks.catalogue import CHECKS, open_site
from shared.admin.checks.contract import Outcome, examine
from shared.admin.checks.event_grid import MAX_ATTEMPTS, faults_of, from_management
from shared.admin.checks.outside import EVENTS_PATH, IVR_EVENTS_PATH
from shared.admin.checks.resources import AI_ROLE
from shared.config import functions_settings
from shared.core import ai_link
from shared.core.profiles import AgentProfile, AudioFormat, EchoAgent, Route, Routing
from shared.security.accounts import Account
from tests.emulated.doctor.conftest import answering
from tests.support.gateway import local_settings, seed

RESOURCE_ID = "22222222-2222-2222-2222-222222222222"
ACS = {"hostName": "voice.europe.communication.azure.com", "immutableResourceId": RESOURCE_ID}
BASE_URL = "https://edge.example.net"
WEBHOOK = BASE_URL + EVENTS_PATH
NUMBERS = ("4:+18005550199", "4:+18005550198")
ROUTING = Routing(
    profiles={"echo": AgentProfile("echo", EchoAgent(), AudioFormat.PCM16K)},
    routes=tuple(Route("demo", number, "echo") for number in NUMBERS),
)
ACCOUNT = Account("demo", "Demo", "id", ("hash",))


def subscription(name="gateway", **changes):
    """As the management API shows one that bicep/modules/ made."""
    shown = {
        "endpoint": WEBHOOK,
        "called": list(NUMBERS),
        "operator": "StringIn",
        "types": ["Microsoft.Communication.IncomingCall"],
        "schema": "CloudEventSchemaV1_0",
        "attempts": 3,
        "ttl": 1,
        "headers": ["asapp-api-id", "asapp-api-secret"],
        "state": "Succeeded",
    } | changes
    called = {"operatorType": shown["operator"], "key": "data.to.rawId", "values": shown["called"]}
    return {
        "name": name,
        "properties": {
            "provisioningState": shown["state"],
            "eventDeliverySchema": shown["schema"],
            "destination": {
                "endpointType": "WebHook",
                "properties": {
                    "endpointBaseUrl": shown["endpoint"],
                    "deliveryAttributeMappings": [
                        {"name": header, "type": "Static", "properties": {"isSecret": True}}
                        for header in shown["headers"]
                    ],
                },
            },
            "filter": {
                "includedEventTypes": shown["types"],
                "advancedFilters": [called] if shown["called"] else [],
            },
            "retryPolicy": {
                "maxDeliveryAttempts": shown["attempts"],
                "eventTimeToLiveInMinutes": shown["ttl"],
            },
        },
    }


def faults(*subscriptions, routing=ROUTING):
    return list(faults_of([from_management(one) for one in subscriptions], routing, [ACCOUNT], BASE_URL))


def test_subscriptions_as_the_templates_make_them_are_well():
    assert faults(subscription()) == []


def test_a_subscription_for_everybody_delivers_every_number():
    assert faults(subscription(called=None)) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "AwaitingManualAction"}, "gateway: its state is AwaitingManualAction"),
        ({"schema": "CustomInputSchema"}, "gateway: schema CustomInputSchema cannot be read"),
        ({"attempts": 30}, f"gateway: 30 attempts, where {MAX_ATTEMPTS} are enough"),
        ({"ttl": 1440}, "gateway: a time to live of 1440 minutes, where a call rings 30 s"),
        ({"headers": ["asapp-api-id"]}, "gateway: it sends the two headers of no account"),
        ({"called": [NUMBERS[0]]}, "1 of 2 routed numbers are in no subscription's filter"),
        ({"endpoint": "https://old.example.net/"}, "no subscription delivers to this gateway"),
    ],
)
def test_what_would_lose_a_call_is_a_fault(changes, said):
    assert faults(subscription(**changes)) == [said]


def test_a_subscription_to_other_events_delivers_no_call():
    other = subscription(types=["Microsoft.Communication.CallStarted"])
    assert faults(other) == [
        "gateway: it does not deliver Microsoft.Communication.IncomingCall",
        "2 of 2 routed numbers are in no subscription's filter",
    ]


def test_numbers_that_are_delivered_twice_are_counted_and_not_named():
    assert faults(subscription(), subscription("again", called=[NUMBERS[1]])) == [
        "1 routed numbers are delivered here by several subscriptions"
    ]


def test_another_application_that_gets_our_numbers_would_answer_them_too():
    other = subscription("ivr", called=None, endpoint="https://ivr.example.net/events")
    assert faults(subscription(), other) == [
        "ivr delivers 2 routed numbers elsewhere, to be answered there too"
    ]


def test_a_filter_that_the_routes_do_not_make_is_told_from_theirs():
    more = subscription(called=[*NUMBERS, "4:+18005550197", "4:+18005550196"])
    assert faults(more) == ["gateway: 2 numbers of its filter have no route, and ring in vain"]


def test_every_other_call_has_to_be_delivered_where_a_route_is_of_it():
    routes = (Route("demo", "*", "echo"), Route("demo", NUMBERS[0], flow="menu"))
    routing = Routing(profiles=ROUTING.profiles, routes=routes)
    ivr = subscription("ivr", called=[NUMBERS[0]], endpoint=BASE_URL + IVR_EVENTS_PATH)
    others = subscription(called=[NUMBERS[0]], operator="StringNotIn")
    assert faults(others, ivr, routing=routing) == []
    assert faults(ivr, routing=routing) == ["gateway-demo: no subscription delivers every other call (*)"]
    assert faults(subscription(called=None), ivr, routing=routing) == [
        "gateway delivers 1 routed numbers elsewhere, to be answered there too"
    ]


def test_routes_that_no_filters_keep_apart_are_a_fault():
    routes = (Route("demo", "*", "echo"), Route("demo", "*", flow="menu"))
    routing = Routing(profiles=ROUTING.profiles, routes=routes)
    assert faults(subscription(called=None), routing=routing) == [
        "gateway-demo and ivr-demo: one route alone can be of every other call (*)"
    ]


def test_a_flow_s_number_belongs_to_the_ivr_s_webhook():
    routes = (Route("demo", NUMBERS[0], "echo"), Route("demo", NUMBERS[1], flow="menu"))
    routing = Routing(profiles=ROUTING.profiles, routes=routes)
    agents = subscription(called=[NUMBERS[0]])
    ivr = subscription("ivr", called=[NUMBERS[1]], endpoint=BASE_URL + IVR_EVENTS_PATH)
    assert faults(agents, ivr, routing=routing) == []
    assert faults(subscription(), routing=routing) == [
        "1 of 2 routed numbers are in no subscription's filter",
        "gateway delivers 1 routed numbers elsewhere, to be answered there too",
    ]


@pytest.fixture
async def examined(start_emulator, storage_connection_string):
    """Make a check as if the emulated resource were in Azure: `await examined("acs-resource", {kind: [items]})`."""
    local = local_settings(await start_emulator(), storage_connection_string)
    env = local | {
        "CALLBACK_BASE_URL": "http://127.0.0.1:9",
        "AZURE_SUBSCRIPTION_ID": "33333333-3333-3333-3333-333333333333",
        "AZURE_RESOURCE_GROUP": "rg-voice",
    }
    settings = functions_settings(env)

    async def make(name, listed, *, status=200, ai_endpoint=None, without=(), **more):
        asked = []

        async def answer(request):
            asked.append(request.path)
            kind = request.path.partition("/providers/")[2]
            return web.json_response({"value": listed.get(kind, [])}, status=status)

        common = replace(
            settings.common,
            acs_endpoint=f"https://{ACS['hostName']}",
            acs_tokens=replace(settings.common.acs_tokens, audience=RESOURCE_ID),
        )
        async with answering(answer) as address, open_site(env, settings) as site:
            if name == "event-grid":
                await seed(site.connections)
            elsewhere = replace(
                settings,
                common=common,
                callback_base_url="https://edge.example.net",
                cognitive_services_endpoint=f"http://{address}" if ai_endpoint is None else ai_endpoint,
            )
            in_azure = replace(
                site,
                env={key: value for key, value in (env | more).items() if key not in without},
                settings=elsewhere,
                management_url=f"http://{address}",
            )
            check = next(check for check in CHECKS if check.name == name)
            return await examine(check, in_azure)

    return make


async def test_the_resource_s_own_id_is_the_one_that_tokens_must_name(examined):
    listed = {"Microsoft.Communication/communicationServices": [{"properties": ACS}]}
    assert (await examined("acs-resource", listed)).outcome is Outcome.PASS


async def test_another_resource_s_id_would_refuse_every_call(examined):
    other = {"properties": ACS | {"immutableResourceId": "44444444-4444-4444-4444-444444444444"}}
    found = await examined("acs-resource", {"Microsoft.Communication/communicationServices": [other]})
    assert (found.outcome, found.found) == (
        Outcome.FAIL,
        "ACS_RESOURCE_ID is not the immutable id of this resource",
    )


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"status": 403}, "whoever runs this may not read the resource group"),
        ({"without": ("AZURE_RESOURCE_GROUP",)}, "AZURE_RESOURCE_GROUP"),
        ({}, "the ACS resource is in another resource group"),
    ],
)
async def test_what_may_not_be_looked_at_is_skipped_with_the_reason(examined, how, said):
    found = await examined("acs-resource", {}, **how)
    assert found.outcome is Outcome.SKIP
    assert said in found.found


async def test_event_grid_s_subscriptions_are_those_of_the_resource_s_topic(examined):
    topics = "Microsoft.EventGrid/systemTopics"
    mine = {
        "id": f"/providers/{topics}/acs",
        "properties": {"topicType": "Microsoft.Communication.CommunicationServices"},
    }
    other = {
        "id": f"/providers/{topics}/storage",
        "properties": {"topicType": "Microsoft.Storage.StorageAccounts"},
    }
    listed = {topics: [other, mine], f"{topics}/acs/eventSubscriptions": [subscription()]}
    found = await examined("event-grid", listed)
    assert (found.outcome, found.found) == (
        Outcome.PASS,
        "2 routed numbers are delivered here, once each",
    )


AI_ACCOUNTS = "Microsoft.CognitiveServices/accounts"
AI_ID = f"/subscriptions/s/resourceGroups/rg-voice/providers/{AI_ACCOUNTS}/ai"
ROLES_OF_ACS = f"{AI_ACCOUNTS}/ai/providers/Microsoft.Authorization/roleAssignments"


def linked(*, kind="CognitiveServices", location="West Europe", principal="acs-s", role=AI_ROLE):
    """What the management API shows of a link: the account, the ACS resource, and the role."""
    role_id = f"/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/{role}"
    endpoint = {"endpoint": "http://127.0.0.1/"}
    return {
        AI_ACCOUNTS: [{"id": AI_ID, "kind": kind, "location": location, "properties": endpoint}],
        "Microsoft.Communication/communicationServices": [
            {"properties": ACS, "identity": principal and {"principalId": principal}}
        ],
        ROLES_OF_ACS: [{"properties": {"roleDefinitionId": role_id}}],
    }


@pytest.mark.parametrize("account", [{}, {"kind": "AIServices", "location": "westeurope"}])
async def test_a_link_is_an_account_that_acs_s_identity_may_use(examined, account):
    found = await examined("ai-link", linked(**account))
    assert found.outcome is Outcome.PASS
    assert found.found.endswith("in westeurope; ACS's identity may use it")


@pytest.mark.parametrize(
    ("broken", "advice"),
    [
        ({"kind": "OpenAI"}, ai_link.WRONG_KIND),
        ({"location": "polandcentral"}, ai_link.WRONG_REGION),
        ({"principal": None}, ai_link.IDENTITY_OFF),
        ({"role": "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"}, ai_link.NO_ROLE),
    ],
    ids=["kind", "region", "identity", "role"],
)
async def test_a_link_that_would_fail_a_call_is_a_fault_with_its_advice(examined, broken, advice):
    found = await examined("ai-link", linked(**broken))
    assert (found.outcome, found.advice) == (Outcome.FAIL, advice.do)
    assert found.found.startswith(advice.wrong)


async def test_a_region_that_is_newer_than_the_list_may_be_allowed(examined):
    found = await examined("ai-link", linked(location="polandcentral"), ALLOW_ANY_AI_REGION="true")
    assert found.outcome is Outcome.PASS


async def test_a_link_to_what_is_elsewhere_is_looked_at_as_far_as_it_can_be(examined):
    found = await examined("ai-link", {})
    assert found.outcome is Outcome.PASS
    assert "no more is looked at: the Azure AI account is in another resource group" in found.found


async def test_a_region_s_endpoint_takes_no_identity(examined):
    found = await examined("ai-link", {}, ai_endpoint="https://westeurope.api.cognitive.microsoft.com")
    assert (found.outcome, found.advice) == (Outcome.FAIL, ai_link.NO_DOMAIN.do)


@pytest.mark.parametrize(
    ("routes", "outcome"),
    [
        ((Route("demo", NUMBERS[0], flow="menu"),), Outcome.FAIL),
        (ROUTING.routes, Outcome.SKIP),
    ],
    ids=["flow", "agents"],
)
async def test_only_an_ivr_needs_the_link(monkeypatch, routes, outcome):
    async def routing(_):
        return Routing(profiles=ROUTING.profiles, routes=routes)

    monkeypatch.setattr(resources, "routing_or_skip", routing)
    site = SimpleNamespace(settings=SimpleNamespace(cognitive_services_endpoint=None))
    check = next(check for check in resources.CHECKS if check.name == "ai-link")
    assert (await examine(check, site)).outcome is outcome
