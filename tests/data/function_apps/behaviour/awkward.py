"""What handlers return and raise, well and badly: one case a name."""

from http import HTTPStatus

import azure.functions as func


class OwnResponse(func.HttpResponse):
    """An app's own kind of response."""


def rendered(*args, **options):
    return lambda: func.HttpResponse(*args, **options)


def with_headers(*pairs):
    def make():
        response = func.HttpResponse("headers")
        for name, value in pairs:
            response.headers.add(name, value)
        return response

    return make


def with_cookies(*cookies):
    return with_headers(*(("Set-Cookie", cookie) for cookie in cookies))


def raising(error):
    def fail():
        raise error

    return fail


CASES = {
    "text": rendered("words"),
    "bytes": rendered(b"\x00\xff\r\n\x80"),
    "bytearray": rendered(bytearray(b"array")),
    "nothing": rendered(),
    "empty-text": rendered(""),
    "json": rendered('{"a": 1}', mimetype="application/json"),
    "problem": rendered(b'{"status": 400}', mimetype="application/problem+json", status_code=400),
    "latin-1": rendered("déjà", mimetype="text/csv", charset="latin-1"),
    "utf-16": rendered("words", charset="utf-16-le"),
    "charset-without-text": rendered("déjà", mimetype="application/x-words", charset="latin-1"),
    "own-content-type": rendered("x", mimetype="text/html", headers={"Content-Type": "application/y; a=b"}),
    "odd-mimetype": rendered("x", mimetype="words"),
    "created": rendered(status_code=HTTPStatus.CREATED, headers={"Location": "/v1/items/5"}),
    "status-in-text": rendered("x", status_code="202"),
    "accepted": rendered("soon", status_code=202),
    "no-content": rendered(status_code=204),
    "not-modified": rendered(status_code=304, headers={"ETag": '"1"'}),
    "redirect": rendered(status_code=307, headers={"Location": "https://elsewhere.example/"}),
    "unauthorized": rendered(status_code=401, headers={"WWW-Authenticate": "Bearer"}),
    "not-allowed": rendered(status_code=405, headers={"Allow": "POST"}),
    "teapot": rendered("short", status_code=418),
    "unprocessable": rendered("no", status_code=422),
    "unavailable": rendered("later", status_code=503, headers={"Retry-After": "10"}),
    "failed": rendered("own words", status_code=500),
    "headers": with_headers(
        ("X-Mixed-Case", "Mixed Value"), ("x-empty", ""), ("x-number", 5), ("x-none", None)
    ),
    "header-twice": with_headers(("X-Twice", "a"), ("X-Twice", "b")),
    "header-commas": with_headers(("X-List", "a, b"), ("X-Quoted", '"a,b"; q=0.5')),
    "header-newline": with_headers(("X-Line", "a\r\nX-More: b")),
    "header-surrogate": with_headers(("X-Half", "\ud800")),
    "subclass": lambda: OwnResponse("own", status_code=203),
    "cookies": with_cookies("a=1", "b=2; Path=/; Secure; HttpOnly"),
    "cookie-full": with_cookies(
        "id=x; Domain=example.com; Path=/v1; Max-Age=60; Expires=Wed, 21 Oct 2026 07:28:00 GMT; SameSite=Strict"
    ),
    "cookie-lax": with_cookies("s=1; SameSite=lax"),
    "cookie-samesite-none": with_cookies("s=1; SameSite=None; Secure"),
    "cookie-samesite-odd": with_cookies("s=1; SameSite=Sometimes"),
    "cookie-two-in-one": with_cookies("a=1; b=2"),
    "cookie-unreadable": with_cookies("no cookie at all"),
    "cookie-bad-expires": with_cookies("a=1; Expires=Wed, 21-Oct-2026 07:28:00 GMT"),
    "cookie-bad-max-age": with_cookies("a=1; Max-Age=soon"),
    "returned-none": lambda: None,
    "returned-text": lambda: "plain words",
    "returned-no-text": lambda: "",
    "returned-accents": lambda: "déjà vu",
    "returned-surrogate": lambda: "\ud800",
    "returned-bytes": lambda: b"bytes",
    "returned-bytearray": lambda: bytearray(b"bytes"),
    "returned-dict": lambda: {"body": "x"},
    "returned-list": lambda: ["x"],
    "returned-number": lambda: 200,
    "returned-flag": lambda: True,
    "returned-tuple": lambda: ("x", 200),
    "returned-type": lambda: func.HttpResponse,
    "returned-generator": lambda: (part for part in "ab"),
    "body-number": lambda: func.HttpResponse(5),
    "body-dict": lambda: func.HttpResponse({"a": 1}),
    "body-surrogate": rendered("\ud800"),
    "body-beyond-charset": rendered("\u2713", charset="ascii"),
    "unknown-charset": rendered("x", charset="no-such-charset"),
    "raises": raising(RuntimeError("the handler failed")),
    "raises-key": lambda: {}["missing"],
    "raises-timeout": raising(TimeoutError()),
    "raises-assertion": raising(AssertionError("no")),
    "raises-group": raising(ExceptionGroup("two", [ValueError("a"), KeyError("b")])),
}
