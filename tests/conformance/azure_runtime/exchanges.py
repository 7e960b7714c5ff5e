"""Requests to put to both hosts: as they stand on the wire, and what the .NET host makes of them for its worker.

What the .NET host does is stated here, by hand, from its source (GrpcMessageConversionExtensions.cs): it matches the
route, decodes and joins the query without empty values, lower-cases and joins headers, and drops a body that comes
without a Content-Length. So a wrong idea of it in the emulator shows as a difference.
"""

from dataclasses import dataclass, field

HOST = "app.example"
TEXT = ("Content-Type", "text/plain")
CALL = "01980d5e-8f1c-7d3a-9b1e-0a1b2c3d4e5f"
EVENTS = "/mg-genagent-acs/v1/acs-events"


@dataclass(frozen=True)
class Exchange:
    """One request. `query` and `params` are what the worker gets; `chunked` sends the body without its length."""

    function: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    query: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    chunked: bool = False

    @property
    def framing(self) -> tuple[tuple[str, str], ...]:
        """The headers that the client adds."""
        if self.chunked:
            return (("Transfer-Encoding", "chunked"),)
        return (("Content-Length", str(len(self.body))),) if self.body or self.method == "POST" else ()

    def as_the_worker_gets_it(self) -> dict[str, object]:
        """The members of the invocation, the body in hex."""
        joined: dict[str, list[str]] = {}
        for name, value in (("Host", HOST), *self.headers, *self.framing):
            joined.setdefault(name.lower(), []).append(value)
        return {
            "function": self.function,
            "method": self.method,
            "url": f"http://{HOST}{self.target}",
            "headers": {name: ",".join(values) for name, values in joined.items()},
            "query": self.query,
            "params": self.params,
            "body": "" if self.chunked else self.body.hex(),
        }


@dataclass(frozen=True)
class TimerRun:
    """One run of a timer function. `info` is what the .NET host tells its worker, but for the times."""

    function: str
    info: dict[str, object]

    def as_the_worker_gets_it(self) -> dict[str, object]:
        """The members of the invocation."""
        return {"function": self.function, "timer": self.info}


SCHEDULE = {"AdjustForDST": True}
SCHEDULE_STATUS = {
    "Last": "0001-01-01T00:00:00",
    "LastUpdated": "0001-01-01T00:00:00",
    "Next": "2028-02-29T04:00:00+00:00",
}


def mirrored(method="GET", target="/v1/mirror/plain", *, kind="plain", number=None, **options):
    """A request to the function that shows what reached it."""
    params = {"kind": kind} | ({} if number is None else {"number": number})
    return Exchange("mirror", method, target, params=params, **options)


def awkward(case):
    """A request for each way in which a handler may end, to the asynchronous and to the synchronous handler."""
    return [
        Exchange(function, "GET", f"/v1/{route}/{case}", params={"case": case})
        for function, route in (("awkward", "awkward"), ("awkward_sync", "awkward-sync"))
    ]


