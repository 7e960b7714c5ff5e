"""Settings are checked whole: every fault is named at once, and secrets are never printed."""

from pathlib import Path

import pytest

from shared.config import SettingsInvalid, functions_settings, media_settings

LOCAL = {
    "ACS_ENDPOINT": "http://127.0.0.1:8061/",
    "ACS_ACCESS_KEY": "c2VjcmV0LWFjY2Vzcy1rZXk=",
    "KEY_VAULT_URL": "https://127.0.0.1:8062",
    "KEY_VAULT_CA_FILE": __file__,
    "AZURE_CREDENTIAL": "local",
    "STORAGE_CONNECTION_STRING": "AccountName=devstoreaccount1;AccountKey=c2VjcmV0;TableEndpoint=http://127.0.0.1",
    "WEB_PUBSUB_CONNECTION_STRING": "Endpoint=http://127.0.0.1;Port=8061;AccessKey=cHVzaC1rZXk=;Version=1.0;",
    "CALLBACK_BASE_URL": "http://127.0.0.1:7071",
    "MEDIA_BASE_URL": "ws://127.0.0.1:8063",
}
AZURE = {
    "ACS_ENDPOINT": "https://acs1.communication.azure.com",
    "ACS_RESOURCE_ID": "22222222-2222-2222-2222-222222222222",
    "KEY_VAULT_URL": "https://vault1.vault.azure.net",
    "STORAGE_TABLE_ENDPOINT": "https://st1.table.core.windows.net",
    "STORAGE_BLOB_ENDPOINT": "https://st1.blob.core.windows.net",
    "WEB_PUBSUB_ENDPOINT": "https://push1.webpubsub.azure.com",
    "CALLBACK_BASE_URL": "https://gateway.example.com",
    "MEDIA_BASE_URL": "wss://media.example.com",
}


def test_local_settings_are_good_and_lose_the_trailing_slash_that_breaks_signatures():
    settings = functions_settings(LOCAL)
    assert settings.common.acs_endpoint == "http://127.0.0.1:8061"
    assert settings.common.vault.ca_file == Path(__file__)
    assert settings.common.acs_tokens is None
    assert settings.accounts_max_age_s == 30


def test_in_azure_acs_own_token_is_checked_everywhere_by_default():
    tokens = functions_settings(AZURE).common.acs_tokens
    assert tokens is not None
    assert (tokens.on_callbacks, tokens.on_media) == (True, True)
    assert tokens.metadata_url.startswith("https://acscallautomation.communication.azure.com/")


