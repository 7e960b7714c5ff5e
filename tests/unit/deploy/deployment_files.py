"""The files of a deployment as text, perhaps with one changed, and what is read out of them.

Facts about them are checked on text: no Bicep compiler is needed, and a mistake is seeded by replacing some of it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
TIERS = ("sandbox", "production")
CLOSING = {"{": "}", "[": "]", "(": ")"}


@dataclass(frozen=True)
class Files:
    """The repository, with `changed` files in place of its own."""

    changed: dict[str, str] = field(default_factory=dict)

    def text(self, path):
        return self.changed[path] if path in self.changed else (REPOSITORY / path).read_text()

    def json(self, path) -> Any:
        return json.loads(self.text(path))

    def yaml(self, path) -> Any:
        return yaml.safe_load(self.text(path))

    def templates(self):
        """Paths of all templates."""
        return sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "bicep").rglob("*.bicep"))


def block(text, start):
    """What stands between the brackets that `start` ends with or is followed by; nothing where it is not there."""
    at = text.find(start)
    if at < 0:
        return ""
    at = min(i for i in (text.find(bracket, at + len(start) - 1) for bracket in CLOSING) if i >= 0)
    opening, depth = text[at], 0
    for end in range(at, len(text)):
        depth += (text[end] == opening) - (text[end] == CLOSING[opening])
        if depth == 0:
            return text[at + 1 : end]
    return ""


def module_of(text, name):
    """A module of main.bicep, with its condition."""
    return text.partition(f"\nmodule {name} ")[2].partition("\n}")[0]


def entries(body):
    """Names and expressions of an object's own lines."""
    indent = min((len(line) - len(line.lstrip()) for line in body.splitlines() if line.strip()), default=0)
    return dict(re.findall(rf"^ {{{indent}}}'?(\w+)'?: (.+)$", body, re.MULTILINE))


def strings(text):
    return re.findall(r"'([^']*)'", text)


def value_of(expression, names):
    """The value of an expression as the templates use them: names, whole numbers, text, `-`, `string()`."""
    expression = expression.strip()
    if inner := re.fullmatch(r"string\((.+)\)", expression):
        return str(value_of(inner[1], names))
    if " - " in expression:
        left, right = expression.split(" - ")
        return int(value_of(left, names)) - int(value_of(right, names))
    if quoted := re.fullmatch(r"'(.*)'", expression):
        return re.sub(r"\$\{([^}]+)\}", lambda name: str(value_of(name[1], names)), quoted[1])
    if expression.lstrip("-").isdigit():
        return int(expression)
    found = names
    for part in expression.split("."):
        found = found[part]
    return found


def grants(files) -> Iterator[tuple[str, str, str]]:
    """Who is given which role on what, by main.bicep, in the words of docs/security.md."""
    who = {
        "edge": "Functions app",
        "media": "media gateway",
        "deployer": "deployer",
        "communication.outputs.principalId": "ACS",
        "communication.outputs.topicPrincipalId": "Event Grid topic",
    }
    resources = {
        "observability": "Application Insights",
        "communication": "ACS",
        "speech": "Azure AI",
        "agents": "Azure AI of agents",
        "secrets": "Key Vault",
        "data": "data storage",
        "host": "host storage",
        "signals": "Web PubSub",
        "registry": "Container Registry",
    }
    text = files.text("bicep/main.bicep")
    for module in re.findall(r"^module (\w+) ", text, re.MULTILINE):
        body = module_of(text, module)
        found = re.findall(r"\bof(?:Part|Person)?\(([\w.]+), '([^']+)'(?:, ('?\w[\w-]*'?))?\)", body)
        for principal, role, part in found:
            on = resources.get(module, module)
            if part.startswith("'"):
                on += f": {part[1:-1]}"
            elif part not in ("", "null"):
                looped = re.search(rf"for {part} in (\w+): ofPart\({principal}, ", body)
                on += f": {looped[1]}"
            yield who.get(principal, principal), role, on


def documented_roles(files) -> Iterator[tuple[str, str, str]]:
    """The rows of the table in docs/security.md; one that names several parts of a resource is several."""
    section = files.text("docs/security.md").partition("## Roles")[2].partition("\n## ")[0]
    for row in re.findall(r"^\| (.+) \|$", section, re.MULTILINE)[1:]:
        who, role, on, _why = row.split(" | ")
        resource, _, parts = on.partition(":")
        for part in re.findall(r"`([^`]+)`", parts) or [""]:
            yield who, role, f"{resource}: {part}" if part else resource
