"""ASP.NET route templates as the Functions host matches them.

Literals match without regard to case; `{id}`, `{id?}`, `{id=default}`, `{id:int}`, `{a}.{b}` and catch-all
`{*rest}` are understood. A trailing slash of the path does not count, an empty segment inside never matches.
Behaviour after ASP.NET's own template parser and matcher.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from emulator.functions_host.constraints import Check, UnknownConstraintError, parse_constraint

_PARAMETER = re.compile(r"\{((?:[^{}]|\{\{|\}\})*)\}(?!\})")
_CONSTRAINT = re.compile(r":((?:[^:()=]+)(?:\((?:.*?)\)(?=[:=]|$))?)")
_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)


class BadTemplateError(ValueError):
    """A route template that ASP.NET would refuse."""


@dataclass(frozen=True)
class Parameter:
    """One `{...}` of a template."""

    name: str
    checks: tuple[Check, ...] = ()
    default: str | None = None
    optional: bool = False
    catch_all: bool = False

    @property
    def may_be_missing(self) -> bool:
        """Whether the path may end before this parameter."""
        return self.optional or self.catch_all or self.default is not None


@dataclass(frozen=True)
class Segment:
    """What stands between two slashes: a pattern, and the parameters of its groups."""

    pattern: re.Pattern[str]
    parameters: tuple[Parameter, ...]

    @property
    def sole_parameter(self) -> Parameter | None:
        """The parameter, where the segment is nothing else."""
        return self.parameters[0] if self.pattern is _ANYTHING else None


_ANYTHING = re.compile("(.+)", re.DOTALL)


@dataclass(frozen=True)
class Template:
    """A parsed route template."""

    text: str
    segments: tuple[Segment, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """Return the route values for a raw (still percent-encoded) path, or None if it does not match.

        Parameters that the path leaves out and that have no default are absent.
        """
        parts = path.removeprefix("/").removesuffix("/").split("/") if path.strip("/") else []
        parts = [decode(part) for part in parts]
        values: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            sole = segment.sole_parameter
            if sole is not None and sole.catch_all:
                return self._checked(values | ({sole.name: "/".join(parts[index:])} if parts[index:] else {}))
            if index >= len(parts):
                if sole is None or not sole.may_be_missing:
                    return None
                continue
            found = segment.pattern.fullmatch(parts[index])
            if found is None:
                return None
            groups = zip(segment.parameters, found.groups(), strict=True)
            values |= {parameter.name: value for parameter, value in groups if value is not None}
        return self._checked(values) if len(parts) <= len(self.segments) else None

    def _checked(self, values: dict[str, str]) -> dict[str, str] | None:
        for parameter in (parameter for segment in self.segments for parameter in segment.parameters):
            value = values.get(parameter.name)
            if value is None and parameter.default is not None:
                value = values[parameter.name] = parameter.default
            if value is not None and not all(check(value) for check in parameter.checks):
                return None
        return values


def decode(segment: str) -> str:
    """Decode the percent signs of one path segment as the server does: an encoded slash stays encoded."""
    return "%2F".join(unquote(part) for part in _ENCODED_SLASH.split(segment))


def parse_template(text: str) -> Template:
    """Parse a route template, prefix included.

    Raises:
        BadTemplateError: ASP.NET would refuse it, or it uses a constraint that is not known.
    """
    stripped = text.removeprefix("~/").removeprefix("/").removesuffix("/")
    pieces = _split(stripped) if stripped else []
    segments = tuple(_parse_segment(piece, text) for piece in pieces)
    names = [parameter.name.lower() for segment in segments for parameter in segment.parameters]
    if len(names) != len(set(names)):
        raise BadTemplateError(f"route {text!r} names a parameter twice")
    if any(parameter.catch_all for segment in segments[:-1] for parameter in segment.parameters):
        raise BadTemplateError(f"route {text!r} has a catch-all parameter that is not last")
    return Template(text, segments)


def _split(text: str) -> list[str]:
    """Split at the slashes that are outside braces (a regex constraint may hold some)."""
    pieces, depth = [""], 0
    for character in text:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "/" and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return pieces


def _parse_segment(piece: str, whole: str) -> Segment:
    if not piece:
        raise BadTemplateError(f"route {whole!r} has an empty segment")
    parameters: list[Parameter] = []
    pattern, position, after_parameter = "", 0, False
    for found in _PARAMETER.finditer(piece):
        literal = piece[position : found.start()]
        if after_parameter and not literal:
            raise BadTemplateError(f"route {whole!r} has two parameters in a row")
        pattern += _literal(literal, whole)
        parameter = _parse_parameter(found[1].replace("{{", "{").replace("}}", "}"), whole)
        if parameter.catch_all and found[0] != piece:
            raise BadTemplateError(f"route {whole!r} has a catch-all parameter inside a segment")
        if parameter.optional and found[0] != piece:
            if not literal.endswith(".") or found.end() != len(piece):
                raise BadTemplateError(
                    f"route {whole!r}: only a period may stand before an optional parameter"
                )
            pattern = pattern.removesuffix(r"\.") + r"(?:\.(.+))?"
        else:
            pattern += "(.+)"
        parameters.append(parameter)
        position, after_parameter = found.end(), True
    pattern += _literal(piece[position:], whole)
    compiled = _ANYTHING if pattern == "(.+)" else re.compile(pattern, re.IGNORECASE | re.DOTALL)
    return Segment(compiled, tuple(parameters))


def _literal(text: str, whole: str) -> str:
    rest = text.replace("{{", "").replace("}}", "")
    if "{" in rest or "}" in rest or "?" in rest:
        raise BadTemplateError(f"route {whole!r} has a stray brace or question mark")
    return re.escape(text.replace("{{", "{").replace("}}", "}"))


def _parse_parameter(text: str, whole: str) -> Parameter:
    catch_all = text.startswith("*")
    optional = text.endswith("?")
    body = text.lstrip("*").removesuffix("?")
    name = re.split("[:=]", body, maxsplit=1)[0]
    rest = body[len(name) :]
    checks = []
    while rest.startswith(":"):
        found = _CONSTRAINT.match(rest)
        if found is None:
            raise BadTemplateError(f"route {whole!r} has a constraint that cannot be read")
        try:
            checks.append(parse_constraint(found[1]))
        except UnknownConstraintError as error:
            raise BadTemplateError(f"route {whole!r}: {error}") from error
        rest = rest[found.end() :]
    default = rest[1:] if rest.startswith("=") else None
    if not name or re.search(r"[/{}?*]", name) or (optional and (catch_all or default is not None)):
        raise BadTemplateError(f"route {whole!r} has a parameter that cannot be read")
    return Parameter(name, tuple(checks), default, optional, catch_all)