def test_every_fault_is_named_at_once():
    with pytest.raises(SettingsInvalid) as invalid:
        functions_settings({"RING_DEADLINE_S": "soon", "CALLBACK_BASE_URL": "gateway"})
    assert invalid.value.faults == (
        "ACS_ENDPOINT is not set",
        "KEY_VAULT_URL is not set",
        "set either STORAGE_TABLE_ENDPOINT and STORAGE_BLOB_ENDPOINT, or STORAGE_CONNECTION_STRING",
        "set either WEB_PUBSUB_ENDPOINT or WEB_PUBSUB_CONNECTION_STRING",
        "CALLBACK_BASE_URL must be a URL that starts with https://",
        "MEDIA_BASE_URL is not set",
        "RING_DEADLINE_S must be a number of seconds",
    )


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"ACS_ENDPOINT": "http://acs1.communication.azure.com"},
            "ACS_ENDPOINT may use http:// only for a loopback host",
        ),
        (
            {"MEDIA_BASE_URL": "ws://media.example.com"},
            "MEDIA_BASE_URL may use ws:// only for a loopback host",
        ),
        (
            {"MEDIA_BASE_URL": "https://media.example.com"},
            "MEDIA_BASE_URL must be a URL that starts with wss://",
        ),
        ({"CALLBACK_BASE_URL": "https://g.example.com/?code=1"}, "CALLBACK_BASE_URL must have no query"),
        (
            {"AZURE_CREDENTIAL": "local"},
            "AZURE_CREDENTIAL may be 'local' only when every endpoint is loopback",
        ),
        ({"AZURE_CREDENTIAL": "magic"}, "AZURE_CREDENTIAL must be one of: default, local"),
        (
            {"STORAGE_CONNECTION_STRING": "x"},
            "set either STORAGE_TABLE_ENDPOINT and STORAGE_BLOB_ENDPOINT, or STORAGE_CONNECTION_STRING",
        ),
        (
            {"STORAGE_BLOB_ENDPOINT": ""},
            "set either STORAGE_TABLE_ENDPOINT and STORAGE_BLOB_ENDPOINT, or STORAGE_CONNECTION_STRING",
        ),
        ({"ACS_RESOURCE_ID": "", "ACS_JWT_VERIFIED_ON": "callbacks"}, "ACS_RESOURCE_ID is not set"),
        ({"CLAIM_LEASE_S": "0"}, "CLAIM_LEASE_S must be more than 0"),
        ({"EVENT_BUDGET_S": "nan"}, "EVENT_BUDGET_S must be more than 0"),
        ({"EVENT_BUDGET_S": "30", "CLAIM_LEASE_S": "40"}, "EVENT_BUDGET_S must be below 30"),
        ({"CLAIM_LEASE_S": "5"}, "CLAIM_LEASE_S must not be below EVENT_BUDGET_S"),
        ({"RING_DEADLINE_S": "86400"}, "RING_DEADLINE_S must be 60 at most"),
        ({"CALLBACK_BASE_URL": "https://[x"}, "CALLBACK_BASE_URL must be a URL that starts with https://"),
        (
            {"CALLBACK_BASE_URL": "https://x:port"},
            "CALLBACK_BASE_URL must be a URL that starts with https://",
        ),
        ({"ACS_ACCESS_KEY": "abc"}, "ACS_ACCESS_KEY must be base64 text"),
        (
            {"ACS_RESOURCE_ID": "/subscriptions/1"},
            "ACS_RESOURCE_ID must be the resource's immutable id, a GUID",
        ),
        (
            {"ACS_RESOURCE_ID": ""},
            "ACS_RESOURCE_ID is not set; only ACS_JWT_VERIFIED_ON=none does without it",
        ),
        (
            {"TOKEN_KEY_SIGNING_AGE_S": "60", "TOKEN_KEY_REFRESH_S": "31"},
            "TOKEN_KEY_REFRESH_S must be half of TOKEN_KEY_SIGNING_AGE_S at most",
        ),
        ({"TOKEN_KEY_REFRESH_S": "0"}, "TOKEN_KEY_REFRESH_S must be more than 0"),
        ({"KEY_VAULT_CA_FILE": "/nowhere.pem"}, "KEY_VAULT_CA_FILE names no file"),
        (
            {"STORAGE_CONNECTION_STRING": "x=y"},
            "STORAGE_CONNECTION_STRING must hold AccountName and AccountKey",
        ),
        (
            {"WEB_PUBSUB_ENDPOINT": "http://push1.webpubsub.azure.com"},
            "WEB_PUBSUB_ENDPOINT may use http:// only for a loopback host",
        ),
        ({"WEB_PUBSUB_ENDPOINT": ""}, "set either WEB_PUBSUB_ENDPOINT or WEB_PUBSUB_CONNECTION_STRING"),
        (
            {"WEB_PUBSUB_CONNECTION_STRING": "Endpoint=https://push1;AccessKey=x"},
            "set either WEB_PUBSUB_ENDPOINT or WEB_PUBSUB_CONNECTION_STRING",
        ),
        (
            {"WEB_PUBSUB_ENDPOINT": "", "WEB_PUBSUB_CONNECTION_STRING": "Endpoint=https://push1"},
            "WEB_PUBSUB_CONNECTION_STRING must hold Endpoint and AccessKey",
        ),
        (
            {"WEB_PUBSUB_ENDPOINT": "", "WEB_PUBSUB_CONNECTION_STRING": "Endpoint=http://push1;AccessKey=x"},
            "WEB_PUBSUB_CONNECTION_STRING must have an Endpoint of https://, or of http:// on loopback",
        ),
    ],
)
def test_a_fault_is_named_plainly(changes, fault):
    with pytest.raises(SettingsInvalid, match=fault.replace("(", r"\(")):
        functions_settings({**AZURE, **changes})


