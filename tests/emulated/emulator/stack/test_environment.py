"""The settings that the stack gives the gateway."""

import json
from pathlib import Path

import pytest

from emulator.environment import as_exports, gateway_environment
from emulator.ports import Ports
from shared.config import functions_settings, media_settings
from tests.support.functions_host import REPOSITORY

CA_FILE = Path("out/stack/key-vault-ca.pem")
RECORDINGS = Path("out/stack/recordings")


@pytest.fixture(autouse=True)
def ca_file(tmp_path, monkeypatch):
    """The file that the settings name, beneath the current folder."""
    monkeypatch.chdir(tmp_path)
    CA_FILE.parent.mkdir(parents=True)
    CA_FILE.touch()


def test_both_processes_accept_them():
    environment = gateway_environment(Ports().shifted(100), CA_FILE, RECORDINGS)
    assert functions_settings(environment).callback_base_url == "http://127.0.0.1:7171"
    settings = media_settings(environment)
    assert (settings.port, settings.recording_spill_dir) == (8163, RECORDINGS)


def test_the_sample_of_local_settings_says_the_same():
    sample = json.loads((REPOSITORY / "local.settings.sample.json").read_text())["Values"]
    environment = gateway_environment(Ports(), CA_FILE, RECORDINGS) | {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true"
    }
    assert sample == {name: environment[name] for name in sample}
    functions_settings(sample)


def test_a_shell_can_read_them():
    assert as_exports({"A": "1;2", "B": ""}) == "export A='1;2'\nexport B=''"
