"""Texts with variables, as `Your number is {account:digits}` has one.

`{name}` stands for a value, `{name:digits}` for its characters one by one, `{{` and `}}` for braces. Values come from
callers and from other systems: in SSML they are escaped, so that none can bring markup of its own.
"""

import re
from collections.abc import Iterator, Mapping
from string import Formatter
from xml.sax.saxutils import escape

from shared.core.flow_model import MAX_VALUE_CHARS

MAX_SPOKEN_CHARS = 200
"""Of a value within a prompt; what is longer is cut, so that no value makes a good prompt too long."""
DIGITS = "digits"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_UNSPEAKABLE = re.compile("[^\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\x7f")
"""Control characters, and what neither XML nor JSON carries."""
_QUOTES: Mapping[str, str] = {'"': "&quot;", "'": "&apos;"}
_LONGEST_ESCAPE = len("&quot;")


class TemplateInvalid(Exception):
    """A text whose braces mean nothing."""


def names_in(template: str) -> frozenset[str]:
    """Return the variables of a template.

    Raises:
        TemplateInvalid: with what is wrong.
    """
    return frozenset(name for _, name, _ in _pieces(template) if name)


def longest_spoken(template: str, *, ssml: bool) -> int:
    """Return how many characters a prompt has at most, whatever its values are."""
    a_value = MAX_SPOKEN_CHARS * (_LONGEST_ESCAPE if ssml else 1)
    spelled = a_value + MAX_SPOKEN_CHARS
    return sum(
        len(literal) + (0 if not name else spelled if form else a_value)
        for literal, name, form in _pieces(template)
    )


def spoken(template: str, values: Mapping[str, str], *, ssml: bool) -> str:
    """Return what is said."""

    def said(value: str) -> str:
        cut = cleaned(value)[:MAX_SPOKEN_CHARS]
        return escape(cut, dict(_QUOTES)) if ssml else cut

    def spelled(value: str) -> str:
        return " ".join(map(said, cleaned(value)[:MAX_SPOKEN_CHARS]))

    return "".join(
        literal + (spelled if form else said)(values.get(name, ""))
        for literal, name, form in _pieces(template)
    )


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return the text as a value of its own: clean, and cut where it is too long for one."""
    text = "".join(
        literal + (" ".join(values.get(name, "")) if form else values.get(name, ""))
        for literal, name, form in _pieces(template)
    )
    return cleaned(text)[:MAX_VALUE_CHARS]


def cleaned(value: str) -> str:
    """Return a value without control characters and halves of characters: spaces stand in their place."""
    return _UNSPEAKABLE.sub(" ", value)


def _pieces(template: str) -> Iterator[tuple[str, str, str]]:
    """Yield (text, variable, form); the variable is empty at the end."""
    try:
        for literal, name, form, conversion in Formatter().parse(template):
            if name is None:
                yield literal, "", ""
                continue
            if conversion is not None or not _NAME.fullmatch(name):
                raise TemplateInvalid("braces hold the name of a variable, or are doubled")
            if form not in ("", DIGITS):
                raise TemplateInvalid(f"a value has no form but '{DIGITS}'")
            yield literal, name, form or ""
    except ValueError as error:
        raise TemplateInvalid("a brace has no other; braces that are to be said are doubled") from error
