"""Facts about the two processes that templates and code must agree on. Each yields what is wrong."""

import contextlib
import re

from shared.config import (
    MAX_TERMINATION_GRACE_S,
    STOP_RESERVE_S,
    SettingsInvalid,
    functions_settings,
    media_settings,
)
from tests.unit.deploy.deployment_files import TIERS, block, entries, value_of

OF_A_LAPTOP = {
    "ACS_ACCESS_KEY", "AZURE_CREDENTIAL", "KEY_VAULT_CA_FILE", "LANGUAGE_KEY", "MEDIA_HOST", "POD_NAME",
    "STORAGE_CONNECTION_STRING", "WEB_PUBSUB_CONNECTION_STRING",
}  # fmt: skip
OF_THE_PLATFORM = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "APPLICATIONINSIGHTS_CONNECTION_STRING", "AZURE_CLIENT_ID",
    "AZURE_TOKEN_CREDENTIALS", "AzureWebJobsStorage__accountName", "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
}  # fmt: skip
LEFT_AT_DEFAULTS = {
    "ACCOUNTS_MAX_AGE_S", "ACS_JWT_VERIFIED_ON", "ACS_OPENID_METADATA_URL", "ACS_TOKEN_ISSUER", "AGENT_APPEND_MS",
    "CALL_RETENTION_DAYS", "CLAIM_LEASE_S", "CLAIM_RETENTION_HOURS", "CONTAINER_APP_REPLICA_NAME", "EVENT_BUDGET_S",
    "EVENT_GRID_ORIGINS", "EVENT_GRID_VALIDATION", "INTERRUPTION_GRACE_S", "LOG_LEVEL", "OWNER_LOST_AFTER_S",
    "RING_DEADLINE_S", "TOKEN_KEY_REFRESH_S", "TOKEN_KEY_SIGNING_AGE_S", "UPKEEP_SCHEDULE",
}  # fmt: skip
"""An operator sets them by `edgeSettings` and `mediaSettings`. A setting that is new to the code needs a place in a
template, or here."""

OUTPUTS = {
    "ACS_ENDPOINT": "https://acs-1.europe.communication.azure.com",
    "ACS_RESOURCE_ID": "22222222-2222-2222-2222-222222222222",
    "KEY_VAULT_URL": "https://kv-1.vault.azure.net/",
    "STORAGE_TABLE_ENDPOINT": "https://stdata1.table.core.windows.net/",
    "STORAGE_BLOB_ENDPOINT": "https://stdata1.blob.core.windows.net/",
    "WEB_PUBSUB_ENDPOINT": "https://wps-1.webpubsub.azure.com",
}


class Read(dict[str, str]):
    """An environment that notes what is read of it."""

    def __init__(self, values=()):
        super().__init__(values)
        self.names = set()

    def get(self, name, default=None):
        self.names.add(name)
        return super().get(name, default)


def _common(files):
    return list(entries(block(files.text("bicep/types.bicep"), "type commonSettings = {")))


def _of_edge(files, tier):
    size = files.json("bicep/sizes.json")[tier]
    site = {"properties": {"defaultHostName": "func-1.azurewebsites.net"}}
    names = {
        "site": site, "mediaBaseUrl": "wss://ca-media-1.example.azurecontainerapps.io",
        "aiEndpoint": "https://ai-1.cognitiveservices.azure.com", "recordingDays": size["recordingDays"],
        "toolHosts": "crm.example.com",
    }  # fmt: skip
    own = entries(block(files.text("bicep/modules/functions.bicep"), "var own = {"))
    return {name: value_of(expression, names) for name, expression in own.items()}


def _of_media(files, tier):
    text = files.text("bicep/media.bicep")
    names = {
        "size": files.json("bicep/sizes.json")[tier],
        "port": int(re.search(r"^var port = (\d+)$", text, re.MULTILINE)[1]),
        "stopReserveSeconds": int(re.search(r"^var stopReserveSeconds = (\d+)$", text, re.MULTILINE)[1]),
        "spill": {"path": re.search(r"^var spill = .* path: '([^']+)'", text, re.MULTILINE)[1]},
        "toolHosts": "crm.example.com",
        "callbackBaseUrl": "https://func-1.azurewebsites.net",
        "languageEndpoint": "https://ai-1.cognitiveservices.azure.com",
    }
    own = entries(block(text, "var own = {"))
    return {name: value_of(expression, names) for name, expression in own.items()}


def _environments(files):
    """The processes with their environments in each size, and what reads them."""
    common = {name: OUTPUTS.get(name, "") for name in _common(files)}
    for tier in TIERS:
        yield "edge", tier, functions_settings, Read({**common, **_of_edge(files, tier)})
        yield "media", tier, media_settings, Read({**common, **_of_media(files, tier)})


def settings_are_good(files):
    for process, tier, reader, environment in _environments(files):
        try:
            reader(environment)
        except SettingsInvalid as invalid:
            yield from (f"{process} in {tier}: {fault}" for fault in invalid.faults)


