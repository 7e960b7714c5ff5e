"""What a profile says of the context of its calls; all of it may be left out."""

from pathlib import Path

import msgspec
import pytest

from shared.core.profiles import AgentProfile
from shared.core.variables import ContextSettings
from shared.gateway_document import faults_of, to_routing
from shared.gateway_file import load_gateway_file
from shared.yaml_file import YamlFileInvalid

CONTEXT = {"variables": ["accountNumber", "caller"], "return_header": "backTo", "task_header": "job"}
KINDS = {
    "echo": {"kind": "echo"},
    "script": {"kind": "script"},
    "realtime": {"kind": "realtime", "dialect": "openai", "model": "m", "endpoint": "ws://127.0.0.1/v1"},
}


def document(context, kind="echo"):
    return {"version": 1, "profiles": {"bank": KINDS[kind] | {"context": context}}}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_agent_has_it_and_a_row_keeps_it(kind):
    assert list(faults_of(document(CONTEXT, kind))) == []
    profile = to_routing(document(CONTEXT, kind)).profiles["bank"]
    assert profile.context == ContextSettings(("accountNumber", "caller"), "backTo", "job")
    assert msgspec.json.decode(msgspec.json.encode(profile), type=AgentProfile) == profile


def test_what_is_left_out_is_everything_by_the_usual_names():
    assert to_routing(document({})).profiles["bank"].context == ContextSettings(None, "returnTo", "taskName")


@pytest.mark.parametrize(
    ("context", "fault"),
    [
        ({"variables": "all"}, 'context.variables: "all" is not of type "array"'),
        ({"variables": ["a", "a"]}, "context.variables: "),
        ({"variables": ["n" * 65]}, "context.variables.0: "),
        (
            {"variables": ["a", "RETURNTO"]},
            "context.variables.1: is no variable: the gateway reads this header",
        ),
        (
            {"variables": ["job"], "task_header": "Job"},
            "context.variables.0: is no variable: the gateway reads",
        ),
        ({"return_header": ""}, "context.return_header: "),
        ({"return_header": "taskname"}, "context: return_header and task_header are the same header"),
        ({"allow": []}, "context: Additional properties are not allowed"),
    ],
)
def test_a_fault_is_found_when_the_document_is_pushed(context, fault):
    (found,) = faults_of(document(context))
    assert f"{found.place_name}: {found.text}".startswith(f"profiles.bank.{fault}")


def test_the_example_of_the_manual_is_a_good_file(tmp_path):
    manual = (Path(__file__).parents[3] / "docs" / "gateway-file.md").read_text()
    example = manual.partition("### What the agent is told")[2].partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "gateway.yaml").write_text(example)
    assert set(load_gateway_file(tmp_path / "gateway.yaml").document["profiles"]["bank"]["context"]) == set(
        CONTEXT
    )


def test_a_fault_has_its_line(tmp_path):
    (tmp_path / "gateway.yaml").write_text(
        "version: 1\nprofiles:\n  bank:\n    kind: echo\n    context:\n      variables: [a, taskName]\n"
    )
    with pytest.raises(
        YamlFileInvalid, match=r"gateway\.yaml:6: profiles\.bank\.context\.variables\.1: is no"
    ):
        load_gateway_file(tmp_path / "gateway.yaml")
