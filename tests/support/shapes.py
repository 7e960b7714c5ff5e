"""Comparing what was sent with a published example: same members, same kinds of values."""

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data" / "acs"


def example(name: str) -> Any:
    """An example of the protocol reference."""
    return json.loads((DATA / f"{name}.json").read_text())


def assert_same_shape(
    sent: Any, published: Any, *, extra: frozenset[str] = frozenset(), where: str = "$"
) -> None:
    """Fail unless both have the same members all the way down, of the same types.

    `extra` names members that may be in what was sent although the example lacks them. A null in the example only
    asks for the member to be there.
    """
    if isinstance(published, dict):
        assert isinstance(sent, dict), f"{where} is no object"
        assert set(sent) - extra == set(published), f"{where} has other members"
        for name, value in published.items():
            assert_same_shape(sent[name], value, extra=extra, where=f"{where}.{name}")
    elif isinstance(published, list):
        assert isinstance(sent, list), f"{where} is no array"
        assert bool(sent) == bool(published), f"{where} has another length"
        for index, value in enumerate(sent):
            wanted = published[min(index, len(published) - 1)]
            assert_same_shape(value, wanted, extra=extra, where=f"{where}[{index}]")
    elif published is not None:
        assert type(sent) is type(published), f"{where} is of another type"
