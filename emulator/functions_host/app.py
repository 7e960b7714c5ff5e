"""Loads a Python v2 Functions app and indexes its functions by the worker's rules.

One fault anywhere means no function at all, as in Azure: an import that fails, two apps, two functions of one
name, a handler whose parameters or annotations do not fit its bindings.
"""

import importlib
import inspect
import json
import sys
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func
from azure.functions.decorators.function_app import Function as LibraryFunction
from azure.functions.decorators.http import HttpTrigger
from azure.functions.decorators.timer import TimerTrigger

MODULE = "function_app"
HTTP_TRIGGER = "httpTrigger"
HTTP_OUTPUT = "http"
TIMER_TRIGGER = "timerTrigger"

Handler = Callable[..., Any]


class IndexingError(Exception):
    """The app cannot be indexed: the worker would report no functions."""


@dataclass(frozen=True)
class Function:
    """One indexed function.

    `route`, `methods` (None: all) and `auth_level` are those of its HTTP trigger, `schedule` and `is_monitored` those
    of its timer; other triggers have none.
    """

    name: str
    handler: Handler
    folder: str
    trigger: str
    bindings: tuple[dict[str, object], ...]
    trigger_parameter: str = ""
    wants_context: bool = False
    route: str = ""
    methods: frozenset[str] | None = None
    auth_level: str = "function"
    schedule: str = ""
    is_monitored: bool = True

    @property
    def is_async(self) -> bool:
        """Whether the handler runs on the loop; otherwise in a thread."""
        return inspect.iscoroutinefunction(self.handler)

    @property
    def is_http(self) -> bool:
        """Whether the function answers HTTP requests."""
        return self.trigger == HTTP_TRIGGER

    @property
    def is_timer(self) -> bool:
        """Whether the function runs on a schedule."""
        return self.trigger == TIMER_TRIGGER


def load_app(root: Path) -> list[Function]:
    """Import `function_app` with the app folder last on `sys.path`, and index it.

    Returns:
        The functions in the host's order: by name, without regard to case. Routes are tried in that order.

    Raises:
        IndexingError: for anything that leaves the worker without functions; the cause is attached.
    """
    if str(root) not in sys.path:
        sys.path.append(str(root))
    try:
        module = importlib.import_module(MODULE)
        _check_origin(module, root)
        functions = [index_function(function) for function in _find_app(module).get_functions()]
    except Exception as error:
        raise IndexingError(f"{type(error).__name__}: {error}") from error
    return sorted(functions, key=lambda function: function.name.upper())


def _check_origin(module: ModuleType, root: Path) -> None:
    origin = Path(module.__file__ or "").resolve()
    if origin != (root / f"{MODULE}.py").resolve():
        raise ImportError(f"{MODULE} came from {origin}: the app folder is the last place looked in")


def _find_app(module: ModuleType) -> func.FunctionRegister:
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionRegister)]
    if len(apps) > 1:
        raise ValueError(f"More than one {type(apps[0]).__name__} or other top level function app")
    if not apps:
        raise ValueError(f"Could not find a top level function app in {MODULE}.py")
    return apps[0]


def index_function(function: LibraryFunction) -> Function:
    """Check one function of the library against the worker's rules, and describe it.

    Raises:
        TypeError: its parameters or annotations do not fit its bindings.
    """
    name, handler, trigger = (
        function.get_function_name(),
        function.get_user_function(),
        function.get_trigger(),
    )
    if name is None or trigger is None:
        raise TypeError("a function has no trigger")
    bindings = {binding.name: binding for binding in function.get_bindings()}
    parameters = dict(inspect.signature(handler).parameters)
    annotations = typing.get_type_hints(handler)
    wants_context = "context" in parameters and "context" not in bindings
    if wants_context:
        del parameters["context"]
        if getattr(annotations.get("context", func.Context), "__name__", "") != "Context":
            raise TypeError(f"cannot load the {name} function: `context` must be a func.Context")
    bound = set(bindings) - {"$return"}
    if set(parameters) != bound:
        raise TypeError(
            f"cannot load the {name} function: "
            f"parameters {sorted(parameters)} do not fit bindings {sorted(bound)}"
        )
    common: dict[str, Any] = {
        "name": name,
        "handler": handler,
        "folder": str(Path(inspect.getfile(handler)).parent),
        "trigger": str(trigger.type),
        "bindings": tuple(json.loads(text) for text in function.get_raw_bindings()),
    }
    if not isinstance(trigger, HttpTrigger | TimerTrigger):
        return Function(**common)
    known = {HTTP_TRIGGER, HTTP_OUTPUT, TIMER_TRIGGER}
    unknown = sorted({str(binding.type) for binding in bindings.values()} - known)
    if unknown:
        raise TypeError(f"cannot load the {name} function: this host has no {', '.join(unknown)} bindings")
    common |= {"trigger_parameter": trigger.name, "wants_context": wants_context}
    if isinstance(trigger, TimerTrigger):
        _check_type(name, trigger.name, annotations.get(trigger.name), (func.TimerRequest,))
        return Function(
            **common, schedule=str(trigger.schedule), is_monitored=trigger.use_monitor is not False
        )
    _check_type(name, trigger.name, annotations.get(trigger.name), (func.HttpRequest,))
    _check_type(name, "return", annotations.get("return"), (func.HttpResponse, str))
    return Function(
        **common,
        route=trigger.route or name,
        methods=_methods(trigger.methods),
        auth_level=str(getattr(trigger.auth_level, "value", trigger.auth_level) or "function").lower(),
    )


def _check_type(function: str, what: str, annotation: object, allowed: tuple[type, ...]) -> None:
    """Refuse what the worker refuses: `X | None` and the like are no types, other classes do not match."""
    if annotation is None:
        return
    if not isinstance(annotation, type) or not issubclass(annotation, allowed):
        raise TypeError(f"cannot load the {function} function: {what} is annotated {annotation!r}")


def _methods(methods: Iterable[object] | None) -> frozenset[str] | None:
    names = frozenset(str(getattr(method, "value", method)).upper() for method in methods or ())
    return names or None