def test_signals_go_through_an_endpoint_or_a_connection_string():
    local, azure = (functions_settings(env).common.web_pubsub for env in (LOCAL, AZURE))
    assert (local.endpoint, local.connection_string) == (None, LOCAL["WEB_PUBSUB_CONNECTION_STRING"])
    assert (azure.endpoint, azure.connection_string) == ("https://push1.webpubsub.azure.com", None)


def test_a_pod_is_named_by_its_replica_and_a_restart_is_another_pod():
    names = [media_settings({**AZURE, "CONTAINER_APP_REPLICA_NAME": "media--r1"}).pod_name for _ in range(2)]
    assert all(name.startswith("media--r1-") for name in names)
    assert names[0] != names[1]
    assert media_settings(AZURE).pod_name


def test_tools_may_call_the_hosts_that_are_listed_and_by_default_none():
    settings = media_settings({**AZURE, "TOOL_HOSTS": " api.example.com , *.example.net:8443,"})
    assert settings.tool_hosts.entries == {("api.example.com", 443), ("*.example.net", 8443)}
    assert media_settings(AZURE).tool_hosts.entries == frozenset()


def test_every_host_that_is_none_is_named():
    with pytest.raises(SettingsInvalid) as invalid:
        media_settings({**AZURE, "TOOL_HOSTS": "x.com/a,api.example.com,*"})
    assert [fault.rpartition("; ")[2] for fault in invalid.value.faults] == [
        "'x.com/a' is none",
        "'*' is none",
    ]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"POD_NAME": "a/b#c"}, "POD_NAME must be letters, digits, dots, hyphens and underscores"),
        ({"INTERRUPTION_GRACE_S": "99999999"}, "INTERRUPTION_GRACE_S must be 60 at most"),
        ({"MAX_CALLS": "0"}, "MAX_CALLS must be from 1 to 10000"),
        (
            {"AGENT_APPEND_MS": "30"},
            "AGENT_APPEND_MS must be a multiple of 20: ACS sends frames of that length",
        ),
        ({"AGENT_APPEND_MS": "10"}, "AGENT_APPEND_MS must be from 20 to 200"),
        ({"RECORDING_SPILL_MAX_MB": "0"}, "RECORDING_SPILL_MAX_MB must be from 1 to 1048576"),
        ({"RECORDING_SPILL_MAX_MB": "much"}, "RECORDING_SPILL_MAX_MB must be a whole number"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL must be one of: DEBUG, INFO, WARNING, ERROR"),
        ({"TOOL_HOSTS": "https://x.com"}, "TOOL_HOSTS must list hosts, .*; 'https://x.com' is none"),
    ],
)
def test_a_fault_of_the_media_gateway_is_named_plainly(changes, fault):
    with pytest.raises(SettingsInvalid, match=fault):
        media_settings({**AZURE, **changes})


def test_recordings_wait_on_a_volume_that_the_operator_names():
    settings = media_settings({**AZURE, "RECORDING_SPILL_DIR": "/spill", "RECORDING_SPILL_MAX_MB": "2048"})
    assert (settings.recording_spill_dir, settings.recording_spill_max_mb) == (Path("/spill"), 2048)
    assert media_settings(AZURE).recording_spill_dir.is_absolute()


def test_the_media_gateway_need_not_know_its_functions_app():
    assert media_settings(AZURE).callback_base_url == AZURE["CALLBACK_BASE_URL"]
    assert media_settings({**AZURE, "CALLBACK_BASE_URL": ""}).callback_base_url is None


def test_secrets_stay_out_of_what_is_printed():
    printed = repr(functions_settings(LOCAL))
    assert LOCAL["ACS_ACCESS_KEY"] not in printed
    assert LOCAL["STORAGE_CONNECTION_STRING"] not in printed
    assert LOCAL["WEB_PUBSUB_CONNECTION_STRING"] not in printed
