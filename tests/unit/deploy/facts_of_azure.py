"""Facts about what is made in Azure: doors, rights, secrets, data. Each yields what is wrong."""

import dataclasses
import re
from collections import Counter

from shared.acs.event_grid import INCOMING_CALL
from shared.adapters import dead_letters, profile_store, recording_store
from shared.adapters.tables import TABLES
from shared.admin.checks import resources
from shared.core.event_filters import EventFilter, Operator, Webhook
from shared.security.accounts import Account
from shared.security.keyring import CALLBACK_KEY_SECRET, MEDIA_KEY_SECRET
from tests.unit.deploy.deployment_files import (
    REPOSITORY,
    block,
    documented_roles,
    entries,
    grants,
    module_of,
    strings,
)

SUBSCRIPTION = "bicep/modules/event-subscription.bicep"
BUILT_IN_ROLES = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "Cognitive Services User": "a97b65f3-24c7-4388-baec-2e87135dc908",
    "Communication and Email Service Owner": "09976791-48a7-449e-bb21-39d1a415f350",
    "Key Vault Secrets Officer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Web PubSub Service Owner": "12cf5a90-567b-43ae-8102-96cf46c7d9b4",
}
TABLES_OF = {
    "accounts": {"accounts"}, "claims": {"incoming"}, "answers": {"answers"}, "slots": {"slots"}, "pods": {"pods"},
    "calls": {"calls", "callevents", "slots"},
    "acs_tokens": (), "call_control": (), "credential": (), "entra": (), "recordings": (), "signals": (),
    "sounds": (), "vault": (),
}  # fmt: skip
"""Which tables a client of a process works with."""
HEADER = re.compile(r"\{ name: (\w+), type: '(\w+)', properties: \{ value: (\w+), isSecret: (\w+) \} \}")
FROM_THE_VAULT = re.compile(
    r"^    api(?:Id: keys\.getSecret\('\$\{wanted\.account\}-api-id"
    r"|Secret: keys\.getSecret\('\$\{wanted\.account\}-api-secret)'\)$",
    re.MULTILINE,
)
MAY_BE_SECRET = re.compile(r"secret(?!s\.outputs\.(url|id)$)|password|accessKey|\bapiId\b", re.IGNORECASE)
LOCAL_AUTHENTICATION_OFF = {
    "bicep/modules/communication.bicep": "disableLocalAuth: true",
    "bicep/modules/ai.bicep": "disableLocalAuth: true",
    "bicep/modules/web-pubsub.bicep": "disableLocalAuth: true",
    "bicep/modules/observability.bicep": "DisableLocalAuth: true",
    "bicep/modules/storage.bicep": "allowSharedKeyAccess: false",
    "bicep/modules/registry.bicep": "adminUserEnabled: false",
}


def webhook_is_the_code_s(files):
    main = files.text("bicep/main.bicep")
    webhooks = entries(block(main, "var webhooks = {"))
    for webhook, path in ((Webhook.AGENTS, "functions/acs_events.py"), (Webhook.IVR, "functions/ivr.py")):
        route = re.search(r'^ROUTE = "([^"]+)"$', files.text(path), re.MULTILINE)[1]
        if webhooks.get(webhook) != f"'${{functions.outputs.baseUrl}}/{route}'":
            yield f"main.bicep: the subscription of {webhook} has another path than the function"
    if "endpointUrl: webhooks[wanted.webhook]" not in main:
        yield "main.bicep: a subscription goes elsewhere than its filter says"


def headers_are_the_account_s(files):
    text = files.text(SUBSCRIPTION)
    account = Account("a", "A", "id", ())
    expected = {"apiIdHeader": account.api_id_header, "apiSecretHeader": account.api_secret_header}
    if dict(re.findall(r"^param (\w+Header) string = '([^']+)'$", text, re.MULTILINE)) != expected:
        yield "event-subscription.bicep: not the header names of an account"
    headers = HEADER.findall(text)
    if headers != [
        ("apiIdHeader", "Static", "apiId", "true"),
        ("apiSecretHeader", "Static", "apiSecret", "true"),
    ]:
        yield "event-subscription.bicep: both headers are to be there, and secret"


