"""Functions that show what reached them, for the tests of a Functions host."""

import asyncio
import json
import os
import sys
import threading
from pathlib import Path

import azure.functions as func
from awkward import CASES

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
more = func.Blueprint()
under_way = []
swept = []
meeting = threading.Barrier(4)


def answer(name, **values):
    return func.HttpResponse(json.dumps({"function": name, **values}), mimetype="application/json")


@app.route(route="echo/{kind?}", methods=["GET", "POST", "PUT"])
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return answer(
        "echo",
        method=req.method,
        url=req.url,
        params=dict(req.params),
        headers=dict(req.headers),
        route_params=dict(req.route_params),
        body=req.get_body().decode(),
    )


@app.route(route="items/{id}", methods=["GET"])
async def b_item(req: func.HttpRequest) -> func.HttpResponse:
    return answer("b_item", **req.route_params)


@app.route(route="items/list", methods=["GET"])
async def items_list(req: func.HttpRequest) -> func.HttpResponse:
    return answer("items_list")


@app.function_name("A_remove")
@app.route(route="items/{id}", methods=["DELETE", "OPTIONS"])
async def remove(req: func.HttpRequest) -> func.HttpResponse:
    return answer("A_remove", method=req.method, **req.route_params)


@more.route(route="numbers/{n:int}", methods=["GET"])
async def number(req: func.HttpRequest) -> func.HttpResponse:
    return answer("number", **req.route_params)


@more.route(route="numbers/{word}", methods=["GET"])
async def word(req: func.HttpRequest) -> func.HttpResponse:
    return answer("word", **req.route_params)


@more.route(methods=["GET"])
async def unrouted(req: func.HttpRequest) -> func.HttpResponse:
    return answer("unrouted")


@more.route(route="any")
async def any_method(req: func.HttpRequest) -> func.HttpResponse:
    return answer("any_method", method=req.method)


@app.route(route="mirror/{kind:alpha}/{number:int?}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def mirror(req: func.HttpRequest) -> func.HttpResponse:
    """Show all that there is to see of a request, each thing in the several ways there are."""
    try:
        content = req.get_json()
    except ValueError as error:
        content = str(error)
    return answer(
        "mirror",
        method=req.method,
        url=req.url,
        params=dict(req.params),
        headers=dict(req.headers),
        route_params=dict(req.route_params),
        body=req.get_body().hex(),
        json=content,
        form=req.form.to_dict(flat=False),
        files={name: file.read().hex() for name, file in req.files.items()},
        any_case=[req.headers.get(name) for name in ("X-Odd", "x-odd", "X-ODD", "missing")],
        missing=[req.params.get("missing"), req.route_params.get("missing")],
    )


@app.route(route="awkward/{case}", methods=["GET", "POST"])
async def awkward(req: func.HttpRequest):
    return CASES[req.route_params["case"]]()


@app.route(route="awkward-sync/{case}", methods=["GET", "POST"])
def awkward_sync(req):
    return CASES[req.route_params["case"]]()


@app.route(route="unawaited", methods=["GET"])
def unawaited(req):
    return asyncio.sleep(0, "a coroutine")


@app.route(route="raises", methods=["GET"])
async def raises(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("the handler failed")


@app.route(route="returns-none", methods=["GET"])
async def returns_none(req: func.HttpRequest):
    return None


@app.route(route="returns-text", methods=["GET"])
async def returns_text(req: func.HttpRequest) -> str:
    return "plain words"


@app.route(route="rendered", methods=["GET"])
async def rendered(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse(
        "déjà", status_code=202, mimetype="text/html", charset="latin-1", headers={"x-one": "1"}
    )
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2; HttpOnly")
    return response


@app.route(route="context", methods=["GET"])
async def with_context(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return answer(
        "with_context",
        invocation_id=context.invocation_id,
        function_name=context.function_name,
        folder=context.function_directory,
        trace_parent=context.trace_context.trace_parent,
        retries=context.retry_context.retry_count,
        local=context.thread_local_storage.invocation_id,
    )


@app.route(route="sync", methods=["GET"])
def sync(req: func.HttpRequest) -> func.HttpResponse:
    return answer("sync", main_thread=threading.current_thread() is threading.main_thread())


@app.route(route="meet", methods=["GET"])
def meet(req: func.HttpRequest) -> func.HttpResponse:
    try:
        meeting.wait(timeout=float(req.params["seconds"]))
    except threading.BrokenBarrierError:
        return answer("meet", met=False)
    return answer("meet", met=True)


@app.route(route="slow", methods=["GET"])
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    under_way.append(req)
    await asyncio.sleep(float(req.params["seconds"]))
    return answer("slow", loop=id(asyncio.get_running_loop()))


@app.route(route="slow/count", methods=["GET"])
async def slow_count(req: func.HttpRequest) -> func.HttpResponse:
    return answer("slow_count", count=len(under_way))


@app.route(route="place", methods=["GET"])
async def place(req: func.HttpRequest) -> func.HttpResponse:
    return answer("place", cwd=str(Path.cwd()), path=sys.path, setting=os.environ.get("BEHAVIOUR_SETTING"))


@app.route(route="keyed", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def keyed(req: func.HttpRequest) -> func.HttpResponse:
    return answer("keyed")


@app.route(route="mastered", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
async def mastered(req: func.HttpRequest) -> func.HttpResponse:
    return answer("mastered")


@app.route(route="administration", methods=["GET"])
async def reserved(req: func.HttpRequest) -> func.HttpResponse:
    return answer("reserved")


def seen(timer, **more):
    """All that there is to see of a timer's run, but for the times, which differ."""
    return {
        "past_due": timer.past_due,
        "schedule": timer.schedule,
        "status": {name: type(value).__name__ for name, value in timer.schedule_status.items()},
        **more,
    }


@app.timer_trigger(schedule="0 0 4 29 2 *", arg_name="timer")
async def sweep(timer: func.TimerRequest) -> None:
    swept.append(seen(timer))


@app.timer_trigger(schedule="%SWEEP_SCHEDULE%", arg_name="mytimer", use_monitor=False)
def sweep_unmonitored(mytimer, context: func.Context):
    thread = threading.current_thread() is threading.main_thread()
    swept.append(seen(mytimer, function=context.function_name, main_thread=thread))


@app.timer_trigger(schedule="0 0 4 29 2 Sun", arg_name="timer", run_on_startup=False, use_monitor=True)
async def sweep_raises(timer: func.TimerRequest) -> None:
    raise RuntimeError("the timer failed")


@app.timer_trigger(schedule="0 0 4 29 2 *", arg_name="timer")
async def sweep_returns(timer: func.TimerRequest):
    return "nobody's"


@app.route(route="swept", methods=["GET"])
async def swept_so_far(req: func.HttpRequest) -> func.HttpResponse:
    return answer("swept_so_far", swept=swept)


app.register_functions(more)
