"""No class or module keeps a container that can be changed: two calls never share mutable state.

A table of constants is fine where its annotation (`Mapping`, `Sequence`, ...) lets the type checker refuse
every change of it.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("functions", "shared", "media_gateway", "emulator")
SOURCES = [
    ROOT / "function_app.py",
    *(
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "node_modules" not in path.parts
    ),
]

MUTABLE_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MUTABLE_TYPES = {
    "list", "dict", "set", "bytearray", "deque", "defaultdict", "OrderedDict", "Counter",
    "WeakSet", "WeakKeyDictionary", "WeakValueDictionary",
}  # fmt: skip
READ_ONLY = {"Mapping", "Sequence", "Collection", "Set", "frozenset", "tuple"}


def name_of(node):
    """The last name of `a.b.C[...]`: C."""
    if isinstance(node, ast.Subscript):
        return name_of(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def is_mutable(value):
    return isinstance(value, MUTABLE_DISPLAYS) or (
        isinstance(value, ast.Call) and name_of(value.func) in MUTABLE_TYPES
    )


def is_read_only(annotation):
    if name_of(annotation) in ("Final", "ClassVar") and isinstance(annotation, ast.Subscript):
        annotation = annotation.slice
    return name_of(annotation) in READ_ONLY


def mutable_attributes(tree):
    """Yield (line, name) of every container that a module or a class keeps in reach of all."""
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.Module | ast.ClassDef):
            continue
        for statement in scope.body:
            if isinstance(statement, ast.Assign) and is_mutable(statement.value):
                names = [name_of(target) for target in statement.targets]
                if names != ["__all__"]:
                    yield statement.lineno, ", ".join(names)
            elif (
                isinstance(statement, ast.AnnAssign)
                and statement.value is not None
                and is_mutable(statement.value)
                and not is_read_only(statement.annotation)
            ):
                yield statement.lineno, name_of(statement.target)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_class_or_module_keeps_a_changeable_container(path):
    found = [f"line {line}: {name}" for line, name in mutable_attributes(ast.parse(path.read_text()))]
    assert found == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("CALLS = []", ["CALLS"]),
        ("CALLS: dict[str, int] = {}", ["CALLS"]),
        ("class A:\n    queue = deque()", ["queue"]),
        ("class A:\n    seen: set[str] = set()", ["seen"]),
        ("import collections\nCALLS = collections.defaultdict(list)", ["CALLS"]),
        ("TABLE: Mapping[str, int] = {'a': 1}", []),
        ("TABLE: Final[Sequence[int]] = [1]", []),
        ("def f():\n    calls = []", []),
        ("__all__ = ['f']", []),
    ],
)
def test_the_walk_finds_what_it_is_for(source, found):
    assert [name for _, name in mutable_attributes(ast.parse(source))] == found
