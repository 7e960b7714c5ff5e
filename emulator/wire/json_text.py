"""JSON that others sent: decoded in one place, where every kind of rubbish ends as the same error."""

from typing import Any, Final

import msgspec

MAX_DEPTH: Final = 64
"""How deep arrays and objects may be nested; .NET's reader, behind most of Azure, draws the line there."""


class NotJson(ValueError):
    """The bytes are not JSON, not UTF-8, or nested too deeply; the text says what, without their content."""


def decode_json(text: bytes) -> Any:
    """Decode JSON values.

    Raises:
        NotJson: it cannot be done.
    """
    try:
        content = msgspec.json.decode(text)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise NotJson("it is not UTF-8") from None
    except msgspec.DecodeError:
        raise NotJson("it is not JSON") from None
    _check_depth(content, MAX_DEPTH)
    return content


def without_nulls(content: Any) -> Any:
    """JSON values without the members that are null: a null member means the same as none."""
    if isinstance(content, dict):
        return {name: without_nulls(value) for name, value in content.items() if value is not None}
    if isinstance(content, list):
        return [without_nulls(value) for value in content]
    return content


def _check_depth(content: Any, allowed: int) -> None:
    values = content.values() if isinstance(content, dict) else content if isinstance(content, list) else None
    if values is None:
        return
    if allowed == 0:
        raise _too_deep()
    for value in values:
        _check_depth(value, allowed - 1)


def _too_deep() -> NotJson:
    return NotJson(f"it is nested more than {MAX_DEPTH} levels deep")