def events_are_calls_of_ours(files):
    text = files.text(SUBSCRIPTION)
    if strings(block(text, "includedEventTypes: [")) != [INCOMING_CALL]:
        yield "event-subscription.bicep: other events than incoming calls"
    for operator in Operator:
        if f"{{ operatorType: '{operator}', key: 'data.to.rawId', values: wanted.called }}" not in text:
            yield f"event-subscription.bicep: no filter by who is called, {operator}"
    fields = set(
        re.findall(
            r"^  (\w+): ", block(files.text("bicep/types.bicep"), "type eventFilter = {"), re.MULTILINE
        )
    )
    if fields != {each.name for each in dataclasses.fields(EventFilter)}:
        yield "types.bicep: an eventFilter is not what `numbers filters` prints"
    for path in ("bicep/main.parameters.json", "bicep/sandbox.bicepparam", "bicep/production.bicepparam"):
        if "EVENT_FILTERS" not in files.text(path):
            yield f"{path}: the filters that the hook sets are not taken"
    if "eventDeliverySchema: 'CloudEventSchemaV1_0'" not in text:
        yield "event-subscription.bicep: the schema cannot be changed later"


def deliveries_end_with_the_ringing(files):
    policy = entries("  " + block(files.text(SUBSCRIPTION), "retryPolicy: {").strip().replace(", ", "\n  "))
    if policy.get("eventTimeToLiveInMinutes") != "1" or policy.get("maxDeliveryAttempts") not in ("2", "3"):
        yield f"event-subscription.bicep: retries go on after the ringing: {policy}"


def dead_letters_are_kept(files):
    text = files.text(SUBSCRIPTION)
    if "\n    deadLetterWithResourceIdentity: {" not in text or "\n    deadLetterDestination: " in text:
        yield "event-subscription.bicep: dead letters are not written by identity"
    if files.text("bicep/main.bicep").count(f"deadLetterContainer: '{dead_letters.CONTAINER}'") != 1:
        yield "main.bicep: dead letters go where nobody looks"


def cors_is_off(files):
    """Where the platform has an origin it answers OPTIONS itself, and the handshake fails."""
    if "cors: { allowedOrigins: [] }" not in files.text("bicep/modules/functions.bicep"):
        yield "functions.bicep: CORS of the platform is not off"
    yield from (f"{path}: a CORS policy" for path in files.templates() if "corsPolicy" in files.text(path))
    if "cors" in files.text("host.json").lower():
        yield "host.json: CORS"


def data_are_where_the_code_looks(files):
    text = module_of(files.text("bicep/main.bicep"), "data")
    if sorted(strings(block(text, "tables: ["))) != sorted(TABLES):
        yield "main.bicep: other tables than the code's"
    containers = {profile_store.CONTAINER, recording_store.CONTAINER, dead_letters.CONTAINER}
    if set(strings(block(text, "containers: ["))) != containers:
        yield "main.bicep: other containers than the code's"
    deleted = {prefix.split("/")[0] for prefix in re.findall(r"prefix: '([^']+)'", text)}
    if deleted != {dead_letters.CONTAINER, recording_store.CONTAINER}:
        yield "main.bicep: what upkeep never deletes has no lifecycle rule"
    if f"prefix: '{recording_store.CONTAINER}/unfinished/'" not in text:
        yield "main.bicep: a rule deletes recordings that are finished"


def roles_are_documented(files):
    given, documented = Counter(grants(files)), Counter(documented_roles(files))
    yield from (f"not in docs/security.md: {', '.join(row)}" for row in given - documented)
    yield from (f"only in docs/security.md: {', '.join(row)}" for row in documented - given)


def pods_have_the_tables_that_they_use(files):
    """By the clients that the media gateway takes: one that is new to it needs a role, and a line here."""
    used = set()
    for path in (REPOSITORY / "media_gateway").rglob("*.py"):
        used |= set(re.findall(r"\boutside\.(\w+)", files.text(str(path.relative_to(REPOSITORY)))))
    needed = {table for client in used for table in TABLES_OF.get(client, {f"those of {client}"})}
    theirs = [(role, on) for who, role, on in grants(files) if who == "media gateway"]
    given = {on.removeprefix("data storage: ") for role, on in theirs if "Table" in role}
    if needed != given:
        yield f"main.bicep: pods use {sorted(needed)} and have {sorted(given)}"


def roles_are_built_in(files):
    found = re.findall(r"^  '?([\w ]+?)'?: '([0-9a-f-]{36})'$", files.text("bicep/types.bicep"), re.MULTILINE)
    yield from (
        f"types.bicep: {role} has another id" for role, guid in found if BUILT_IN_ROLES.get(role) != guid
    )
    if {role for role, _ in found} != set(BUILT_IN_ROLES):
        yield "types.bicep: not the roles that are given"
    if BUILT_IN_ROLES["Cognitive Services User"] != resources.AI_ROLE:
        yield "resources.py: the doctor looks for another role than the templates give"


