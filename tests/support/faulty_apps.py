"""Sources of `function_app.py`: some leave an app without functions (each with a word why), some are odd but good."""

PLAIN_APP = """
import azure.functions as func
app = func.FunctionApp(http_auth_level="ANONYMOUS")
@app.route(route="good", methods=["GET"])
async def good(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("good")
"""


def _also(text: str) -> str:
    return f"{PLAIN_APP}\n@app.route(route='x')\n{text}"


def _timer(text: str) -> str:
    return f"{PLAIN_APP}\n@app.timer_trigger(schedule='0 0 4 29 2 *', arg_name='timer')\n{text}"


FAULTY_APPS = (
    ("import no_such_module_here\n" + PLAIN_APP, "ModuleNotFoundError"),
    (PLAIN_APP + "\nraise KeyError('MISSING_SETTING')", "MISSING_SETTING"),
    (PLAIN_APP + "\nother = func.FunctionApp()", "More than one FunctionApp"),
    (PLAIN_APP + "\nalso = app", "More than one FunctionApp"),
    (PLAIN_APP + "\nbp = func.Blueprint()\nalso = func.FunctionApp()", "More than one FunctionApp"),
    ("import azure.functions as func\nbp = func.Blueprint()", "Could not find a top level function app"),
    ("apps = []", "Could not find a top level function app"),
    (PLAIN_APP + "\n@app.function_name('good')\n@app.route(route='x')\ndef f(req): ...", "good"),
    (PLAIN_APP + "\nb = func.Blueprint()\n@b.route()\ndef good(req): ...\napp.register_functions(b)", "good"),
    (PLAIN_APP + "\n@app.function_name('f')\ndef f(req): ...", "trigger"),
    (_also("def f(request): ..."), "do not fit bindings"),
    (_also("def f(req, more): ..."), "do not fit bindings"),
    (_also("def f(req, *more): ..."), "do not fit bindings"),
    (_also("def f(): ..."), "do not fit bindings"),
    (_also("def f(req: dict): ..."), "req is annotated"),
    (_also("def f(req: None): ..."), "req is annotated"),
    (_also("def f(req: func.HttpRequest | None): ..."), "req is annotated"),
    (_also("def f(req: func.HttpResponse): ..."), "req is annotated"),
    (_also("def f(req: func.Out[str]): ..."), "req is annotated"),
    (_also("def f(req: 5): ..."), "req is annotated"),
    (_also("def f(req) -> func.HttpResponse | None: ..."), "return is annotated"),
    (_also("def f(req) -> None: ..."), "return is annotated"),
    (_also("def f(req) -> bytes: ..."), "return is annotated"),
    (_also("def f(req) -> dict: ..."), "return is annotated"),
    (_also("def f(req) -> func.HttpRequest: ..."), "return is annotated"),
    (_also("def f(req, context: str): ..."), "context"),
    (_also("def f(req, context: None): ..."), "context"),
    (_also("def f(req, context: 'func.Context | None'): ..."), "context"),
    (_also("def f(req: 'Unknown'): ..."), "Unknown"),
    (_timer("def f(timer: func.HttpRequest): ..."), "timer is annotated"),
    (_timer("def f(timer: 'func.TimerRequest | None'): ..."), "timer is annotated"),
    (_timer("def f(tick): ..."), "do not fit bindings"),
    (_timer("def f(timer, context: str): ..."), "context"),
    ("def broken(:", "SyntaxError"),
)
ODD_APPS = (
    PLAIN_APP,
    "import azure.functions as func\napp = func.FunctionApp()",
    "from __future__ import annotations\n" + PLAIN_APP,
    _also("def f(req, context): ..."),
    _also("def f(req, context: func.Context): ..."),
    _also("def f(context, req): ..."),
    _also("def f(req) -> str: ..."),
    _also("def f(req: str): ..."),
    _also("def f(req: bytes): ..."),
    _also("def f(req=None): ..."),
    _also("class Context: ...\ndef f(req): ...").replace("@app.route(route='x')\nclass", "class").replace(
        "def f(req)", "@app.route(route='x')\ndef f(req, context: Context)"
    ),
    PLAIN_APP + "\n@app.route(route='x', trigger_arg_name='r')\ndef f(r): ...",
    PLAIN_APP + "\n@app.route(route='x', methods=['get', func.HttpMethod.POST])\ndef f(req): ...",
    _also("@app.queue_output('out', 'q', 'C')\ndef f(req, out: func.Out[str]): ..."),
    _timer("def f(timer): ..."),
    _timer("def f(timer: func.TimerRequest, context: func.Context) -> None: ..."),
    _timer("def f(timer: func.TimerRequest) -> str: ..."),
    _timer("def f(timer: func.timer.TimerRequest): ..."),
    _timer("def f(timer): ...").replace("0 0 4 29 2 *", "no schedule"),
    PLAIN_APP + "\n@app.route(route='admin/x')\ndef f(req): ...",
    PLAIN_APP + "\n@app.route(route='{a:nonsense}')\ndef f(req): ...",
)  # fmt: skip
