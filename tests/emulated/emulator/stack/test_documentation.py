"""The examples of the emulator's documentation: run, sent, loaded or read by the code that they are about.

A `json` block is a file of settings, where the text right before it speaks of settings and names no request; else it
is the body of the request that its section has named last. One that is only shown is marked `json answer`.
"""

import argparse
import ast
import asyncio
import importlib
import inspect
import json
import re
import shutil
import subprocess
from dataclasses import fields

import msgspec
import pytest
from azure.core.credentials import AccessToken

from emulator.__main__ import COMMANDS
from emulator.faults.operations import OPENID_METADATA
from emulator.faults.rules import ACTIONS, FaultRule, Malformation, TokenFlaw, When, read_rule
from emulator.identity import OPENID_METADATA_PATH
from emulator.media.impairment import Drop, Impairment, Jitter, Loss, SlowReader
from emulator.media.line import Line
from emulator.settings import EmulatorSettings, read_settings
from tests.support.acs_application import Application
from tests.support.documentation import DOCS, PAGES, all_blocks, blocks, links

KINDS = ("json", "json answer", "python", "sh", "text")
NUMBER, CALLER = "+18005550199", "+14255550100"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)(/[^\"'\s]*)?")
EMULATOR_PORT = "8061"


@pytest.fixture
async def application():
    application = Application()
    await application.start()
    yield application
    await application.stop()


@pytest.fixture
async def held(acs_emulator, http):
    """A request that is held."""
    acs_emulator.faults.hold_next(OPENID_METADATA)
    request = asyncio.create_task(http.get(acs_emulator.base_url + OPENID_METADATA_PATH))
    held = await acs_emulator.faults.held(OPENID_METADATA)
    yield held
    held.release()
    (await request).release()


@pytest.fixture
async def here(acs_emulator, application, held):
    """Turn what an example names into what there is: `here(text)`.

    The emulator, an application in place of all others, a call, and a request that is held.
    """
    line = Line(rate_hz=16_000)
    call = await acs_emulator.calls.place(to=NUMBER, from_=CALLER, line=line)

    def translate(text):
        def address(match):
            port, path = match.groups()
            return acs_emulator.base_url + (path or "") if port == EMULATOR_PORT else application.events_url

        text = ADDRESS.sub(address, text)
        text = text.replace("{correlationId}", call.correlation_id).replace("{name}", "example")
        return text.replace("/held/{id}", f"/held/{held.id}")

    yield translate
    line.close()


def parser_of(command):
    parser = argparse.ArgumentParser(prog=f"python -m emulator {command}")
    importlib.import_module(COMMANDS[command][0]).add_arguments(parser)
    return parser


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_of_a_kind_that_is_tested_or_only_text(page):
    assert [str(block) for block in blocks(page) if block.info not in KINDS] == []


@pytest.mark.parametrize("block", all_blocks("json"), ids=str)
async def test_json_is_accepted_by_what_it_is_for(block, acs_emulator, here, http, tmp_path):
    if block.request is not None:
        method, path = block.request
        url = acs_emulator.base_url + here(path)
        async with http.request(method, url, data=here(block.text)) as response:
            assert response.ok, f"{method} {path}: {response.status} {await response.text()}"
    elif block.is_settings:
        (tmp_path / "settings.json").write_text(block.text)
        read_settings(tmp_path / "settings.json")
    else:
        pytest.fail(f'{block}: name its request before it, or "settings", or mark it as ```json answer')


@pytest.mark.parametrize("block", all_blocks("json answer"), ids=str)
def test_json_that_is_shown_is_json(block):
    json.loads(block.text)


@pytest.mark.parametrize("block", all_blocks("sh"), ids=str)
def test_shell_commands_have_options_that_there_are(block):
    subprocess.run(["bash", "-n", "-c", block.text], check=True, timeout=10)
    for command, *arguments in block.emulator_commands():
        parser_of(command).parse_args(arguments)


CURL = [block for block in all_blocks("sh") if any(command[0] == "curl" for command in block.commands())]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("block", CURL, ids=str)
async def test_requests_by_curl_are_accepted(block, here):
    for command in block.commands():
        if command[0] == "curl":
            # In a thread: the emulator that it talks to is in this process.
            words = [*map(here, command), "--fail"]
            done = await asyncio.to_thread(
                subprocess.run, words, capture_output=True, text=True, timeout=20, check=False
            )
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


class Credential:
    """Stands for the reader's own."""

    def get_token(self, *scopes, **options):
        return AccessToken("token", 2**31)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_python_runs(page, start_emulator, azurite):
    """The blocks of a page in order; names that they import hold for the later ones.

    The reader's `emulator` has Azurite behind it.
    """
    emulator = await start_emulator(
        azurite_blob_port=azurite.ports["blob"], azurite_table_port=azurite.ports["table"]
    )
    name = page.relative_to(PAGES[0].parent).as_posix()
    imported = {}
    for block in all_blocks("python"):
        if block.page != name:
            continue
        tree = ast.parse(block.text, str(block))
        names = {**imported, "emulator": emulator, "credential": Credential()}
        code = compile(tree, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                imported |= {each.asname or each.name: names[each.asname or each.name] for each in node.names}


@pytest.mark.parametrize("command", ["call", "ingress", "media-urls", "realtime", "serve"])
def test_every_option_is_documented(command):
    text = "".join(page.read_text() for page in PAGES)
    options = {option for action in parser_of(command)._actions for option in action.option_strings}
    assert {option for option in options - {"-h"} if option not in text} == set()


def test_every_setting_is_documented():
    text = "".join(page.read_text() for page in PAGES)
    assert {each.name for each in fields(EmulatorSettings) if f"`{each.name}`" not in text} == set()


def members(shape):
    """Names of a struct's members in JSON."""
    return [each.encode_name for each in msgspec.structs.fields(shape)]


def example_rules():
    """The rules in the JSON of the page of faults: bodies of requests, and those of settings."""
    examples = [
        (block, json.loads(block.text))
        for block in blocks(DOCS / "emulator" / "faults.md")
        if block.info == "json"
    ]
    return [
        rule
        for block, content in examples
        for rule in (content.get("faults", ()) if block.is_settings else [content])
    ]


def test_every_fault_has_an_example():
    rules = example_rules()
    shown = {(type(read_rule(rule).action), member) for rule in rules for member in rule["action"]}
    wanted = {(shape, member) for shape in ACTIONS.values() for member in ("kind", *members(shape))}
    assert wanted - shown == set()
    assert {member for rule in rules for member in rule} == set(members(FaultRule))


@pytest.mark.parametrize(
    ("member", "kinds"), [("variant", Malformation), ("flaw", TokenFlaw), ("when", When)]
)
def test_every_manner_of_a_fault_has_an_example(member, kinds):
    shown = {rule["action"][member] for rule in example_rules() if member in rule["action"]}
    assert shown == set(map(str, kinds))


def test_every_impairment_has_an_example():
    """In any JSON of the media page, those within its shell commands too."""
    page = DOCS / "emulator" / "media.md"
    named = set(re.findall(r'"(\w+)":', "".join(b.text for b in blocks(page) if b.info in ("json", "sh"))))
    wanted = {member for shape in (Impairment, Jitter, Loss, Drop, SlowReader) for member in members(shape)}
    assert wanted - named == set()


def test_the_overview_names_every_page():
    named = {target for target, _ in links(PAGES[0])}
    assert set(PAGES[1:]) - named == set()
