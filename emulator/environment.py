"""The gateway's settings in the local stack: what its processes are given as environment."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from emulator.azurite import connection_string
from emulator.identity import OPENID_METADATA_PATH
from emulator.ports import LOOPBACK, Ports
from emulator.settings import DEFAULT_RESOURCE_ID, DEFAULT_TOKEN_ISSUER, WELL_KNOWN_ACCESS_KEY


def gateway_environment(ports: Ports, key_vault_ca_file: Path, recordings: Path) -> dict[str, str]:
    """Return the settings of the Functions app and the media gateway for a stack on these ports.

    `recordings` is the stack's own folder for parts of recordings: another stack's storage has no place for them.
    Nothing in it is secret: the keys are the well-known ones of the emulators.
    """
    acs = f"http://{LOOPBACK}:{ports.emulator}"
    storage = connection_string(blob=ports.storage_blob, queue=ports.queue, table=ports.storage_table)
    return {
        "ACS_ENDPOINT": acs,
        "ACS_ACCESS_KEY": WELL_KNOWN_ACCESS_KEY,
        "ACS_RESOURCE_ID": DEFAULT_RESOURCE_ID,
        "ACS_TOKEN_ISSUER": DEFAULT_TOKEN_ISSUER,
        "ACS_OPENID_METADATA_URL": acs + OPENID_METADATA_PATH,
        "ACS_JWT_VERIFIED_ON": "callbacks,media",
        "KEY_VAULT_URL": f"https://{LOOPBACK}:{ports.key_vault}",
        "KEY_VAULT_CA_FILE": str(key_vault_ca_file),
        "AZURE_CREDENTIAL": "local",
        "STORAGE_CONNECTION_STRING": storage,
        # Empty is unset: a value from the surrounding environment would contradict a connection string.
        "STORAGE_TABLE_ENDPOINT": "",
        "STORAGE_BLOB_ENDPOINT": "",
        "WEB_PUBSUB_CONNECTION_STRING": f"Endpoint={acs};AccessKey={WELL_KNOWN_ACCESS_KEY};Version=1.0;",
        "WEB_PUBSUB_ENDPOINT": "",
        # The emulator's speech service is its own; what counts is that calls are answered with one.
        "COGNITIVE_SERVICES_ENDPOINT": acs,
        "LANGUAGE_ENDPOINT": acs,
        "LANGUAGE_KEY": WELL_KNOWN_ACCESS_KEY,
        "CALLBACK_BASE_URL": f"http://{LOOPBACK}:{ports.functions}",
        "MEDIA_BASE_URL": f"ws://{LOOPBACK}:{ports.media}",
        "MEDIA_HOST": LOOPBACK,
        "MEDIA_PORT": str(ports.media),
        "POD_NAME": "local",
        "RECORDING_SPILL_DIR": str(recordings),
        # What `func start` needs besides; the host's own storage is no matter of the emulator's faults.
        "AzureWebJobsStorage": connection_string(blob=ports.blob, queue=ports.queue, table=ports.table),
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "FUNCTIONS_CORE_TOOLS_TELEMETRY_OPTOUT": "1",
    }


def as_exports(environment: Mapping[str, str]) -> str:
    """Return the settings as lines that a shell can read."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())
