"""Route templates match as ASP.NET's do."""

import pytest

from emulator.functions_host.routes import BadTemplateError, parse_template

GUID = "401f3500-62bd-46a9-8c09-9e1b06caca01"


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("healthz", "/healthz", {}),
        ("healthz", "/HEALTHZ", {}),
        ("healthz", "/healthz/", {}),
        ("healthz", "/healthz//", None),
        ("healthz", "//healthz", None),
        ("healthz", "/healthz/more", None),
        ("/healthz/", "/healthz", {}),
        ("a/b", "/a", None),
        ("calls/{call_id}/events", "/calls/0193/events", {"call_id": "0193"}),
        ("calls/{call_id}/events", "/Calls/MixedCase/Events", {"call_id": "MixedCase"}),
        ("calls/{call_id}/events", "/calls//events", None),
        ("p/{id}", "/p/caf%C3%A9%20au", {"id": "café au"}),
        ("p/{id}", "/p/a%2fb", {"id": "a%2Fb"}),
        ("p/{id?}", "/p", {}),
        ("p/{id?}", "/p/5", {"id": "5"}),
        ("p/{id=7}", "/p", {"id": "7"}),
        ("p/{id}", "/p", None),
        ("p/{id:int}", "/p/-12", {"id": "-12"}),
        ("p/{id:int}", "/p/12x", None),
        ("p/{id:int}", "/p/2147483648", None),
        ("p/{id:long}", "/p/2147483648", {"id": "2147483648"}),
        ("p/{id:int?}", "/p", {}),
        ("p/{id:int=3}", "/p", {"id": "3"}),
        ("p/{id:guid}", f"/p/{GUID}", {"id": GUID}),
        ("p/{id:guid}", f"/p/{GUID.replace('-', '')}", {"id": GUID.replace("-", "")}),
        ("p/{id:guid}", "/p/401f3500", None),
        ("p/{n:range(1,5)}", "/p/5", {"n": "5"}),
        ("p/{n:range(1,5)}", "/p/6", None),
        ("p/{n:min(3):max(4)}", "/p/5", None),
        ("p/{w:alpha:length(2,3)}", "/p/abc", {"w": "abc"}),
        ("p/{w:alpha:length(2,3)}", "/p/ab1", None),
        ("p/{w:minlength(2)}", "/p/a", None),
        ("p/{w:maxlength(2)}", "/p/abc", None),
        ("p/{b:bool}", "/p/True", {"b": "True"}),
        ("p/{x:double}", "/p/1.5e3", {"x": "1.5e3"}),
        ("p/{x:decimal}", "/p/1.5e3", None),
        (r"p/{x:regex(^\d{{3}}-\d$)}", "/p/123-4", {"x": "123-4"}),
        (r"p/{x:regex(^(a|b)/?$)}", "/p/B", {"x": "B"}),
        ("{a}.{b}", "/x.y.z", {"a": "x.y", "b": "z"}),
        ("{a}.{b?}", "/x", {"a": "x"}),
        ("v{major}-{minor}", "/V1-2", {"major": "1", "minor": "2"}),
        ("{*rest}", "/", {}),
        ("{*rest}", "/a/b", {"rest": "a/b"}),
        ("files/{*rest}", "/files/a/b.txt", {"rest": "a/b.txt"}),
        ("files/{*rest}", "/files", {}),
        ("{{literal}}", "/{literal}", {}),
        ("", "/", {}),
    ],
)
def test_a_path_matches_a_template(template, path, values):
    assert parse_template(template).match(path) == values


@pytest.mark.parametrize(
    "template",
    [
        *(
            "a//b",
            "{a",
            "a}",
            "{}",
            "{a}{b}",
            "{a}/{A}",
            "{*rest}/more",
            "x{*rest}",
            "{a?}b",
            "x-{a?}",
            "{*a?}",
        ),
        *("{a:nonsense}", "{a:range(1)}", "{a:datetime}", "what?"),
    ],
)
def test_a_template_that_asp_net_refuses_is_refused(template):
    with pytest.raises(BadTemplateError):
        parse_template(template)
