"""The fenced blocks of the emulator's documentation, each with what the text before it says that it is for."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = (DOCS / "emulator.md", *sorted((DOCS / "emulator").glob("*.md")))
TEXTS = (
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted(page for page in DOCS.rglob("*.md") if "node_modules" not in page.parts),
)
"""All pages of the project, the emulator's among them."""

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_ELSEWHERE = re.compile(r"[a-z][a-z+.-]*:")
_REQUEST = re.compile(r"\b(PUT|POST) (/[^\s`?]+)")
_COMMENT = re.compile(r"(^|\s)# .*|\\\n")
_OPERATORS = "();<>|&\n"
_EMULATOR = ("python", "-m", "emulator")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: path from the folder of the documentation.
        line: of its first fence.
        info: what stands behind the fence: `json`, `sh`, `json answer`, ...
        text: what is in it.
        before: the text since the block or heading before it.
        section: the heading it is under.
        above: all text between that heading and the block.
    """

    page: str
    line: int
    info: str
    text: str
    before: str
    section: str
    above: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def request(self) -> tuple[str, str] | None:
        """Method and path of the request whose body it is: the last that its section has named so far."""
        named = _REQUEST.findall(self.before) or (
            _REQUEST.findall(self.above) if not self._speaks_of_settings else []
        )
        return named[-1] if named else None

    @property
    def is_settings(self) -> bool:
        """Whether it is a file of settings."""
        return self.request is None and self._speaks_of_settings

    @property
    def _speaks_of_settings(self) -> bool:
        return "setting" in self.before

    def commands(self) -> list[list[str]]:
        """The words of each of its shell commands, without redirections and what stands before the command's name."""
        lexer = shlex.shlex(_COMMENT.sub("", self.text), posix=True, punctuation_chars=_OPERATORS)
        lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
        commands: list[list[str]] = [[]]
        is_over = False
        for word in lexer:
            if set(word) <= set(_OPERATORS):
                is_over = "\n" not in word
                if not is_over:
                    commands.append([])
            elif not is_over and (commands[-1] or "=" not in word):
                commands[-1].append(word)
        return [command for command in commands if command]

    def emulator_commands(self) -> list[list[str]]:
        """What stands behind `python -m emulator` in each command that has it."""
        return [
            command[len(_EMULATOR) :]
            for command in self.commands()
            if (Path(command[0]).name, *command[1:3]) == _EMULATOR
        ]


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    found, before, above, section, fence, inside = [], [], [], "", None, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if fence is None and line.startswith("```"):
            fence, inside = (number, line.removeprefix("```").strip()), []
        elif fence is not None and line == "```":
            text = "\n".join(inside)
            name = page.relative_to(DOCS).as_posix()
            above += before
            found.append(Block(name, *fence, text, "\n".join(before), section, "\n".join(above)))
            fence, before = None, []
        elif fence is not None:
            inside.append(line)
        elif line.startswith("#"):
            section, before, above = line.lstrip("# "), [], []
        else:
            before.append(line)
    assert fence is None, f"{page.name}: a block has no end"
    return found


def all_blocks(info: str) -> list[Block]:
    """The blocks of all pages with this info."""
    return [block for page in PAGES for block in blocks(page) if block.info == info]


def links(text: Path) -> list[tuple[Path, str]]:
    """The links of a text to this repository: the file or folder, and the anchor in it, which may be empty."""
    found = []
    for link in _LINK.findall(_prose(text)):
        if not _ELSEWHERE.match(link):
            path, _, anchor = link.partition("#")
            found.append(((text.parent / path).resolve() if path else text, anchor))
    return found


def anchors(text: Path) -> set[str]:
    """Of the headings of a text, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _prose(text: Path) -> str:
    """Without fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text.read_text(), flags=re.MULTILINE | re.DOTALL)
