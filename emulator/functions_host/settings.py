"""What the host reads beside the app: host.json and local.settings.json."""

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_ROUTE_PREFIX = "api"
_PREFIX_SETTING = "AzureFunctionsJobHost__extensions__http__routePrefix"


class ProjectError(Exception):
    """The folder is not a Functions project that the host could start."""


@dataclass(frozen=True)
class HostSettings:
    """The part of host.json that this host follows; anything else in the file is ignored."""

    route_prefix: str = DEFAULT_ROUTE_PREFIX


def read_host_settings(root: Path, environ: Mapping[str, str]) -> HostSettings:
    """Read host.json; a setting of the environment overrides the file, as in Azure.

    Raises:
        ProjectError: the file is missing, is not JSON, or its version is not 2.0.
    """
    content = _read_object(root / "host.json")
    if content is None:
        raise ProjectError(f"{root} holds no host.json: it is not a Functions project")
    if content.get("version") != "2.0":
        raise ProjectError('host.json must say "version": "2.0"')
    prefix = _member(_member(_member(content, "extensions"), "http"), "routePrefix")
    if not isinstance(prefix, str):
        prefix = DEFAULT_ROUTE_PREFIX
    return HostSettings(route_prefix=environ.get(_PREFIX_SETTING, prefix).strip("/"))


def apply_local_settings(root: Path, environ: MutableMapping[str, str]) -> list[str]:
    """Put the `Values` of local.settings.json, where there is one, into the environment; return their names.

    A name that the environment holds already keeps its value, as with `func start`.

    Raises:
        ProjectError: the file is not JSON, is encrypted, or its values are not an object of strings.
    """
    content = _read_object(root / "local.settings.json")
    if content is None:
        return []
    if content.get("IsEncrypted"):
        raise ProjectError("local.settings.json is encrypted; `func settings decrypt` makes it readable")
    values = content.get("Values") or {}
    if not isinstance(values, dict):
        raise ProjectError("local.settings.json: Values must be an object")
    wrong = [name for name, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise ProjectError(f"local.settings.json: values must be strings: {', '.join(sorted(wrong))}")
    added = [name for name in values if name not in environ]
    environ.update({name: values[name] for name in added})
    return added


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ProjectError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ProjectError(f"{path.name} must hold an object")
    return content


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None
