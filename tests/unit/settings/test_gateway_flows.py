"""Flows in the gateway file: named with their routes, stored whole, and never beside a profile for the same call."""

import pytest

from shared.gateway_document import decode, encode, to_routing
from shared.gateway_file import load_gateway_file
from shared.yaml_file import YamlFileInvalid

IDENTITY = "8:acs:11111111-1111-1111-1111-111111111111_ivr"
FLOW = """\
version: 1
languages: {en-US: {voice: en-US-AvaMultilingualNeural}}
start: bye
steps:
  bye: {kind: hang_up}
"""
GATEWAY = f"""\
version: 1
profiles:
  echo: {{kind: echo}}
flows:
  welcome: welcome.yaml
routes:
  - {{account: demo, to: "+18005550100", flow: welcome}}
  - {{account: demo, to: "{IDENTITY}", flow: welcome}}
  - {{account: demo, to: "*", profile: echo}}
"""


def written(folder, gateway=GATEWAY, flow=FLOW):
    (folder / "welcome.yaml").write_text(flow)
    path = folder / "gateway.yaml"
    path.write_text(gateway)
    return path


def routing(folder):
    return to_routing(decode(encode(load_gateway_file(written(folder)).document)))


def test_a_flow_is_stored_whole_with_the_profiles(tmp_path):
    flow = routing(tmp_path).flows["welcome"]
    assert (flow.start, list(flow.steps)) == ("bye", ["bye"])


def test_a_call_is_a_flow_s_or_a_profile_s_and_never_both(tmp_path):
    found = routing(tmp_path)
    for called, flow, profile in (
        ("4:+18005550100", "welcome", None),
        (IDENTITY, "welcome", None),
        ("4:+18005550199", None, "echo"),
    ):
        answering = found.profile_for("demo", called)
        assert (found.flow_for("demo", called), answering and answering.name) == (flow, profile)
    assert found.flow_for("other", "4:+18005550100") is None


def test_calls_come_back_by_the_identity_that_has_the_flow_s_route(tmp_path):
    assert routing(tmp_path).identity_of("demo", "welcome") == IDENTITY
    assert routing(tmp_path).identity_of("other", "welcome") == ""


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        (('100", flow: welcome', '100", flow: other'), "there is no flow 'other'"),
        (("profile: echo}", "profile: echo, flow: welcome}"), "routes.2: .* is valid under more than one"),
        ((", profile: echo}", "}"), "routes.2: .* is not valid under any"),
        (("welcome: welcome.yaml", "welcome: elsewhere.yaml"), "elsewhere.yaml: No such file"),
        (("welcome: welcome.yaml", "welcome: {version: 1}"), "must name a file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path, changed, fault):
    with pytest.raises(YamlFileInvalid, match=fault):
        load_gateway_file(written(tmp_path, GATEWAY.replace(*changed)))


def test_a_fault_in_a_flow_names_its_own_file_and_line(tmp_path):
    with pytest.raises(YamlFileInvalid, match=r"welcome\.yaml:3: start"):
        load_gateway_file(written(tmp_path, flow=FLOW.replace("start: bye", "start: nowhere")))