SAMPLE = [
    mirrored(),
    *(mirrored(method) for method in ("POST", "PUT", "PATCH", "DELETE")),
    mirrored(target="/v1/mirror/plain/12", number="12"),
    mirrored(target="/V1/Mirror/PLAIN/-5/", kind="PLAIN", number="-5"),
    mirrored(target="/v1/mirror/plain?a=1&a=2&b=&c&A=3&d=x+y%2Fz", query={"a": "1,2,3", "d": "x y/z"}),
    mirrored(target="/v1/mirror/plain?n=caf%C3%A9&%C3%A9=1&p=%2B", query={"n": "café", "é": "1", "p": "+"}),
    mirrored(target="/v1/mirror/plain?s=;&e==", query={"s": ";", "e": "="}),
    mirrored(target="/v1/mirror/plain?a=&a=1&a=", query={"a": ",1,"}),
    mirrored(target="/v1/mirror/plain?"),
    mirrored(headers=(("X-Odd", "a"), ("x-odd", "b"), ("X-ODD", "c"), ("X-Empty", ""))),
    mirrored(headers=(("Cookie", "a=1; b=2"), ("Accept", "*/*"), ("Accept", "text/html;q=0.5"))),
    mirrored("POST", body=b'{"a": [1, null]}', headers=(("content-type", "application/json"),)),
    mirrored("POST", body=b'{"a": ', headers=(("Content-Type", "application/json"),)),
    mirrored("POST", body='{"é": "ß"}'.encode("latin-1"), headers=(TEXT,)),
    mirrored("POST", body=b"\x00\xff\xfe\r\n\r\n\x80", headers=(("Content-Type", "application/octet-stream"),)),
    mirrored("POST", body=b"\xef\xbb\xbf{}"),
    mirrored("POST", body=b"no type"),
    mirrored("POST", body=b"x" * 200_000),
    mirrored("GET", body=b"a body with GET"),
    mirrored("POST", body=b"lost on the way", chunked=True),
    mirrored("POST", body=b"a=1&a=2&b=%C3%A9&c", headers=(("Content-Type", "application/x-www-form-urlencoded"),)),
    mirrored(
        "POST",
        body=b'--x\r\nContent-Disposition: form-data; name="f"; filename="n.bin"\r\n\r\n\x00\x01\r\n--x--\r\n',
        headers=(("Content-Type", "multipart/form-data; boundary=x"),),
    ),
    Exchange("echo", "GET", "/v1/echo/caf%C3%A9", params={"kind": "café"}),
    Exchange("echo", "GET", "/v1/echo/a%2Fb%20c", params={"kind": "a%2Fb c"}),
    Exchange("echo", "GET", "/v1/echo"),
    Exchange("echo", "POST", "/v1/echo", body=b"\xff"),
    Exchange("b_item", "GET", "/v1/items/list", params={"id": "list"}),
    Exchange("A_remove", "OPTIONS", "/v1/items/5", params={"id": "5"}),
    Exchange("number", "GET", "/v1/numbers/7", params={"n": "7"}),
    Exchange("word", "GET", "/v1/numbers/seven", params={"word": "seven"}),
    *(Exchange("any_method", method, "/v1/any") for method in ("GET", "POST", "PATCH", "OPTIONS", "TRACE")),
    Exchange("unrouted", "GET", "/v1/unrouted"),
    Exchange("keyed", "GET", "/v1/keyed"),
    Exchange("mastered", "GET", "/v1/mastered"),
    Exchange("sync", "GET", "/v1/sync"),
    Exchange("raises", "GET", "/v1/raises"),
    Exchange("returns_none", "GET", "/v1/returns-none"),
    Exchange("returns_text", "GET", "/v1/returns-text"),
    Exchange("rendered", "GET", "/v1/rendered"),
    Exchange("unawaited", "GET", "/v1/unawaited"),
    Exchange("meet", "GET", "/v1/meet?seconds=0.01", query={"seconds": "0.01"}),
    Exchange("slow_count", "GET", "/v1/slow/count"),
    TimerRun("sweep", {"Schedule": SCHEDULE, "ScheduleStatus": SCHEDULE_STATUS, "IsPastDue": False}),
    TimerRun("sweep_unmonitored", {"Schedule": SCHEDULE, "ScheduleStatus": None, "IsPastDue": False}),
    TimerRun("sweep_raises", {"Schedule": SCHEDULE, "ScheduleStatus": SCHEDULE_STATUS, "IsPastDue": False}),
    TimerRun("sweep_returns", {"Schedule": SCHEDULE, "ScheduleStatus": SCHEDULE_STATUS, "IsPastDue": False}),
    Exchange("swept_so_far", "GET", "/v1/swept"),
]  # fmt: skip

OURS = [
    Exchange("healthz", "GET", "/healthz"),
    Exchange("readyz", "GET", "/readyz"),
    Exchange("acs_events", "POST", EVENTS, body=b"[]", headers=(("Content-Type", "application/json"),)),
    Exchange("acs_events", "POST", EVENTS),
    Exchange("acs_events_handshake", "OPTIONS", EVENTS, headers=(("WebHook-Request-Origin", "eventgrid.azure.net"),)),
    Exchange("call_events", "POST", f"/mg-genagent-acs/v1/calls/{CALL}/events?token=a.b.c", body=b"[]",
             query={"token": "a.b.c"}, params={"call_id": CALL}),
    Exchange("call_events", "POST", f"/mg-genagent-acs/v1/calls/{CALL}/events", params={"call_id": CALL}),
]  # fmt: skip
