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

import pytest
from azure.core.credentials import AccessToken

from emulator.__main__ import COMMANDS
from emulator.media.line import Line
from emulator.settings import EmulatorSettings, read_settings
from tests.support.acs_application import Application
from tests.support.documentation import PAGES, all_blocks, blocks

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
async def here(acs_emulator, application):
    """Turn what an example names into what there is: `here(text)`.

    The emulator, an application in place of all others, and a call.
    """
    line = Line(rate_hz=16_000)
    call = await acs_emulator.calls.place(to=NUMBER, from_=CALLER, line=line)

    def translate(text):
        def address(match):
            port, path = match.groups()
            return acs_emulator.base_url + (path or "") if port == EMULATOR_PORT else application.events_url

        text = ADDRESS.sub(address, text)
        return text.replace("{correlationId}", call.correlation_id).replace("{name}", "example")

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
async def test_python_runs(page, acs_emulator):
    """The blocks of a page in order; names that they import hold for the later ones."""
    name = page.relative_to(PAGES[0].parent).as_posix()
    imported = {}
    for block in all_blocks("python"):
        if block.page != name:
            continue
        tree = ast.parse(block.text, str(block))
        names = {**imported, "emulator": acs_emulator, "credential": Credential()}
        code = compile(tree, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                imported |= {each.asname or each.name: names[each.asname or each.name] for each in node.names}


@pytest.mark.parametrize("command", ["call", "serve"])
def test_every_option_is_documented(command):
    text = "".join(page.read_text() for page in PAGES)
    options = {option for action in parser_of(command)._actions for option in action.option_strings}
    assert {option for option in options - {"-h"} if option not in text} == set()


def test_every_setting_is_documented():
    text = "".join(page.read_text() for page in PAGES)
    assert {each.name for each in fields(EmulatorSettings) if f"`{each.name}`" not in text} == set()