def settings_are_known_and_complete(files):
    for process, tier, reader, environment in _environments(files):
        with contextlib.suppress(SettingsInvalid):
            reader(environment)
        set_here, read = set(environment), environment.names
        yield from (f"{process} in {tier}: nothing reads {name}" for name in sorted(set_here - read))
        missing = read - set_here - OF_A_LAPTOP - LEFT_AT_DEFAULTS
        yield from (f"{process} in {tier}: {name} is missing" for name in sorted(missing))
    for path in ("bicep/modules/functions.bicep", "bicep/media.bicep"):
        platform = set(entries(block(files.text(path), "var platform = {")))
        yield from (f"{path}: {name} is not the platform's" for name in sorted(platform - OF_THE_PLATFORM))


def common_settings_are_handed_on(files):
    """By the names of the outputs, from providing to deploying."""
    common = set(_common(files))
    main = files.text("bicep/main.bicep")
    if set(entries(block(main, "var common = {"))) != common:
        yield "main.bicep: var common has not the settings of commonSettings"
    outputs = set(re.findall(r"^output (\w+) ", main, re.MULTILINE))
    yield from (f"main.bicep: no output {name}" for name in sorted(common - outputs))
    given = files.json("bicep/media.parameters.json")["parameters"]
    if given["common"]["value"] != {name: f"${{{name}}}" for name in given["common"]["value"]}:
        yield "media.parameters.json: common takes values of other names"
    if set(given["common"]["value"]) != common:
        yield "media.parameters.json: common has not the settings of commonSettings"
    for path in ("bicep/media.parameters.json", "bicep/main.parameters.json"):
        taken = re.findall(r"\$\{(\w+)(=?)", files.text(path))
        of_azd = {"AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_PRINCIPAL_ID", "SERVICE_MEDIA_IMAGE_NAME"}
        unknown = {name for name, default in taken if not default} - outputs - of_azd
        yield from (f"{path}: nobody gives {name}" for name in sorted(unknown))


def drain_ends_before_the_platform_kills(files):
    text = files.text("bicep/media.bicep")
    if "terminationGracePeriodSeconds: size.terminationGraceSeconds" not in text:
        yield "media.bicep: the grace of the app is not that of its size"
    for tier in TIERS:
        settings = _of_media(files, tier)
        grace, drain = int(settings["TERMINATION_GRACE_S"]), int(settings["DRAIN_S"])
        if grace != files.json("bicep/sizes.json")[tier]["terminationGraceSeconds"]:
            yield f"{tier}: TERMINATION_GRACE_S is not the grace"
        if drain + STOP_RESERVE_S > grace:
            yield f"{tier}: DRAIN_S leaves less than {STOP_RESERVE_S} s of the grace"
        if grace > MAX_TERMINATION_GRACE_S:
            yield f"{tier}: the grace is above {MAX_TERMINATION_GRACE_S} s"


def sizes_carry_calls(files):
    sizes = files.json("bicep/sizes.json")
    if set(sizes["sandbox"]) != set(sizes["production"]):
        yield "sizes.json: the sizes differ in what they have"
    if sizes["production"]["replicas"]["least"] < 2:
        yield "sizes.json: in production one pod is no pod when it is lost"
    for tier, size in sizes.items():
        if not 1 <= size["replicas"]["least"] <= size["replicas"]["most"]:
            yield f"{tier}: replicas"
        if not size["scaleOutAtCalls"] < size["maxCalls"]:
            yield f"{tier}: pods are full before there are more of them"
        if size["functions"]["alwaysReady"] < 1:
            yield f"{tier}: no Functions instance is up when it rings"


def port_is_one(files):
    port = re.search(r"^var port = (\d+)$", files.text("bicep/media.bicep"), re.MULTILINE)[1]
    if str(media_settings({**OUTPUTS}).port) != port:
        yield "media.bicep: not the port of the code"
    if f"\nEXPOSE {port}\n" not in files.text("Dockerfile"):
        yield "Dockerfile: exposes another port"
    if "targetPort: port\n" not in files.text("bicep/media.bicep"):
        yield "media.bicep: the ingress has another port"


def probes_ask_what_is_answered(files):
    text = files.text("bicep/media.bicep")
    probes = dict(re.findall(r"type: '(\w+)'\n\s+httpGet: \{ path: '([^']+)', port: port \}", text))
    if probes != {"Startup": "/healthz", "Liveness": "/healthz", "Readiness": "/readyz"}:
        yield f"media.bicep: probes are {probes}"
    answered = set(re.findall(r'path == b"(/\w+)"', files.text("media_gateway/server.py")))
    yield from (f"the media gateway answers no {path}" for path in set(probes.values()) - answered)
    if "/readyz" not in files.text("bicep/hooks/deployment.py"):
        yield "the hook does not wait for /readyz"


FACTS = (
    settings_are_good,
    settings_are_known_and_complete,
    common_settings_are_handed_on,
    drain_ends_before_the_platform_kills,
    sizes_carry_calls,
    port_is_one,
    probes_ask_what_is_answered,
)
