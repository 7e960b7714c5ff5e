"""The worker's protocol as its host speaks it, for programs that run inside a deployed package's Python.

Stands in for the generated protobuf messages, which come with the worker and not with its runtime: any message can
be made, and what the host would never see because protobuf refuses it (a number as a header, half a surrogate pair)
is refused here too. Nothing of this project is imported.
"""

from types import SimpleNamespace

import azure_functions_runtime as runtime


class Message(SimpleNamespace):
    """One message, with the members that the sender gave it."""

    def WhichOneof(self, _):  # noqa: N802 - protobuf's name
        """The one member that is set, as protobuf tells it."""
        return next((name for name, value in vars(self).items() if value is not None), None)


def _text(value):
    if not isinstance(value, str):
        raise TypeError(f"bad argument type for built-in operation: {type(value).__name__}")
    value.encode()
    return value


class Protocol:
    """The generated module: enums have their values, strings and bytes their types."""

    class StatusResult(Message):
        Failure, Success, Cancelled = 0, 1, 2

    class BindingInfo(Message):
        inout, out = 2, 1
        undefined = 0

    class TypedData(Message):
        def __init__(self, **members):
            super().__init__(**members)
            if members.get("string") is not None:
                _text(members["string"])
            if not isinstance(members.get("bytes", b""), bytes):
                raise TypeError("expected bytes")

    class RpcHttp(Message):
        def __init__(self, *, status_code, headers, **members):
            headers = {_text(name): _text(value) for name, value in headers.items()}
            super().__init__(status_code=_text(status_code), headers=headers, **members)

    class RpcHttpCookie(Message):
        SameSite = SimpleNamespace(Lax="lax", Strict="strict", ExplicitNone="none", **{"None": ""})

    class Timestamp(Message):
        pass

    def __getattr__(self, name):
        return Message


def request(**content):
    """Wrap a message as the worker receives it."""
    return SimpleNamespace(
        request=SimpleNamespace(**content), properties={"host": "127.0.0.1", "protos": Protocol()}
    )


def check(response):
    """Fail with the worker's own words."""
    result = response.result
    if result.status != Protocol.StatusResult.Success:
        raise SystemExit(f"{result.exception.message}\n{result.exception.stack_trace}")
    return response


async def start(app, placeholder, settings):
    """Start as a placeholder, become the app, and return its functions, loaded, by name."""
    runtime.start_threadpool_executor()
    init = Message(capabilities={}, function_app_directory=placeholder)
    check(await runtime.worker_init_request(request(worker_init_request=init)))
    reload = Message(environment_variables=settings, function_app_directory=app)
    check(
        await runtime.function_environment_reload_request(request(function_environment_reload_request=reload))
    )
    functions = (await runtime.functions_metadata_request(request())).function_metadata_results or []
    for function in functions:
        load = Message(function_id=function.function_id)
        check(await runtime.function_load_request(request(function_load_request=load)))
    return {function.name: function for function in functions}


async def invoke(function, *, method, url, headers=None, query=None, params=None, body=b""):
    """Send one HTTP request to a function, and return the worker's answer to it."""
    http = Message(
        method=method, url=url, headers=headers or {}, query=query or {}, params=params or {},
        body=Message(bytes=body),
    )  # fmt: skip
    return await _invoke(function, Message(http=http))


async def invoke_timer(function, info):
    """Let a timer function run, as its host does when it is due; `info` is its TimerInfo in JSON."""
    return await _invoke(function, Message(json=info))


async def _invoke(function, data):
    binding = Message(data=data)
    binding.name = next(iter(function.bindings))
    binding.WhichOneof = lambda _: "data"
    invocation = Message(
        invocation_id="00000000-0000-0000-0000-000000000001",
        function_id=function.function_id,
        input_data=[binding],
        trigger_metadata={},
        trace_context=Message(trace_parent="", trace_state="", attributes={}),
        retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
    )
    return await runtime.invocation_request(request(invocation_request=invocation))
