"""No phone number, digit, spoken word or token gets into a log: messages are constants, and so are names.

Values that may hold personal data go into attributes whose key has `pii` in it, or nowhere.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    ROOT / "function_app.py",
    *(
        path
        for package in ("functions", "shared", "media_gateway")
        for path in (ROOT / package).rglob("*.py")
    ),
]
LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
PERSONAL = {
    "caller",
    "called",
    "number",
    "phone",
    "digit",
    "digits",
    "dtmf",
    "text",
    "transcript",
    "variables",
}
FAULTS = {"error", "fault", "reason", "refusal", "refused", "result", "unusable"}
"""What errors are called here. Their texts are ours."""
SECRET = {"token", "secret", "authorization", "context", "key", "api_secret", "access_key", "body", "url"}


def log_calls(tree):
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("logger", "log", "logging")
        ):
            yield node


def names_in(node):
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr


def faults_of(call):
    message, *values = call.args
    if not (isinstance(message, ast.Constant) and isinstance(message.value, str)):
        yield "the message is not a constant"
    extra = next((keyword.value for keyword in call.keywords if keyword.arg == "extra"), None)
    if isinstance(extra, ast.Dict):
        for key, value in zip(extra.keys, extra.values, strict=True):
            if key is None:
                values.append(value)
            elif not isinstance(key, ast.Constant):
                yield "an attribute's key is not a constant"
            elif "pii" not in key.value:
                values.append(value)
    elif extra is not None:
        yield "extra is not written out"
    for value in values:
        for name in names_in(value):
            if name in PERSONAL | SECRET:
                yield f"'{name}' may be personal or secret"
        yield from (f"all of '{name}' is written out" for name in written_out(value) if name not in FAULTS)


def written_out(value):
    """Names whose whole object becomes text: of one that is no error, nobody knows what it holds."""
    for node in ast.walk(value):
        if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name):
            yield node.value.id
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("str", "repr"):
            yield from (argument.id for argument in node.args if isinstance(argument, ast.Name))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_logged_is_constant_or_harmless(path):
    found = [
        f"line {call.lineno}: {fault}"
        for call in log_calls(ast.parse(path.read_text()))
        for fault in faults_of(call)
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'logger.info(f"call from {x}")',
        'logger.info("call from %s", call.caller)',
        'logger.info("pressed", extra={"key": digit})',
        "logger.warning(message)",
        'logger.info("refused", extra=attributes)',
        'logger.info("sent on", extra={"to": str(way)})',
        'logger.info("sent on", extra={"to": f"{way}"})',
    ],
)
def test_the_walk_finds_what_it_is_for(source):
    (call,) = log_calls(ast.parse(source))
    assert list(faults_of(call))
