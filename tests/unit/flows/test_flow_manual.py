"""The examples of the manual are good flows, and its program runs."""

from itertools import count

import pytest
import yaml

from shared.admin.__main__ import main
from shared.flow_document import faults_of, sounds_in, to_flow
from shared.flow_file import load_flow_file
from shared.flow_paths import ways
from tests.support.documentation import DOCS, blocks
from tests.unit.flows.ivr import ROOT, document_of

BLOCKS = blocks(DOCS / "ivr-flows.md")


def of(info):
    return [block for block in BLOCKS if block.info == info]


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_a_whole_example_is_a_good_file(block, tmp_path):
    (tmp_path / "flow.yaml").write_text(block.text)
    load_flow_file(tmp_path / "flow.yaml")


@pytest.mark.parametrize("block", of("yaml steps"), ids=str)
def test_example_steps_are_good_in_a_flow_that_leads_to_all_of_them(block):
    steps = document_of(block.text)["steps"]
    reached = {way.to for step in steps.values() for way in ways(step)}
    number = count()
    cases = "".join(
        f"    - {{is: '{next(number)}', next: {name}}}\n" for name in steps if name not in reached
    )
    first = f"first:\n  kind: branch\n  variable: called\n  cases:\n{cases}  otherwise: bye\n"
    document = document_of(first + block.text)
    assert [(fault.place_name, fault.text) for fault in faults_of(document)] == []
    assert to_flow(document)
    assert {sound.name for sound in sounds_in(document)} <= {"closed.wav"}


def test_every_kind_of_step_has_an_example():
    kinds = {step["kind"] for block in of("yaml steps") for step in document_of(block.text)["steps"].values()}
    assert kinds == {"say", "ask", "confirm", "branch", "http", "set", "transfer", "hang_up", "go_to"}


def test_the_command_is_one(monkeypatch, capsys):
    (block,) = of("sh")
    ((_, _, module, *arguments),) = block.commands()
    monkeypatch.chdir(ROOT)
    assert (module, main(arguments)) == ("shared.admin", 0)
    assert "no fault" in capsys.readouterr().out


def test_the_program_runs_with_the_first_example():
    (block,) = of("python")
    exec(compile(block.text, str(block), "exec"), {"flow": to_flow(yaml.safe_load(of("yaml")[0].text))})


def test_every_block_is_one_that_is_run():
    assert {block.info for block in BLOCKS} == {"yaml", "yaml steps", "sh", "python"}
