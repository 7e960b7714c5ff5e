"""Mistakes that a change of one file may make without the others; each is caught by the fact that it breaks."""

import pytest

from tests.unit.deploy import facts_of_azure as azure
from tests.unit.deploy import facts_of_processes as processes
from tests.unit.deploy import facts_of_the_package as package
from tests.unit.deploy.deployment_files import REPOSITORY, Files

MAIN = "bicep/main.bicep"
MEDIA = "bicep/media.bicep"
FUNCTIONS = "bicep/modules/functions.bicep"
SUBSCRIPTION = "bicep/modules/event-subscription.bicep"
SIZES = "bicep/sizes.json"

MISTAKES = {
    "a reserve that is too short": (
        MEDIA, "stopReserveSeconds = 30", "stopReserveSeconds = 20",
        processes.drain_ends_before_the_platform_kills,
    ),
    "a longer grace than the platform has": (
        SIZES, '"terminationGraceSeconds": 600', '"terminationGraceSeconds": 900',
        processes.drain_ends_before_the_platform_kills,
    ),
    "the platform's own grace": (
        MEDIA, "      terminationGracePeriodSeconds: size.terminationGraceSeconds\n", "",
        processes.drain_ends_before_the_platform_kills,
    ),
    "a misspelt setting": (
        MEDIA, "MAX_CALLS:", "MAXCALLS:", processes.settings_are_known_and_complete,
    ),
    "a setting of the other process": (
        FUNCTIONS, "  MEDIA_BASE_URL: mediaBaseUrl\n", "  MEDIA_BASE_URL: mediaBaseUrl\n  MAX_CALLS: '5'\n",
        processes.settings_are_known_and_complete,
    ),
    "a required setting that is missing": (
        FUNCTIONS, "  MEDIA_BASE_URL: mediaBaseUrl\n", "", processes.settings_are_good,
    ),
    "more calls than the code takes": (
        SIZES, '"maxCalls": 100', '"maxCalls": 100000', processes.settings_are_good,
    ),
    "a setting that Flex Consumption refuses": (
        FUNCTIONS, "  AZURE_CLIENT_ID:", "  FUNCTIONS_EXTENSION_VERSION: '~4'\n  AZURE_CLIENT_ID:",
        processes.settings_are_known_and_complete,
    ),
    "a setting that is not handed on": (
        "bicep/media.parameters.json", "${ACS_RESOURCE_ID}", "${ACS_ID}",
        processes.common_settings_are_handed_on,
    ),
    "another port": (MEDIA, "var port = 8063", "var port = 8080", processes.port_is_one),
    "another port of the image": ("Dockerfile", "EXPOSE 8063", "EXPOSE 80", processes.port_is_one),
    "a probe of a path that nothing answers": (
        MEDIA, "path: '/readyz'", "path: '/ready'", processes.probes_ask_what_is_answered,
    ),
    "readiness as liveness": (
        MEDIA, "type: 'Liveness'\n              httpGet: { path: '/healthz'",
        "type: 'Liveness'\n              httpGet: { path: '/readyz'", processes.probes_ask_what_is_answered,
    ),
    "one pod in production": (SIZES, '"least": 2', '"least": 1', processes.sizes_carry_calls),
    "a webhook of another path": (
        MAIN, "/mg-genagent-acs/v1/acs-events", "/api/acs-events", azure.webhook_is_the_code_s,
    ),
    "another header": (SUBSCRIPTION, "'asapp-api-id'", "'x-api-id'", azure.headers_are_the_account_s),
    "a header for everybody to read": (
        SUBSCRIPTION, "value: apiSecret, isSecret: true", "value: apiSecret, isSecret: false",
        azure.headers_are_the_account_s,
    ),
    "every event of ACS": (
        SUBSCRIPTION, "'Microsoft.Communication.IncomingCall'",
        "'Microsoft.Communication.IncomingCall', 'Microsoft.Communication.CallStarted'",
        azure.events_are_calls_of_ours,
    ),
    "a filter on another field": (
        SUBSCRIPTION, "key: 'data.to.rawId'", "key: 'data.to.rawid.value'", azure.events_are_calls_of_ours,
    ),
    "calls of the IVR for the agents": (
        MAIN, "endpointUrl: webhooks[wanted.webhook]", "endpointUrl: webhooks.agents", azure.webhook_is_the_code_s,
    ),
    "filters of another shape than the command prints": (
        "bicep/types.bicep", "  called: string[]\n", "  rawIds: string[]\n", azure.events_are_calls_of_ours,
    ),
    "filters that nobody hands on": (
        "bicep/main.parameters.json", "${EVENT_FILTERS=[]}", "${FILTERS=[]}", azure.events_are_calls_of_ours,
    ),
    "retries for a day": (
        SUBSCRIPTION, "eventTimeToLiveInMinutes: 1", "eventTimeToLiveInMinutes: 1440",
        azure.deliveries_end_with_the_ringing,
    ),
    "dead letters in a container of another name": (
        MAIN, "deadLetterContainer: 'deadletters'", "deadLetterContainer: 'dead-letters'",
        azure.dead_letters_are_kept,
    ),
    "the platform's CORS": (
        FUNCTIONS, "allowedOrigins: []", "allowedOrigins: ['https://portal.azure.com']", azure.cors_is_off,
    ),
    "a table that is missing": (MAIN, ", 'slots']", "]", azure.data_are_where_the_code_looks),
    "recordings that a rule deletes": (
        MAIN, "'recordings/unfinished/'", "'recordings/'", azure.data_are_where_the_code_looks,
    ),
    "a role that nobody wrote down": (
        MAIN, "of(edge, 'Storage Blob Data Owner')",
        "of(edge, 'Storage Blob Data Owner')\n      of(media, 'Storage Blob Data Owner')",
        azure.roles_are_documented,
    ),
    "a role that is documented only": (
        MAIN, "        ofPart(media, 'Storage Blob Data Reader', 'config')\n", "", azure.roles_are_documented,
    ),
    "a wider role": (
        MAIN, "ofPart(edge, 'Storage Blob Data Reader', 'deadletters')",
        "ofPart(edge, 'Storage Blob Data Contributor', 'deadletters')", azure.roles_are_documented,
    ),
    "a table that pods have no role for": (
        MAIN, "      ofPart(media, 'Storage Table Data Contributor', 'slots')\n", "",
        azure.pods_have_the_tables_that_they_use,
    ),
    "another role's id": (
        "bicep/types.bicep", "'7f951dda-4ed3-4680-a7ca-43fe172d538d'", "'8311e382-0749-4cb8-b61a-304f252e45ec'",
        azure.roles_are_built_in,
    ),
    "a role on the resource group": (
        "bicep/modules/registry.bicep", "  scope: registry\n", "", azure.roles_are_on_one_resource,
    ),
    "keys at Web PubSub": (
        "bicep/modules/web-pubsub.bicep", "disableLocalAuth: true", "disableLocalAuth: false",
        azure.nothing_has_a_key,
    ),
    "a secret in an output": (
        MAIN, "output MEDIA_BASE_URL string = mediaUrl", "output API_SECRET string = keys.getSecret('demo-api-secret')",
        azure.secrets_are_in_no_output,
    ),
    "a credential that is a plain parameter": (
        SUBSCRIPTION, "@secure()\nparam apiSecret", "param apiSecret", azure.secrets_are_in_no_output,
    ),
    "a pod that can forge callbacks": (
        MAIN, "ofPart(media, 'Key Vault Secrets User', 'media-token-key')",
        "ofPart(media, 'Key Vault Secrets User', 'callback-token-key')", azure.secrets_have_the_code_s_names,
    ),
    "a list of regions in the template": (
        "bicep/modules/ai.bicep", "loadJsonContent('../ai-link-regions.json')", "['westeurope', 'eastus']",
        azure.regions_are_one_list,
    ),
    "regions that the templates take and the doctor does not": (
        "bicep/main.parameters.json", "${ALLOW_ANY_AI_REGION=false}", "${ANY_AI_REGION=false}",
        azure.regions_are_one_list,
    ),
    "an alert for a line that nobody writes": (
        "bicep/modules/alerts.bicep", "'a call falls back'", "'the agent is gone'",
        azure.alerts_look_for_what_is_logged,
    ),
    "a parameter that nobody described": (
        MAIN, "@description('Who is told of alerts; empty for nobody.')\n", "",
        package.parameters_are_described_and_typed,
    ),
    "a service that azd does not find": (
        MEDIA, "'azd-service-name': 'media'", "'azd-service-name': 'gateway'", package.services_are_found,
    ),
    "a hook that only one shell has": (
        "bicep/hooks/postdeploy.ps1", "-m bicep.hooks.deployment subscribe", "-m bicep.hooks.deployment seed",
        package.hooks_do_the_same_in_both_shells,
    ),
    "a command that is gone": (
        "bicep/hooks/deployment.py", '"keys", "bootstrap"', '"keys", "create"',
        package.hooks_run_commands_that_are_there,
    ),
    "an image that runs as root": ("Dockerfile", "USER 10001:10001\n", "", package.image_is_small_and_careful),
    "a shell before the gateway": (
        "Dockerfile", 'ENTRYPOINT ["python", "-m", "media_gateway"]', "ENTRYPOINT python -m media_gateway",
        package.image_is_small_and_careful,
    ),
    "a compiler": (
        "Dockerfile", "USER 10001", "RUN apt-get install gcc\nUSER 10001", package.image_is_small_and_careful,
    ),
    "another Python": ("Dockerfile", "python:3.12-slim", "python:3.13-slim", package.versions_are_one),
    "a choice that nobody wrote down": (
        "bicep/main.parameters.json", "${ALERT_EMAIL=}", "${ALERT_MAIL=}", package.choices_are_documented,
    ),
    "a command of before a parameter came": (
        "docs/deploy.md", ' identityClientId="$MEDIA_CLIENT_ID"', "", package.choices_are_documented,
    ),
    "subscriptions at the first run": (
        MAIN, "param subscribe bool = false", "param subscribe bool = true", package.subscriptions_come_second,
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_is_caught(mistake):
    path, right, wrong, fact = MISTAKES[mistake]
    text = (REPOSITORY / path).read_text()
    assert right in text, "the mistake can no longer be made so"
    assert list(fact(Files())) == []
    assert list(fact(Files({path: text.replace(right, wrong)}))) != []