def roles_are_on_one_resource(files):
    for path in files.templates():
        text = files.text(path)
        for at in re.finditer(r"Microsoft\.Authorization/roleAssignments@", text):
            body = block(text[at.end() :], "= ")
            scope = re.search(r"^\s+scope: (\w+)", body, re.MULTILINE)
            if scope is None or scope[1] in ("resourceGroup", "subscription", "group"):
                yield f"{path}: a role for more than one resource"
            if "principalType: given.principalType" not in body:
                yield f"{path}: an identity of a moment ago is not found without its type"


def nothing_has_a_key(files):
    for path, switch in LOCAL_AUTHENTICATION_OFF.items():
        if switch not in files.text(path):
            yield f"{path}: local authentication is not off"
    listing = [path for path in files.templates() if re.search(r"\blist[A-Z]\w*\(", files.text(path))]
    yield from (f"{path}: a key is listed" for path in listing)
    vault = files.text("bicep/modules/key-vault.bicep")
    for switch in ("enableRbacAuthorization: true", "enablePurgeProtection: true"):
        if switch not in vault:
            yield f"key-vault.bicep: no {switch}"


def secrets_are_in_no_output(files):
    for path in files.templates():
        for name, value in re.findall(r"^output (\w+) \w+ = (.+)$", files.text(path), re.MULTILINE):
            if MAY_BE_SECRET.search(f"{name} {value}"):
                yield f"{path}: output {name} may hold a secret"
    main = files.text("bicep/main.bicep")
    if len(FROM_THE_VAULT.findall(main)) != 2:
        yield "main.bicep: credentials come from elsewhere than the vault"
    if files.text(SUBSCRIPTION).count("@secure()\nparam api") != 2:
        yield "event-subscription.bicep: credentials are not secure parameters"
    if "newGuid" in main:
        yield "main.bicep: a secret that is another one at every run"


def secrets_have_the_code_s_names(files):
    text = module_of(files.text("bicep/main.bicep"), "secrets")
    named = set(re.findall(r"ofPart\(edge, 'Key Vault Secrets User', '([^']+)'\)", text))
    if named != {MEDIA_KEY_SECRET, CALLBACK_KEY_SECRET}:
        yield "main.bicep: not the token keys of the code"
    if f"ofPart(media, 'Key Vault Secrets User', '{CALLBACK_KEY_SECRET}')" in text:
        yield "main.bicep: a pod that has the callback key can forge callbacks"
    seeded = files.text("bicep/hooks/deployment.py")
    for name in ("api-id", "api-secret"):
        if f'f"{{account}}-{name}"' not in seeded:
            yield f"deployment.py: {name} is kept under another name"


def regions_are_one_list(files):
    regions = files.json("bicep/ai-link-regions.json")
    if len(set(regions)) != len(regions) or any(not re.fullmatch(r"[a-z]+[0-9]?", name) for name in regions):
        yield "ai-link-regions.json: not region names, each once"
    if "loadJsonContent('../ai-link-regions.json')" not in files.text("bicep/modules/ai.bicep"):
        yield "ai.bicep: the list is not the file's"
    if resources.REGIONS_FILE != REPOSITORY / "bicep/ai-link-regions.json":
        yield "resources.py: the doctor has another list than the templates"
    if f'"allowAnyAiRegion": {{ "value": "${{{resources.ANY_REGION}=false}}" }}' not in files.text(
        "bicep/main.parameters.json"
    ):
        yield "main.parameters.json: doctor and templates go past the list by different settings"
    for path in files.templates():
        if len(set(regions) & set(strings(files.text(path)))) > 1:
            yield f"{path}: a second list of regions"


def alerts_look_for_what_is_logged(files):
    text = files.text("bicep/modules/alerts.bicep")
    sources = {"edge": ("functions", "shared"), "media": ("media_gateway",)}
    for process, messages in re.findall(r"process: '(\w+)'\n\s+messages: \[(.*?)\]", text, re.DOTALL):
        code = "\n".join(
            p.read_text() for folder in sources[process] for p in (REPOSITORY / folder).rglob("*.py")
        )
        for quoted in re.findall(r"'((?:[^'\\]|\\.)*)'", messages):
            message = quoted.replace("\\'", "'")
            if f'"{message}"' not in code:
                yield f"alerts.bicep: {process} writes no line '{message}'"


FACTS = (
    webhook_is_the_code_s,
    headers_are_the_account_s,
    events_are_calls_of_ours,
    deliveries_end_with_the_ringing,
    dead_letters_are_kept,
    cors_is_off,
    data_are_where_the_code_looks,
    roles_are_documented,
    pods_have_the_tables_that_they_use,
    roles_are_built_in,
    roles_are_on_one_resource,
    nothing_has_a_key,
    secrets_are_in_no_output,
    secrets_have_the_code_s_names,
    regions_are_one_list,
    alerts_look_for_what_is_logged,
)
